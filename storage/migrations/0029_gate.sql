-- The gate of the bot lets the oldest messages pass and costs nothing while it is closed; the check of the ledger goes by
-- batches of people; what erasing and pruning look for is found by an index.
-- Functions of an earlier version stay where its processes may still be running while this one starts.

-- ----------------------------------------------------------------------------------------- the gate

alter table viva.outbox add column unasked boolean not null default false;
comment on column viva.outbox.unasked is 'Nobody waits for it, such as a reminder: it lets what somebody waits for pass.';

alter table viva.outbox_chats add column unasked boolean not null default false,
  add column paid boolean not null default false;
comment on column viva.outbox_chats.unasked is 'Whether all that waits in the chat is unasked.';
comment on column viva.outbox_chats.paid is 'The claim has paid at the gate of the bot for one message already.';
create index outbox_chats_due_in_turn on viva.outbox_chats (unasked, due_at) where claimed_by is null;
drop index viva.outbox_chats_due;

-- How many messages may pass the gate of the bot now: one each p_gap, with a burst of a second, and never of fewer
-- than 30. What it is told was read before, or is locked, by whoever asks.
create function viva.open_gate(p_next_free timestamptz, p_gap interval) returns integer
language sql volatile set search_path = '' as $$
  select greatest(0, 1 + floor(extract(epoch from greatest(30 * p_gap, interval '1 second')
                                                  - (greatest(p_next_free, moment) - moment))
                               / extract(epoch from p_gap)))::integer
    from pg_catalog.clock_timestamp() as moment
$$;

-- Takes up to p_most passes through the gate, or gives some back (below zero); returns how many were to be had.
create function viva.pass_gate(p_most integer, p_gap interval) returns integer
language plpgsql set search_path = '' as $$
declare
  next_free timestamptz;
  passes integer;
begin
  select next_free_at into next_free from viva.gates where name = 'telegram' for update;
  passes := least(p_most, viva.open_gate(next_free, p_gap));
  if passes <> 0 then
    update viva.gates set next_free_at = greatest(next_free, pg_catalog.clock_timestamp()) + passes * p_gap
     where name = 'telegram';
  end if;
  return passes;
end $$;

