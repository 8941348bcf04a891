-- The meter: wallets, an append-only ledger, holds, and the functions that are the only way to change them.
-- 1 token of balance = 1 model token. balance = sum(ledger), held = sum(open holds), both never below zero.
-- The seed's columns on the active profile (vibe_assistant_tokens_used, _remaining, _total_cost) follow in the
-- same statement. Design section 5; domain section 8.

create table viva.wallets (
  user_id uuid primary key references auth.users on delete cascade,
  balance bigint not null default 0 check (balance >= 0),
  held bigint not null default 0 check (held >= 0 and held <= balance),
  used bigint not null default 0 check (used >= 0),
  cost_cents numeric(16, 4) not null default 0 check (cost_cents >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table viva.wallets is 'What a person has left. `held` is promised to calls under way and not yet spent.';

create table viva.ledger (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users on delete cascade,
  kind text not null check (kind in ('starting', 'admin', 'charge')),
  amount bigint not null check (amount <> 0),
  reference text not null unique,
  note text,
  created_at timestamptz not null default now()
);
comment on table viva.ledger is
  'Every change of every balance, append-only. `reference` makes a grant or a charge happen once.';
create index ledger_user on viva.ledger (user_id, id);

create table viva.holds (
  id uuid primary key,
  user_id uuid not null references auth.users on delete cascade,
  work_id bigint,
  step text not null,
  action_type text not null,
  model text not null,
  tokens bigint not null check (tokens > 0),
  state text not null default 'open' check (state in ('open', 'settled', 'released')),
  usage_id uuid,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
comment on table viva.holds is 'What a call under way may cost at most. Each ends exactly once: settled or released.';
create index holds_open on viva.holds (work_id) where state = 'open';
create index holds_user on viva.holds (user_id) where state = 'open';

select viva.protect('viva.wallets'), viva.protect('viva.ledger'), viva.protect('viva.holds');
-- Append-only also for the service itself; rows go only with their person (on delete cascade).
revoke update, delete, truncate on viva.ledger from service_role;

grant select on viva.wallets, viva.ledger, viva.holds to authenticated;
create policy "People see their own wallet" on viva.wallets
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "People see their own ledger" on viva.ledger
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "People see their own holds" on viva.holds
  for select to authenticated using ((select auth.uid()) = user_id);

-- Keeps the seed's columns in step. They live on the active profile only (domain section 5).
create function viva.sync_profile(p_user uuid) returns void
language sql set search_path = '' as $$
  update public.user_profiles p
     set vibe_assistant_tokens_remaining = w.balance, vibe_assistant_tokens_used = w.used,
         vibe_assistant_total_cost = round(w.cost_cents / 100, 2)
    from viva.wallets w
   where w.user_id = p_user and p.user_id = p_user and p.is_active
$$;

-- Adds tokens once per reference; a second call with the same reference changes nothing.
create function viva.grant_tokens(p_user uuid, p_amount bigint, p_kind text, p_reference text, p_note text)
returns void
language plpgsql set search_path = '' as $$
begin
  insert into viva.wallets (user_id) values (p_user) on conflict (user_id) do nothing;
  if p_amount <> 0 then
    insert into viva.ledger (user_id, kind, amount, reference, note)
      values (p_user, p_kind, p_amount, p_reference, p_note) on conflict (reference) do nothing;
    if not found then
      return;
    end if;
    update viva.wallets set balance = balance + p_amount, updated_at = pg_catalog.now() where user_id = p_user;
  end if;
  perform viva.sync_profile(p_user);
end $$;

-- Ends a hold. A second end changes nothing and returns the first row's id; usage that comes after a release
-- still charges. The charge never exceeds the hold: what a provider claims beyond what was asked of it is its
-- own fault, and is kept in metadata.beyond_hold.
create function viva.settle(p_hold uuid, p_tokens bigint, p_input integer, p_output integer, p_cost_cents numeric,
                            p_success boolean, p_error text, p_metadata jsonb) returns uuid
language plpgsql set search_path = '' as $$
declare
  owner uuid;
  hold viva.holds;
  charge bigint;
  free bigint;
  usage uuid := pg_catalog.gen_random_uuid();
  details jsonb := p_metadata;
begin
  select user_id into owner from viva.holds where id = p_hold;
  -- The wallet is locked before the hold is read, and both may be gone: the person erased everything meanwhile.
  select balance - held into free from viva.wallets where user_id = owner for update;
  select * into hold from viva.holds where id = p_hold for update;
  if hold.id is null then
    return null;
  end if;
  if hold.state = 'settled' or (hold.state = 'released' and p_tokens = 0) then
    return hold.usage_id;
  end if;
  charge := greatest(0, least(p_tokens, hold.tokens));
  if hold.state = 'released' then
    charge := least(charge, free);
    details := details || '{"late": true}';
  end if;
  if charge < p_tokens then
    details := details || pg_catalog.jsonb_build_object('beyond_hold', p_tokens - charge);
  end if;
  update viva.wallets
     set balance = balance - charge,
         held = held - case when hold.state = 'open' then hold.tokens else 0 end,
         used = used + charge, cost_cents = cost_cents + p_cost_cents, updated_at = pg_catalog.now()
   where user_id = owner;
  if charge > 0 then
    insert into viva.ledger (user_id, kind, amount, reference)
      values (owner, 'charge', -charge, 'hold:' || p_hold);
  end if;
  insert into public.token_usage (id, user_id, action_type, model_used, tokens_used, input_tokens, output_tokens,
                                  cost_estimate, success, error_message, metadata)
    values (usage, owner, hold.action_type, hold.model, charge, p_input, p_output,
            p_cost_cents, p_success, p_error, details || pg_catalog.jsonb_build_object('hold', p_hold));
  update viva.holds
     set state = case when p_tokens = 0 and not p_success then 'released' else 'settled' end,
         usage_id = usage, ended_at = pg_catalog.now()
   where id = p_hold;
  perform viva.sync_profile(owner);
  return usage;
end $$;

-- Gives back what a piece of work still holds: its process died, or it ended another way.
create function viva.release_open_holds(p_work bigint, p_why text) returns void
language plpgsql set search_path = '' as $$
declare
  hold uuid;
begin
  for hold in select id from viva.holds where work_id = p_work and state = 'open' order by id loop
    perform viva.settle(hold, 0, 0, 0, 0, false, p_why, '{"usage_from": "none"}');
  end loop;
end $$;

-- Holds up to p_most tokens, and at least p_least, before a call is made. Returns how many were held (0 = refused)
-- and how many were free. One piece of work makes one call at a time, so whatever it still holds is of a process
-- that died in the middle, and is given back first.
create function viva.hold(p_hold uuid, p_user uuid, p_work bigint, p_step text, p_action text, p_model text,
                          p_most bigint, p_least bigint, out granted bigint, out free bigint)
language plpgsql set search_path = '' as $$
begin
  if p_work is not null then
    perform viva.release_open_holds(p_work, 'interrupted before an answer was stored');
  end if;
  select balance - held into free from viva.wallets where user_id = p_user for update;
  if free is null or free < p_least or p_least <= 0 or p_most < p_least then
    granted := 0;
    free := coalesce(free, 0);
    return;
  end if;
  granted := least(p_most, free);
  update viva.wallets set held = held + granted, updated_at = pg_catalog.now() where user_id = p_user;
  insert into viva.holds (id, user_id, work_id, step, action_type, model, tokens)
    values (p_hold, p_user, p_work, p_step, p_action, p_model, granted);
end $$;

-- Every difference between what is stored and what must be true. No rows = the ledger is exact.
create function viva.ledger_differences() returns table (user_id uuid, rule text, expected numeric, found numeric)
language sql stable set search_path = '' as $$
  with sums as (
    select w.user_id, w.balance, w.held, w.used, w.cost_cents,
           coalesce((select sum(l.amount) from viva.ledger l where l.user_id = w.user_id), 0) as ledger,
           coalesce((select -sum(l.amount) from viva.ledger l where l.user_id = w.user_id and l.kind = 'charge'), 0) as charged,
           coalesce((select sum(h.tokens) from viva.holds h where h.user_id = w.user_id and h.state = 'open'), 0) as open_holds,
           coalesce((select sum(t.tokens_used) from public.token_usage t where t.user_id = w.user_id), 0) as usage,
           coalesce((select sum(t.cost_estimate) from public.token_usage t where t.user_id = w.user_id), 0) as usage_cost,
           p.vibe_assistant_tokens_remaining as remaining, p.vibe_assistant_tokens_used as profile_used,
           p.vibe_assistant_total_cost as profile_cost
      from viva.wallets w
      left join public.user_profiles p on p.user_id = w.user_id and p.is_active
  )
  select user_id, 'balance = sum(ledger)', ledger, balance from sums where ledger <> balance
  union all select user_id, 'held = sum(open holds)', open_holds, held from sums where open_holds <> held
  union all select user_id, 'used = sum(charges)', charged, used from sums where charged <> used
  union all select user_id, 'used = sum(token_usage)', usage, used from sums where usage <> used
  union all select user_id, 'cost = sum(token_usage)', usage_cost, cost_cents from sums where usage_cost <> cost_cents
  union all select user_id, 'profile remaining', balance, remaining from sums where remaining is distinct from balance
  union all select user_id, 'profile used', used, profile_used from sums where profile_used is distinct from used
  union all select user_id, 'profile cost', round(cost_cents / 100, 2), profile_cost from sums
             where profile_cost is distinct from round(cost_cents / 100, 2)
$$;
