-- The monthly pack: auto top-up as a subscription in Telegram Stars. Its order is paid again each month under Telegram's
-- own rules, and each of its payments is credited as any other, once per charge id (0009_packs). Kept here is how the
-- subscription stands. The seed's columns auto_topup_enabled and auto_topup_pack_id follow on the active profile.

alter table viva.orders add column monthly boolean not null default false;
comment on column viva.orders.monthly is 'Whether its invoice was a subscription, paid again every 30 days.';

create table viva.topups (
  order_id uuid primary key references viva.orders on delete cascade,
  user_id uuid not null references auth.users on delete cascade,
  telegram_payment_charge_id text not null,
  state text not null default 'active' check (state in ('active', 'canceled', 'failed', 'ended')),
  ended_here boolean not null default false,
  paid_until timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index topups_user on viva.topups (user_id);
create index topups_running on viva.topups (paid_until) where state <> 'ended';
comment on table viva.topups is 'Subscriptions to a pack, as Telegram told them; one for each order that was paid as one.';
comment on column viva.topups.telegram_payment_charge_id is 'The first payment, by which Telegram knows the subscription.';
comment on column viva.topups.state is
  '`active` renews, `canceled` does not, `failed` could not be paid, `ended` is over: nothing came for days after its time.';
comment on column viva.topups.ended_here is
  'Whether it was canceled by our button: then Telegram lets the person turn it on again only once we allow it.';
create trigger viva_touch before update on viva.topups for each row
  when (old.* is distinct from new.*) execute function viva.touch();

select viva.protect('viva.topups');
grant select on viva.topups to authenticated;
create policy "People see their own top-ups" on viva.topups
  for select to authenticated using ((select auth.uid()) = user_id);

-- ------------------------------------------------------------------------------- profile versions

alter table viva.wallets
  add column auto_topup_enabled boolean not null default false,
  add column auto_topup_pack_id text;
comment on column viva.wallets.auto_topup_pack_id is 'The pack of the latest subscription, also after it was ended.';

create or replace function viva.sync_profile(p_user uuid) returns void
language sql set search_path = '' as $$
  update public.user_profiles p
     set vibe_assistant_tokens_remaining = w.balance, vibe_assistant_tokens_used = w.used,
         vibe_assistant_total_cost = round(w.cost_cents / 100, 2),
         token_last_drip_date = w.dripped_at, token_rollover_cycles = w.rollover_cycles,
         auto_topup_enabled = w.auto_topup_enabled, auto_topup_pack_id = w.auto_topup_pack_id
    from viva.wallets w
   where w.user_id = p_user and p.user_id = p_user and p.is_active
$$;

-- The meter's columns stand on the active version and on no other: a version can neither copy nor change a balance or
-- a top-up. The storage quota is the person's, so each version has it from the one that was active last.
create or replace function viva.keep_profile_meter() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  purse viva.wallets;
  quota integer;
begin
  if tg_op = 'INSERT' or new.is_active then
    select p.storage_quota_gb into quota from public.user_profiles p
     where p.user_id = new.user_id and p.id <> new.id and not coalesce(p.is_draft, false)
     order by p.is_active desc nulls last, p.updated_at desc, p.version_number desc limit 1;
    new.storage_quota_gb := coalesce(quota, new.storage_quota_gb);
  end if;
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
  new.auto_topup_enabled := case when new.is_active then purse.auto_topup_enabled else false end;
  new.auto_topup_pack_id := case when new.is_active then purse.auto_topup_pack_id end;
  return new;
end $$;

update public.user_profiles p
   set auto_topup_enabled = false, auto_topup_pack_id = null
 where exists (select from viva.wallets w where w.user_id = p.user_id)
   and (coalesce(p.auto_topup_enabled, false) or p.auto_topup_pack_id is not null);

-- ----------------------------------------------------------------------------------- the top-ups

-- An open order for a pack, once or monthly. One of the last minute is used again: a double tap asks for one invoice.
drop function viva.order_pack(uuid, text, bigint, integer);
create function viva.order_pack(p_user uuid, p_pack text, p_tokens bigint, p_stars integer, p_monthly boolean default false)
returns uuid
language plpgsql set search_path = '' as $$
declare
  chosen uuid := (select o.id from viva.orders o
                   where o.user_id = p_user and o.pack_id = p_pack and o.tokens = p_tokens and o.stars = p_stars
                     and o.monthly = p_monthly and o.state = 'open'
                     and o.created_at > pg_catalog.now() - interval '1 minute'
                   order by o.created_at desc limit 1);
begin
  if chosen is null then
    insert into viva.orders (user_id, pack_id, tokens, stars, monthly)
      values (p_user, p_pack, p_tokens, p_stars, p_monthly)
      returning id into chosen;
  end if;
  return chosen;
end $$;

-- Brings the wallet and the active profile in step with the person's top-ups.
create function viva.sync_topup(p_user uuid) returns void
language plpgsql set search_path = '' as $$
begin
  update viva.wallets w
     set auto_topup_enabled = latest.state = 'active', auto_topup_pack_id = latest.pack_id,
         updated_at = pg_catalog.now()
    from (select t.state, o.pack_id from viva.topups t join viva.orders o on o.id = t.order_id
           where t.user_id = p_user order by t.state = 'active' desc, t.created_at desc limit 1) latest
   where w.user_id = p_user;
  perform viva.sync_profile(p_user);
end $$;

-- Keeps a payment of a subscription: the first begins it, each later one carries it on. Told again, it changes nothing.
create function viva.note_topup(p_user uuid, p_order uuid, p_charge text, p_first boolean, p_until timestamptz)
returns void
language plpgsql set search_path = '' as $$
begin
  insert into viva.topups as t (order_id, user_id, telegram_payment_charge_id, paid_until)
    values (p_order, p_user, p_charge, p_until)
    on conflict (order_id) do update
       set telegram_payment_charge_id = case when p_first then p_charge else t.telegram_payment_charge_id end,
           state = 'active', ended_here = false, paid_until = p_until
     where t.paid_until < p_until;
  perform viva.sync_topup(p_user);
end $$;

-- How a subscription stands now, by Telegram's word or by our button. False where that changes nothing.
create function viva.change_topup(p_user uuid, p_order uuid, p_state text, p_ended_here boolean) returns boolean
language plpgsql set search_path = '' as $$
begin
  update viva.topups t set state = p_state, ended_here = p_ended_here
   where t.order_id = p_order and t.user_id = p_user and t.state <> 'ended'
     and (t.state, t.ended_here) is distinct from (p_state, p_ended_here);
  if not found then
    return false;
  end if;
  perform viva.sync_topup(p_user);
  return true;
end $$;

-- Ends up to p_limit subscriptions for which nothing came in the three days after their time; how many.
create function viva.lapse_topups(p_limit integer, p_now timestamptz default now()) returns integer
language plpgsql set search_path = '' as $$
declare
  person uuid;
  lapsed integer := 0;
begin
  for person in
    update viva.topups t set state = 'ended'
     where t.order_id in (select order_id from viva.topups
                           where state <> 'ended' and paid_until < p_now - interval '72 hours'
                           order by paid_until limit p_limit for update skip locked)
    returning t.user_id
  loop
    lapsed := lapsed + 1;
    perform viva.sync_topup(person);
  end loop;
  return lapsed;
end $$;

-- --------------------------------------------------------------------------------------- checks

alter function viva.ledger_differences() rename to grant_differences;

-- Every difference between what is stored and what must be true. No rows = the ledger is exact.
create function viva.ledger_differences() returns table (user_id uuid, rule text, expected numeric, found numeric)
language sql stable set search_path = '' as $$
  select d.user_id, d.rule, d.expected, d.found from viva.grant_differences() d
  union all
  select w.user_id, 'one active profile version', 1, count(p.id)
    from viva.wallets w
    left join public.user_profiles p on p.user_id = w.user_id and p.is_active
   group by w.user_id
  having count(p.id) <> 1
  union all
  select p.user_id, 'nothing used on an old profile version', 0, p.vibe_assistant_tokens_used
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where not coalesce(p.is_active, false) and p.vibe_assistant_tokens_used is distinct from 0
  union all
  select p.user_id, 'no cost on an old profile version', 0, p.vibe_assistant_total_cost
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where not coalesce(p.is_active, false) and p.vibe_assistant_total_cost is distinct from 0
  union all
  select p.user_id, 'profile rollover cycles', case when p.is_active then w.rollover_cycles else 0 end,
         p.token_rollover_cycles
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where p.token_rollover_cycles is distinct from case when p.is_active then w.rollover_cycles else 0 end
  union all
  select p.user_id, 'profile last drip', extract(epoch from case when p.is_active then w.dripped_at end),
         extract(epoch from p.token_last_drip_date)
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where p.token_last_drip_date is distinct from case when p.is_active then w.dripped_at end
  union all
  select p.user_id, 'profile auto top-up', (coalesce(p.is_active, false) and w.auto_topup_enabled)::integer,
         p.auto_topup_enabled::integer
    from public.user_profiles p
    join viva.wallets w on w.user_id = p.user_id
   where p.auto_topup_enabled is distinct from (coalesce(p.is_active, false) and w.auto_topup_enabled)
      or p.auto_topup_pack_id is distinct from case when p.is_active then w.auto_topup_pack_id end
  union all
  select w.user_id, 'auto top-up = an active subscription',
         (exists (select from viva.topups t where t.user_id = w.user_id and t.state = 'active'))::integer,
         w.auto_topup_enabled::integer
    from viva.wallets w
   where w.auto_topup_enabled
         is distinct from exists (select from viva.topups t where t.user_id = w.user_id and t.state = 'active')
$$;

-- ------------------------------------------------------------------------------- who may call what

do $$
declare
  target regprocedure;
begin
  for target in
    select oid::regprocedure from pg_catalog.pg_proc
    where pronamespace = 'viva'::regnamespace
      and proname in ('order_pack', 'sync_topup', 'note_topup', 'change_topup', 'lapse_topups', 'ledger_differences')
  loop
    execute format('revoke all on function %s from public, authenticated', target);
    execute format('grant execute on function %s to service_role', target);
  end loop;
end $$;