-- As before; what waits for nobody is marked, and a chat in which only such messages wait.
create or replace function viva.post(p_outbox jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  insert into viva.outbox_chats as c (chat_id, due_at, unasked)
    select (item ->> 'chat_id')::bigint, pg_catalog.now(), bool_and(coalesce((item ->> 'unasked')::boolean, false))
      from pg_catalog.jsonb_array_elements(p_outbox) item group by 1 order by 1
    on conflict (chat_id) do update
       set due_at = least(c.due_at, excluded.due_at),
           unasked = excluded.unasked and (c.unasked or c.due_at = 'infinity');
  insert into viva.outbox (chat_id, key, method, payload, unasked)
    select (item ->> 'chat_id')::bigint, item ->> 'key', item ->> 'method', item -> 'payload',
           coalesce((item ->> 'unasked')::boolean, false)
      from pg_catalog.jsonb_array_elements(p_outbox) with ordinality as items (item, place)
     order by place
    on conflict (key) do nothing;
end $$;

-- Claims up to p_limit due chats, but no more than may pass the gate of the bot now, which they have then passed with
-- a message each: first those in which somebody waits for something, of these and of the others the oldest first.
-- What cannot pass stays where it is in the line. Who waits here has locked the gate alone and waits for nobody else.
create function viva.claim_sends(p_process uuid, p_limit integer, p_all_gap interval)
returns table (chat_id bigint, fence uuid)
language plpgsql set search_path = '' as $$
#variable_conflict use_column
declare
  passes integer;
  claimed integer;
begin
  -- Looked at without a lock first: most of the time there is nothing to claim, or the gate is closed.
  if not exists (select from viva.outbox_chats c
                  where c.claimed_by is null and not c.unasked and c.due_at <= pg_catalog.now())
     and not exists (select from viva.outbox_chats c
                      where c.claimed_by is null and c.unasked and c.due_at <= pg_catalog.now())
     or (select viva.open_gate(g.next_free_at, p_all_gap) from viva.gates g where g.name = 'telegram') = 0 then
    return;
  end if;
  passes := viva.pass_gate(p_limit, p_all_gap);
  return query
    with asked as materialized (
      select free.chat_id from viva.outbox_chats free
       where free.claimed_by is null and not free.unasked and free.due_at <= pg_catalog.now()
       order by free.due_at limit passes for update skip locked
    ), others as materialized (
      select free.chat_id from viva.outbox_chats free
       where free.claimed_by is null and free.unasked and free.due_at <= pg_catalog.now()
       order by free.due_at limit passes - (select count(*) from asked) for update skip locked
    )
    update viva.outbox_chats c
       set claimed_by = p_process, fence = pg_catalog.gen_random_uuid(), paid = true
      from (select a.chat_id from asked a union all select o.chat_id from others o) due
     where c.chat_id = due.chat_id
    returning c.chat_id, c.fence;
  get diagnostics claimed = row_count;
  if claimed < passes then
    perform viva.pass_gate(claimed - passes, p_all_gap);
  end if;
end $$;

-- The head of a claimed chat, through both gates. With nothing to send now the chat is given back and no row comes;
-- `due_at` of the chat says when to look again. Where only the gate of the bot is closed, that is when its head was
-- due: the chat keeps its place in the line.
create or replace function viva.next_send(p_chat bigint, p_fence uuid, p_chat_gap interval, p_all_gap interval)
returns setof viva.outbox
language plpgsql set search_path = '' as $$
declare
  head viva.outbox;
  later viva.outbox;
  chat_free timestamptz;
  has_paid boolean;
  moment timestamptz := pg_catalog.clock_timestamp();
  wait_until timestamptz;
begin
  perform viva.hold_chat(p_chat, p_fence);
  select next_free_at, paid into chat_free, has_paid from viva.outbox_chats where chat_id = p_chat;
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
  wait_until := greatest(head.due_at, chat_free - 2 * p_chat_gap);
  if head.id is not null and wait_until <= moment then
    if has_paid or viva.pass_gate(1, p_all_gap) = 1 then
      update viva.outbox_chats set next_free_at = greatest(chat_free, moment) + p_chat_gap, paid = false
       where chat_id = p_chat;
      return next head;
      return;
    end if;
  elsif has_paid then
    perform viva.pass_gate(-1, p_all_gap);
  end if;
  if head.id is not null then
    update viva.outbox_chats
       set claimed_by = null, fence = null, paid = false, due_at = wait_until,
           unasked = (select bool_and(o.unasked) from viva.outbox o where o.chat_id = p_chat and o.state = 'waiting')
     where chat_id = p_chat;
  elsif exists (select from viva.telegram_accounts where chat_id = p_chat) then
    update viva.outbox_chats set claimed_by = null, fence = null, paid = false, due_at = 'infinity'
     where chat_id = p_chat;
  else
    delete from viva.outbox_chats where chat_id = p_chat;
  end if;
end $$;

-- --------------------------------------------------------------------------------- the ledger's checks

-- Every difference between what is stored of these people and what must be true. No rows = their ledger is exact.
create function viva.ledger_differences(p_users uuid[])
returns table (user_id uuid, rule text, expected numeric, found numeric)
language sql stable set search_path = '' as $$
  with wallets as (
    select w.* from viva.wallets w where w.user_id = any (p_users)
  ), sums as (
    select w.user_id, w.balance, w.held, w.used, w.cost_cents,
           coalesce((select sum(l.amount) from viva.ledger l where l.user_id = w.user_id), 0) as ledger,
           coalesce((select -sum(l.amount) from viva.ledger l
                      where l.user_id = w.user_id and l.kind = 'charge'), 0) as charged,
           coalesce((select sum(h.tokens) from viva.holds h
                      where h.user_id = w.user_id and h.state = 'open'), 0) as open_holds,
           coalesce((select sum(t.tokens_used) from public.token_usage t where t.user_id = w.user_id), 0) as usage,
           coalesce((select sum(t.cost_estimate) from public.token_usage t where t.user_id = w.user_id), 0) as usage_cost,
           coalesce((select sum(g.left_tokens) from viva.grants g where g.user_id = w.user_id), 0) as left_of_grants,
           p.vibe_assistant_tokens_remaining as remaining, p.vibe_assistant_tokens_used as profile_used,
           p.vibe_assistant_total_cost as profile_cost
      from wallets w
      left join public.user_profiles p on p.user_id = w.user_id and p.is_active
  ), versions as (
    select p.*, coalesce(p.is_active, false) as active,
           w.rollover_cycles, w.dripped_at, w.auto_topup_enabled as tops_up, w.auto_topup_pack_id as tops_up_with
      from public.user_profiles p
      join wallets w on w.user_id = p.user_id
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
  union all select user_id, 'balance = sum(left of grants)', balance, left_of_grants from sums
             where balance <> left_of_grants
  union all
  select coalesce(l.user_id, g.user_id), 'one grant for each gift', l.amount, g.amount
    from (select id, user_id, amount from viva.ledger where amount > 0 and user_id = any (p_users)) l
    full join (select ledger_id, user_id, amount from viva.grants where user_id = any (p_users)) g on g.ledger_id = l.id
   where l.amount is distinct from g.amount
  union all
  select w.user_id, 'one active profile version', 1, count(p.id)
    from wallets w
    left join public.user_profiles p on p.user_id = w.user_id and p.is_active
   group by w.user_id
  having count(p.id) <> 1
  union all select user_id, 'no balance on an old profile version', 0, vibe_assistant_tokens_remaining from versions
             where not active and vibe_assistant_tokens_remaining is distinct from 0
  union all select user_id, 'nothing used on an old profile version', 0, vibe_assistant_tokens_used from versions
             where not active and vibe_assistant_tokens_used is distinct from 0
  union all select user_id, 'no cost on an old profile version', 0, vibe_assistant_total_cost from versions
             where not active and vibe_assistant_total_cost is distinct from 0
  union all select user_id, 'profile rollover cycles', case when is_active then rollover_cycles else 0 end,
                   token_rollover_cycles from versions
             where token_rollover_cycles is distinct from case when is_active then rollover_cycles else 0 end
  union all select user_id, 'profile last drip', extract(epoch from case when is_active then dripped_at end),
                   extract(epoch from token_last_drip_date) from versions
             where token_last_drip_date is distinct from case when is_active then dripped_at end
  union all select user_id, 'profile auto top-up', (active and tops_up)::integer, auto_topup_enabled::integer
              from versions
             where auto_topup_enabled is distinct from (active and tops_up)
                or auto_topup_pack_id is distinct from case when is_active then tops_up_with end
  union all
  select w.user_id, 'auto top-up = an active subscription',
         (exists (select from viva.topups t where t.user_id = w.user_id and t.state = 'active'))::integer,
         w.auto_topup_enabled::integer
    from wallets w
   where w.auto_topup_enabled
         is distinct from exists (select from viva.topups t where t.user_id = w.user_id and t.state = 'active')
$$;

-- The same of everybody, in one statement: for a database that is not large.
create or replace function viva.ledger_differences()
returns table (user_id uuid, rule text, expected numeric, found numeric)
language sql stable set search_path = '' as $$
  select d.user_id, d.rule, d.expected, d.found
    from viva.ledger_differences(array(select w.user_id from viva.wallets w)) d
$$;
drop function viva.grant_differences(), viva.meter_differences();

-- ------------------------------------------------------------------------------------------- indexes

-- For erasing a person without reading what is kept of all others.
create index work_of_chat on viva.work (chat_id);
create index outbox_of_chat on viva.outbox (chat_id);
-- For the pruning of what calls of long ago might have cost.
create index holds_ended on viva.holds (ended_at) where state <> 'open';

-- ------------------------------------------------------------------------------- who may call what

do $$
declare
  target regprocedure;
begin
  for target in
    select oid::regprocedure from pg_catalog.pg_proc
    where pronamespace = 'viva'::regnamespace
      and proname in ('open_gate', 'pass_gate', 'claim_sends', 'ledger_differences')
  loop
    execute format('revoke all on function %s from public, authenticated', target);
    execute format('grant execute on function %s to service_role', target);
  end loop;
end $$;
