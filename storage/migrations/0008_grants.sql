-- Grants: which tokens a balance is made of, and when each ends. Kept by a trigger on the ledger, so that nothing can
-- change a balance and forget them: sum(left_tokens) = balance. Design section 5; domain section 8.

alter table viva.ledger drop constraint ledger_kind_check;
alter table viva.ledger
  add constraint ledger_kind_check
    check (kind in ('starting', 'drip', 'admin', 'purchase', 'charge', 'expiry', 'refund')),
  add constraint ledger_sign_check
    check (kind = 'admin' or (amount > 0) = (kind in ('starting', 'drip', 'purchase'))),
  add column expires_at timestamptz check (expires_at is null or amount > 0),
  add column takes_back bigint references viva.ledger (id) on delete cascade
    check (takes_back is null or amount < 0);
comment on column viva.ledger.expires_at is 'When what this row gives ends; null = never.';
comment on column viva.ledger.takes_back is
  'The row whose tokens this one takes first (an expiry, a refund); null = the soonest to expire.';
create index ledger_takes_back on viva.ledger (takes_back) where takes_back is not null;

alter table viva.wallets
  add column drip_at timestamptz not null default now() + interval '672 hours',
  add column dripped_at timestamptz,
  add column rollover_cycles integer not null default 0,
  add column warned_percent smallint;
update viva.wallets set drip_at = created_at + interval '672 hours';
create index wallets_drip_at on viva.wallets (drip_at);
comment on column viva.wallets.drip_at is 'When the next monthly tokens are due. A period is 28 days from created_at.';
comment on column viva.wallets.rollover_cycles is 'Earlier drips of which something was left at the last one.';
comment on column viva.wallets.warned_percent is
  'The lowest warning given since the last grant: 20 or 5 percent left; null = none.';

create table viva.grants (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users on delete cascade,
  kind text not null,
  amount bigint not null check (amount > 0),
  left_tokens bigint not null check (left_tokens between 0 and amount),
  expires_at timestamptz,
  ledger_id bigint not null unique references viva.ledger (id) on delete cascade,
  created_at timestamptz not null default now()
);
comment on table viva.grants is 'What was given, and what is left of it. One row for each positive row of the ledger.';
comment on column viva.grants.expires_at is 'Null = never.';
create index grants_user on viva.grants (user_id);
create index grants_open on viva.grants (user_id, expires_at) where left_tokens > 0;
create index grants_expiring on viva.grants (expires_at) where left_tokens > 0;

select viva.protect('viva.grants');
revoke delete on viva.grants from service_role;
grant select on viva.grants to authenticated;
create policy "People see their own grants" on viva.grants
  for select to authenticated using ((select auth.uid()) = user_id);

-- What was given and taken before there were grants: none of it expires, so the oldest went first.
insert into viva.grants (user_id, kind, amount, left_tokens, ledger_id, created_at)
  select given.user_id, given.kind, given.amount,
         greatest(0, least(given.amount, sum(given.amount) over (partition by given.user_id order by given.id)
           - coalesce((select -sum(taken.amount) from viva.ledger taken
                        where taken.user_id = given.user_id and taken.amount < 0), 0))),
         given.id, given.created_at
    from viva.ledger given
   where given.amount > 0
   order by given.id;

-- The soonest to expire goes first, and bought tokens last of all, so that what was paid for lasts longest; but a
-- refund takes back what was bought.
create function viva.keep_grants() returns trigger
language plpgsql set search_path = '' as $$
declare
  owed bigint := -new.amount;
  taken bigint;
  standing record;
begin
  perform 1 from viva.wallets where user_id = new.user_id for update;
  if new.amount > 0 then
    insert into viva.grants (user_id, kind, amount, left_tokens, expires_at, ledger_id, created_at)
      values (new.user_id, new.kind, new.amount, new.amount, new.expires_at, new.id, new.created_at);
    update viva.wallets set warned_percent = null where user_id = new.user_id and warned_percent is not null;
    return null;
  end if;
  for standing in
    select id, left_tokens from viva.grants
     where user_id = new.user_id and left_tokens > 0
     order by coalesce(ledger_id = new.takes_back, false) desc, (new.kind = 'refund' and kind = 'purchase') desc,
              expires_at nulls last, kind = 'purchase', id
  loop
    taken := least(owed, standing.left_tokens);
    update viva.grants set left_tokens = left_tokens - taken where id = standing.id;
    owed := owed - taken;
    exit when owed = 0;
  end loop;
  if owed > 0 then
    raise exception 'the ledger takes % tokens that nobody gave', owed using errcode = 'check_violation';
  end if;
  return null;
