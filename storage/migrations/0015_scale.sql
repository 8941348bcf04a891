-- Many processes on one database: who asks Telegram for updates, room of their own for handlers, and liveness behind
-- a pooler. Functions of an earlier version stay, as its processes may still be running while this one starts.

-- ----------------------------------------------------------------------------------- leadership

create table viva.leaders (
  name text primary key,
  process uuid not null references viva.processes on delete cascade,
  since timestamptz not null default now()
);
comment on table viva.leaders is
  'What only one process at a time does, such as polling. Free as soon as its process has left or was buried.';
select viva.protect('viva.leaders');
create index leaders_process on viva.leaders (process);

-- Whether the process leads, having taken the lead where nobody has it. One that was buried never leads.
create function viva.lead(p_name text, p_process uuid) returns boolean
language plpgsql set search_path = '' as $$
begin
  insert into viva.leaders (name, process)
    select p_name, p.id from viva.processes p where p.id = p_process
    on conflict (name) do nothing;
  return exists (select from viva.leaders l where l.name = p_name and l.process = p_process);
end $$;

-- --------------------------------------------------------------------------------- lanes by kind

-- 0: what Telegram waits seconds for; 1: other updates, which take milliseconds; 2: jobs, which may take minutes.
alter table viva.lanes add column rank smallint generated always as (
  case when lane like 'urgent:%' then 0 when lane like 'chat:%' then 1 else 2 end) stored;
create index lanes_due_by_rank on viva.lanes (rank, due_at) where claimed_by is null;

-- Claims up to p_updates due lanes of updates, the urgent first, and p_jobs of jobs; of each the oldest first.
create function viva.claim_work(p_process uuid, p_updates integer, p_jobs integer)
returns table (lane text, fence uuid)
language sql set search_path = '' as $$
  with urgent as (
    select free.lane from viva.lanes free
     where free.claimed_by is null and free.rank = 0 and free.due_at <= pg_catalog.now()
     order by free.due_at limit p_updates for update skip locked
  ), updates as (
    select free.lane from viva.lanes free
     where free.claimed_by is null and free.rank = 1 and free.due_at <= pg_catalog.now()
     order by free.due_at limit p_updates for update skip locked
  ), jobs as (
    select free.lane from viva.lanes free
     where free.claimed_by is null and free.rank = 2 and free.due_at <= pg_catalog.now()
     order by free.due_at limit p_jobs for update skip locked
  )
  update viva.lanes l
     set claimed_by = p_process, fence = pg_catalog.gen_random_uuid(), claimed_at = pg_catalog.now()
    from (select u.lane from urgent u union all select u.lane from updates u union all select j.lane from jobs j) due
   where l.lane = due.lane
  returning l.lane, l.fence
$$;

-- ------------------------------------------------------------------------------------- liveness

alter table viva.processes alter column lock_key drop not null, add column pid integer,
  add column locked_at timestamptz not null default now();
comment on column viva.processes.lock_key is
  'Null behind a pooler in transaction mode, where a session lock outlives its process: then seen_at alone tells.';

-- As before, but for processes without a session lock; and a crash of Postgres, which takes every lock, kills nobody:
-- each process has a few seconds to take its lock again, and goes on with what it has in hand.
create or replace function viva.bury(p_stale interval) returns integer
language plpgsql set search_path = '' as $$
declare
  buried integer;
  freed text[];
begin
  delete from viva.processes p
   where p.seen_at < pg_catalog.now() - p_stale
      or (p.lock_key is not null
          and (p.locked_at > pg_catalog.pg_postmaster_start_time()
               or p.seen_at < pg_catalog.now() - least(p_stale, interval '8 seconds'))
          and not exists (
            select from pg_catalog.pg_locks l
             where l.locktype = 'advisory' and l.classid = 7681 and l.objid = p.lock_key::oid and l.objsubid = 2
               and l.database = (select oid from pg_catalog.pg_database
                                  where datname = pg_catalog.current_database())));
  get diagnostics buried = row_count;
  -- A lane that is locked is at its commit, and is given back by it.
  freed := array(
    select l.lane from viva.lanes l
     where l.claimed_by is not null and not exists (select from viva.processes p where p.id = l.claimed_by)
     order by l.lane for update skip locked);
  if pg_catalog.cardinality(freed) > 0 then
    update viva.lanes set claimed_by = null, fence = null, claimed_at = null where lane = any (freed);
    update viva.work set attempts = attempts + 1
     where id in (select min(w.id) from viva.work w where w.lane = any (freed) and w.state = 'waiting' group by w.lane);
  end if;
  update viva.outbox_chats set claimed_by = null, fence = null
   where chat_id in (select c.chat_id from viva.outbox_chats c
                      where c.claimed_by is not null
                        and not exists (select from viva.processes p where p.id = c.claimed_by)
                      order by c.chat_id for update skip locked);
  return buried;
end $$;

create index work_parked on viva.work (id) where state = 'parked';
create index outbox_unknown on viva.outbox (chat_id) where state = 'unknown';

revoke all on function viva.lead(text, uuid), viva.claim_work(uuid, integer, integer) from public, authenticated;
grant execute on function viva.lead(text, uuid), viva.claim_work(uuid, integer, integer) to service_role;
