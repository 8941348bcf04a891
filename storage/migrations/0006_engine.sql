-- The engine's tables: durable work in ordered lanes, its steps, and the outbox.
-- All of it belongs to the service; people never reach it.

create table viva.processes (
  id uuid primary key,
  lock_key integer not null unique,
  host text not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);
comment on table viva.processes is
  'Running processes. Each took the session advisory lock (7681, lock_key) before its row, and renews seen_at; one that fails in either is dead.';

create table viva.lanes (
  lane text primary key,
  due_at timestamptz not null default 'infinity',
  claimed_by uuid,
  fence uuid,
  claimed_at timestamptz
);
comment on table viva.lanes is
  'An ordered line of work (one per chat, one per long job) that has any. Its head is worked by the one process whose fence stands here.';
create index lanes_due on viva.lanes (due_at) where claimed_by is null;
create index lanes_claimed on viva.lanes (claimed_by) where claimed_by is not null;

create table viva.work (
  id bigint generated always as identity primary key,
  lane text not null,
  kind text not null check (kind in ('update', 'job')),
  name text not null,
  key text not null unique,
  chat_id bigint,
  telegram_id bigint,
  payload jsonb not null default '{}',
  state text not null default 'waiting' check (state in ('waiting', 'done', 'parked')),
  attempts integer not null default 0,
  cancel_requested_at timestamptz,
  error text,
  due_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
comment on table viva.work is
  'Updates and jobs. The key makes taking in idempotent; the payload is emptied when the work is done.';
create index work_waiting on viva.work (lane, id) where state = 'waiting';
create index work_chat on viva.work (chat_id) where state = 'waiting';
create index work_finished on viva.work (finished_at) where state = 'done';

create table viva.work_steps (
  work_id bigint not null references viva.work on delete cascade,
  step text not null,
  result jsonb not null,
  created_at timestamptz not null default now(),
  primary key (work_id, step)
);
comment on table viva.work_steps is
  'What a step of a job produced (and was charged), so that a crash never repeats it. Removed when the job ends.';

create table viva.outbox (
  id bigint generated always as identity primary key,
  chat_id bigint not null,
  key text unique,
  method text not null,
  payload jsonb not null,
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'unknown', 'failed')),
  attempts integer not null default 0,
  error text,
  message_id bigint,
  due_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  sent_at timestamptz
);
comment on table viva.outbox is
  'Messages to Telegram, in order per chat. `unknown` = the answer never came: not repeated unless the person asks.';
create index outbox_waiting on viva.outbox (chat_id, id) where state = 'waiting';

create table viva.outbox_chats (
  chat_id bigint primary key,
  due_at timestamptz not null default 'infinity',
  claimed_by uuid,
  fence uuid,
  next_free_at timestamptz not null default '-infinity'
);
comment on column viva.outbox_chats.next_free_at is
  'The gate of the chat, as a theoretical arrival time: three messages at once, then one a second (Telegram limit).';
create index outbox_chats_due on viva.outbox_chats (due_at) where claimed_by is null;
create index outbox_chats_claimed on viva.outbox_chats (claimed_by) where claimed_by is not null;

create table viva.gates (
  name text primary key,
  next_free_at timestamptz not null default '-infinity'
);
insert into viva.gates (name) values ('telegram');
comment on table viva.gates is 'Gates shared by all processes: about 30 messages a second to Telegram in all.';

select viva.protect('viva.processes'), viva.protect('viva.lanes'), viva.protect('viva.work'),
       viva.protect('viva.work_steps'), viva.protect('viva.outbox'), viva.protect('viva.outbox_chats'),
       viva.protect('viva.gates');

-- ---------------------------------------------------------------------------------------- work

-- Locks of several kinds are taken in this order, so that nobody waits in a circle: a person's rows, their wallet,
-- lanes (by name), work, outbox chats, outbox, gates. What cannot keep to it (a handler may touch its person's rows
-- in any order) is ended by Postgres after a second, and tried again by the engine.

-- Locks these lanes, in order, making those that are missing: a lane without work has no row.
create function viva.lock_lanes(p_lanes text[]) returns void
language sql set search_path = '' as $$
  insert into viva.lanes as l (lane)
    select distinct named.lane from unnest(p_lanes) as named (lane) order by 1
    on conflict (lane) do update set due_at = l.due_at
$$;