end $$;
create trigger viva_keep_grants after insert on viva.ledger for each row execute function viva.keep_grants();

-- ------------------------------------------------------------------------------- profile versions

create or replace function viva.sync_profile(p_user uuid) returns void
language sql set search_path = '' as $$
  update public.user_profiles p
     set vibe_assistant_tokens_remaining = w.balance, vibe_assistant_tokens_used = w.used,
         vibe_assistant_total_cost = round(w.cost_cents / 100, 2),
         token_last_drip_date = w.dripped_at, token_rollover_cycles = w.rollover_cycles
    from viva.wallets w
   where w.user_id = p_user and p.user_id = p_user and p.is_active
$$;

-- The meter's columns stand on the active version and on no other: a version can neither copy nor change a balance.
create function viva.keep_profile_meter() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  purse viva.wallets;
begin
  -- Locked, so that a charge that is being settled is either seen here or sees the new version.
  select * into purse from viva.wallets where user_id = new.user_id for update;
  if not found then
    return new;
  end if;
  new.vibe_assistant_tokens_remaining := case when new.is_active then purse.balance else 0 end;
  new.vibe_assistant_tokens_used := case when new.is_active then purse.used else 0 end;
  new.vibe_assistant_total_cost := case when new.is_active then round(purse.cost_cents / 100, 2) else 0 end;
  new.token_last_drip_date := case when new.is_active then purse.dripped_at end;
  new.token_rollover_cycles := case when new.is_active then purse.rollover_cycles else 0 end;
  return new;
end $$;
revoke all on function viva.keep_profile_meter() from public;
create trigger viva_keep_meter before insert or update of is_active on public.user_profiles
  for each row execute function viva.keep_profile_meter();

update public.user_profiles p
   set vibe_assistant_tokens_remaining = 0, vibe_assistant_tokens_used = 0, vibe_assistant_total_cost = 0,
       token_last_drip_date = null, token_rollover_cycles = 0
 where not coalesce(p.is_active, false) and exists (select from viva.wallets w where w.user_id = p.user_id);

-- ------------------------------------------------------------------------------------- the months

-- The monthly tokens of one person, once a period whoever asks and how often; a period that nobody ticked in is not
-- made up for. They end p_cycles periods after their own. True where something was given.
create function viva.drip(p_user uuid, p_amount bigint, p_cycles integer, p_now timestamptz default now())
returns boolean
language plpgsql set search_path = '' as $$
declare
  month constant interval := '672 hours';
  purse viva.wallets;
  next_drip timestamptz;
  period integer;
begin
  select * into purse from viva.wallets where user_id = p_user for update;
  if not found or p_amount <= 0 or purse.drip_at > p_now then
    return false;
  end if;
  period := floor(extract(epoch from p_now - purse.created_at) / extract(epoch from month));
  next_drip := purse.created_at + (period + 1) * month;
  update viva.wallets set drip_at = next_drip where user_id = p_user;
  insert into viva.ledger (user_id, kind, amount, reference, expires_at)
    values (p_user, 'drip', p_amount, 'drip:' || p_user || ':' || period, next_drip + p_cycles * month)
    on conflict (reference) do nothing;
  if not found then
    return false;
  end if;
  update viva.wallets
     set balance = balance + p_amount, dripped_at = p_now, updated_at = pg_catalog.now(),
         rollover_cycles = (select count(*) from viva.grants
                             where user_id = p_user and kind = 'drip' and left_tokens > 0
                               and expires_at > p_now and expires_at < next_drip + p_cycles * month)
   where user_id = p_user;
  perform viva.sync_profile(p_user);
  return true;
end $$;

-- The monthly tokens of up to p_limit people who are due. Returns how many got theirs.
create function viva.drip_due(p_amount bigint, p_cycles integer, p_limit integer, p_now timestamptz default now())
returns integer
language plpgsql set search_path = '' as $$
declare
  person uuid;
  given integer := 0;
begin
  for person in
    select user_id from viva.wallets where drip_at <= p_now order by drip_at limit p_limit for update skip locked
  loop
    given := given + viva.drip(person, p_amount, p_cycles, p_now)::integer;
  end loop;
  return given;