-- Puts work into lanes; what stands already (same key) is left alone. Returns how many were new.
create function viva.enqueue(p_work jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  added integer;
  lanes text[] := array(select item ->> 'lane' from pg_catalog.jsonb_array_elements(p_work) item);
begin
  -- One writer a lane at a time: numbers in a lane are then given in the order of the commits.
  perform viva.lock_lanes(lanes);
  with added_work as (
    insert into viva.work (lane, kind, name, key, chat_id, telegram_id, payload, due_at)
      select item ->> 'lane', item ->> 'kind', item ->> 'name', item ->> 'key',
             (item ->> 'chat_id')::bigint, (item ->> 'telegram_id')::bigint, item -> 'payload',
             pg_catalog.now() + coalesce((item ->> 'delay')::float, 0) * interval '1 second'
        from pg_catalog.jsonb_array_elements(p_work) with ordinality as items (item, place)
       order by place
      on conflict (key) do nothing
      returning lane, due_at
  ), due as (
    update viva.lanes l set due_at = least(l.due_at, soonest.due_at)
      from (select lane, min(due_at) as due_at from added_work group by lane) soonest
     where l.lane = soonest.lane
  )
  select count(*) into added from added_work;
  -- A lane made for work that stands already has none of its own.
  delete from viva.lanes l
   where l.lane = any (lanes) and l.claimed_by is null and l.due_at = 'infinity'
     and not exists (select from viva.work w where w.lane = l.lane and w.state = 'waiting');
  return added;
end $$;

-- Claims up to p_limit due lanes for a process, oldest first.
create function viva.claim_lanes(p_process uuid, p_limit integer) returns table (lane text, fence uuid)
language sql set search_path = '' as $$
  update viva.lanes l
     set claimed_by = p_process, fence = pg_catalog.gen_random_uuid(), claimed_at = pg_catalog.now()
    from (select free.lane from viva.lanes free
           where free.claimed_by is null and free.due_at <= pg_catalog.now()
           order by free.due_at limit p_limit for update skip locked) due
   where l.lane = due.lane
  returning l.lane, l.fence
$$;

-- Raises VV001 unless the fence still stands on the lane; the lane stays locked until the commit.
create function viva.hold_lane(p_lane text, p_fence uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform 1 from viva.lanes where lane = p_lane and fence = p_fence for update;
  if not found then
    raise exception 'lane was taken over' using errcode = 'VV001';
  end if;
end $$;

-- Raises VV001 unless the work is still there and ours: it goes when its person erases everything.
create function viva.hold_work(p_work bigint, p_lane text, p_fence uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform viva.hold_lane(p_lane, p_fence);
  perform 1 from viva.work where id = p_work and state = 'waiting' for key share;
  if not found then
    raise exception 'work was finished already' using errcode = 'VV001';
  end if;
end $$;

-- Gives a lane back: due again when its next head is due, gone if it is empty.
create function viva.leave_lane(p_lane text) returns void
language plpgsql set search_path = '' as $$
declare
  next_due timestamptz := (select w.due_at from viva.work w
                            where w.lane = p_lane and w.state = 'waiting' order by w.id limit 1);
begin
  if next_due is null then
    delete from viva.lanes where lane = p_lane;
  else
    update viva.lanes set claimed_by = null, fence = null, claimed_at = null, due_at = next_due where lane = p_lane;
  end if;
end $$;

-- Gives a lane back after a fault, if it is still ours.
create function viva.drop_claim(p_lane text, p_fence uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform 1 from viva.lanes where lane = p_lane and fence = p_fence for update;
  if found then
    perform viva.leave_lane(p_lane);
  end if;
end $$;

-- The one commit that ends a piece of work: jobs it starts, messages it sends, done, lane given back.
create function viva.finish(p_work bigint, p_lane text, p_fence uuid, p_state text, p_error text,
                            p_jobs jsonb, p_outbox jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  perform viva.release_open_holds(p_work, 'the work ended without using it');
  perform viva.lock_lanes(array(select item ->> 'lane' from pg_catalog.jsonb_array_elements(p_jobs) item) || p_lane);
  perform viva.hold_lane(p_lane, p_fence);
  update viva.work
     set state = p_state, error = p_error, finished_at = pg_catalog.now(),
         payload = case when p_state = 'done' then '{}'::jsonb else payload end
   where id = p_work and state = 'waiting';
  if not found then
    raise exception 'work was finished already' using errcode = 'VV001';
  end if;
  delete from viva.work_steps where work_id = p_work and p_state = 'done';
  if pg_catalog.jsonb_array_length(p_jobs) > 0 then
    perform viva.enqueue(p_jobs);
  end if;
  if pg_catalog.jsonb_array_length(p_outbox) > 0 then
    perform viva.post(p_outbox);
  end if;
  perform viva.leave_lane(p_lane);
end $$;

-- Another try later; the lane waits with it, so that order holds.
create function viva.retry(p_work bigint, p_lane text, p_fence uuid, p_delay float, p_error text) returns void
language plpgsql set search_path = '' as $$
begin
  perform viva.hold_lane(p_lane, p_fence);
  update viva.work
     set attempts = attempts + 1, error = p_error,
         due_at = pg_catalog.now() + p_delay * interval '1 second'
   where id = p_work and state = 'waiting';
  perform viva.leave_lane(p_lane);
end $$;

create function viva.record_step(p_work bigint, p_lane text, p_fence uuid, p_step text, p_result jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  perform viva.hold_work(p_work, p_lane, p_fence);
  insert into viva.work_steps (work_id, step, result) values (p_work, p_step, p_result)
    on conflict (work_id, step) do nothing;
end $$;

-- ------------------------------------------------------------------------------------- liveness

-- Frees what dead processes held: those without their advisory lock, and those not seen for p_stale. One that was
-- declared dead while it was frozen may claim before it notices: what nobody's process holds is freed as well.
-- A try that ended with a process counts as one. Returns how many processes were buried.
create function viva.bury(p_stale interval) returns integer
language plpgsql set search_path = '' as $$
declare
  buried integer;
  freed text[];
begin
  delete from viva.processes p
   where p.seen_at < pg_catalog.now() - p_stale
      or not exists (
            select from pg_catalog.pg_locks l
             where l.locktype = 'advisory' and l.classid = 7681 and l.objid = p.lock_key::oid and l.objsubid = 2
               and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()));
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

-- --------------------------------------------------------------------------------------- outbox

-- Puts messages in line; one whose key stands already is left alone. The chats are locked first, in order, so that
-- numbers in a chat are given in the order of the commits.
create function viva.post(p_outbox jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  insert into viva.outbox_chats as c (chat_id, due_at)
    select distinct (item ->> 'chat_id')::bigint, pg_catalog.now()
      from pg_catalog.jsonb_array_elements(p_outbox) item order by 1
    on conflict (chat_id) do update set due_at = least(c.due_at, excluded.due_at);
  insert into viva.outbox (chat_id, key, method, payload)
    select (item ->> 'chat_id')::bigint, item ->> 'key', item ->> 'method', item -> 'payload'
      from pg_catalog.jsonb_array_elements(p_outbox) with ordinality as items (item, place)
     order by place
    on conflict (key) do nothing;
end $$;

create function viva.claim_chats(p_process uuid, p_limit integer) returns table (chat_id bigint, fence uuid)
language sql set search_path = '' as $$
  update viva.outbox_chats c
     set claimed_by = p_process, fence = pg_catalog.gen_random_uuid()
    from (select free.chat_id from viva.outbox_chats free
           where free.claimed_by is null and free.due_at <= pg_catalog.now()
           order by free.due_at limit p_limit for update skip locked) due
   where c.chat_id = due.chat_id
  returning c.chat_id, c.fence
$$;

-- The head of a claimed chat, through both gates. With nothing to send now the chat is given back and no row
-- comes; `due_at` of the chat says when to look again.
-- Gates: p_chat_gap between messages of a chat with a burst of 3, p_all_gap between all with a burst of a second
-- (Telegram FAQ, "My bot is hitting limits": 1 a second per chat, 30 a second in all).
create function viva.next_send(p_chat bigint, p_fence uuid, p_chat_gap interval, p_all_gap interval)
returns setof viva.outbox
language plpgsql set search_path = '' as $$
declare
  head viva.outbox;
  later viva.outbox;
  chat_free timestamptz;
  all_free timestamptz;
  moment timestamptz := pg_catalog.clock_timestamp();
  wait_until timestamptz;
begin
  perform viva.hold_chat(p_chat, p_fence);
  select next_free_at into chat_free from viva.outbox_chats where chat_id = p_chat;
  loop
    select * into head from viva.outbox where chat_id = p_chat and state = 'waiting' order by id limit 1;
    exit when not found;
    -- Edits of the same message coalesce: a newer edit right behind makes this one pointless.
    exit when head.method not like 'editMessage%' or head.key is not null or head.due_at > moment;
    select * into later from viva.outbox
     where chat_id = p_chat and state = 'waiting' and id > head.id order by id limit 1;
    exit when not found or later.method <> head.method
           or (later.payload -> 'message_id') is distinct from (head.payload -> 'message_id');
    update viva.outbox set state = 'sent', payload = '{}', sent_at = moment, error = 'superseded' where id = head.id;
  end loop;
  if head.id is null then
    if not exists (select from viva.telegram_accounts where chat_id = p_chat) then
      delete from viva.outbox_chats where chat_id = p_chat;
      return;
    end if;
    update viva.outbox_chats set claimed_by = null, fence = null, due_at = 'infinity' where chat_id = p_chat;
    return;
  end if;
  wait_until := greatest(head.due_at, chat_free - 2 * p_chat_gap);
  if wait_until <= moment then
    select next_free_at into all_free from viva.gates where name = 'telegram' for update;
    wait_until := greatest(wait_until, all_free - 30 * p_all_gap);
  end if;
  if wait_until > moment then
    update viva.outbox_chats set claimed_by = null, fence = null, due_at = wait_until where chat_id = p_chat;
    return;
  end if;
  update viva.gates set next_free_at = greatest(all_free, moment) + p_all_gap where name = 'telegram';
  update viva.outbox_chats set next_free_at = greatest(chat_free, moment) + p_chat_gap where chat_id = p_chat;
  return next head;
end $$;

-- What became of a send; whether the message is kept. Words are not kept longer than needed: only an unknown one
-- keeps its payload, and in a chat that is not (or no longer) a person's nothing is kept at all.
-- That Telegram took a message is true whoever holds the chat by now, so it is marked without asking for the fence.
create function viva.sent(p_id bigint, p_chat bigint, p_fence uuid, p_state text, p_message bigint, p_error text)
returns boolean
language plpgsql set search_path = '' as $$
begin
  if p_state <> 'sent' then
    perform viva.hold_chat(p_chat, p_fence);
  end if;
  if not exists (select from viva.telegram_accounts where chat_id = p_chat) then
    delete from viva.outbox where id = p_id;
    return false;
  end if;
  update viva.outbox
     set state = p_state, message_id = p_message, error = p_error, sent_at = pg_catalog.clock_timestamp(),
         payload = case when p_state = 'unknown' then payload else '{}'::jsonb end
   where id = p_id;
  return found;
end $$;

-- Raises VV001 unless the fence still stands on the chat.
create function viva.hold_chat(p_chat bigint, p_fence uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform 1 from viva.outbox_chats where chat_id = p_chat and fence = p_fence for update;
  if not found then
    raise exception 'chat was taken over' using errcode = 'VV001';
  end if;
end $$;

-- Waits with a chat: after a flood answer or a failure that may pass.
create function viva.postpone(p_id bigint, p_chat bigint, p_fence uuid, p_delay float, p_error text) returns void
language plpgsql set search_path = '' as $$
declare
  later timestamptz := pg_catalog.clock_timestamp() + p_delay * interval '1 second';
begin
  perform viva.hold_chat(p_chat, p_fence);
  update viva.outbox set attempts = attempts + 1, error = p_error, due_at = later where id = p_id;
  update viva.outbox_chats set claimed_by = null, fence = null, due_at = later where chat_id = p_chat;
end $$;

-- Gives a chat back after a fault, if it is still ours.
create function viva.drop_chat(p_chat bigint, p_fence uuid) returns void
language sql set search_path = '' as $$
  update viva.outbox_chats set claimed_by = null, fence = null, due_at = pg_catalog.now()
   where chat_id = p_chat and fence = p_fence
$$;

-- ---------------------------------------------------------------------------------------- erase

-- Removes a person with everything the engine still keeps of them. The erasing work itself runs in a lane that
-- does not name the chat, and forgets whose it was; a goodbye posted afterwards is deleted once it is sent.
-- The keys of updates stay, and name nobody: an update that Telegram repeats must not be worked again.
create function viva.erase(p_user uuid, p_chat bigint, p_work bigint) returns void
language plpgsql set search_path = '' as $$
begin
  -- Of two erasures of one person the second waits here, and then finds that its work is gone.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('viva.erase', p_chat));
  perform 1 from viva.telegram_accounts where user_id = p_user for update;
  perform 1 from viva.wallets where user_id = p_user for update;
  perform viva.delete_user(p_user);
  perform 1 from viva.lanes where lane like '%:' || p_chat order by lane for update;
  delete from viva.work where chat_id = p_chat and id <> p_work and kind = 'job';
  update viva.work
     set lane = '', chat_id = null, telegram_id = null, payload = '{}', error = null, state = 'done',
         finished_at = coalesce(finished_at, pg_catalog.now())
   where chat_id = p_chat and id <> p_work;
  delete from viva.lanes where lane like '%:' || p_chat and claimed_by is null;
  perform 1 from viva.outbox_chats where chat_id = p_chat for update;
  delete from viva.outbox where chat_id = p_chat;
  update viva.work set chat_id = null, telegram_id = null, payload = '{}' where id = p_work;
end $$;