end $$;

-- Ends the grants of up to p_limit people whose time is over: each takes what is left of itself and nothing else. A
-- person with a call under way is left to the next time, because that call takes from the soonest to expire.
-- Returns how many grants ended.
create function viva.expire_grants(p_limit integer, p_now timestamptz default now()) returns integer
language plpgsql set search_path = '' as $$
declare
  person uuid;
  lapsed viva.grants;
  ended integer := 0;
begin
  for person in
    select w.user_id from viva.wallets w
     where w.held = 0
       and w.user_id in (select g.user_id from viva.grants g where g.left_tokens > 0 and g.expires_at <= p_now)
     limit p_limit for update skip locked
  loop
    for lapsed in
      select * from viva.grants where user_id = person and left_tokens > 0 and expires_at <= p_now order by id
    loop
      insert into viva.ledger (user_id, kind, amount, reference, takes_back)
        values (person, 'expiry', -lapsed.left_tokens, 'expiry:' || lapsed.id, lapsed.ledger_id);
      update viva.wallets set balance = balance - lapsed.left_tokens, updated_at = pg_catalog.now()
       where user_id = person;
      ended := ended + 1;
    end loop;
    perform viva.sync_profile(person);
  end loop;
  return ended;
end $$;

-- -------------------------------------------------------------------------------------- by hand

-- Gives (or, below zero, takes) tokens by an admin's word, once per reference. Takes only what is free: with less
-- than that nothing happens, and done is false. Returns what was free before.
create function viva.adjust(p_user uuid, p_amount bigint, p_reference text, p_reason text,
                            out done boolean, out free bigint)
language plpgsql set search_path = '' as $$
begin
  select balance - held into free from viva.wallets where user_id = p_user for update;
  free := coalesce(free, 0);
  done := free + p_amount >= 0;
  if done then
    perform viva.grant_tokens(p_user, p_amount, 'admin', p_reference, p_reason);
  end if;
end $$;

-- ------------------------------------------------------------------------------------- warnings

-- The warning that the person of this transaction is due: 20 or 5 percent left of what they had at their last grant;
-- null = none. Each is given once until the next grant. It marks nothing but that, so a person may ask for it.
create function viva.warn_if_low() returns smallint
language sql security definer set search_path = '' as $$
  with purse as (
    select w.user_id, w.balance,
           (select sum(l.amount) from viva.ledger l
             where l.user_id = w.user_id
               and l.id <= (select max(g.ledger_id) from viva.grants g where g.user_id = w.user_id)) as whole
      from viva.wallets w
     where w.user_id = (select auth.uid())
  ), level as (
    select user_id, case when balance * 20 <= whole then 5 when balance * 5 <= whole then 20 end as percent from purse
  )
  update viva.wallets w set warned_percent = level.percent
    from level
   where w.user_id = level.user_id and level.percent < coalesce(w.warned_percent, 100)
  returning w.warned_percent
$$;
revoke all on function viva.warn_if_low() from public;
grant execute on function viva.warn_if_low() to authenticated;

-- --------------------------------------------------------------------------------------- checks

alter function viva.ledger_differences() rename to meter_differences;

-- Every difference between what is stored and what must be true. No rows = the ledger is exact.
create function viva.ledger_differences() returns table (user_id uuid, rule text, expected numeric, found numeric)
language sql stable set search_path = '' as $$
  select m.user_id, m.rule, m.expected, m.found from viva.meter_differences() m
  union all
  select w.user_id, 'balance = sum(left of grants)', w.balance, coalesce(g.left_tokens, 0)
    from viva.wallets w
    left join (select user_id, sum(left_tokens) as left_tokens from viva.grants group by user_id) g
           on g.user_id = w.user_id
   where w.balance <> coalesce(g.left_tokens, 0)
  union all
  select coalesce(l.user_id, g.user_id), 'one grant for each gift', l.amount, g.amount
    from (select id, user_id, amount from viva.ledger where amount > 0) l
    full join viva.grants g on g.ledger_id = l.id
   where l.amount is distinct from g.amount
  union all
  select p.user_id, 'no balance on an old profile version', 0, p.vibe_assistant_tokens_remaining
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where not coalesce(p.is_active, false) and p.vibe_assistant_tokens_remaining is distinct from 0
$$;
