-- Packs of tokens, bought with Telegram Stars: orders, payments, and the functions that are the only way to change
-- them. An invoice is an order; each time it is paid is a payment of its own, known by Telegram's charge id, and is
-- credited once. What a pack holds and costs is data outside (prompts/packs/packs.toml); an order keeps what it was.

-- 'purchase' and 'refund' join the kinds that the ledger takes, whichever those are by now.
do $$
declare
  rule record;
  kinds text[];
begin
  select conname, pg_catalog.pg_get_constraintdef(oid) as definition into strict rule
    from pg_catalog.pg_constraint
   where conrelid = 'viva.ledger'::regclass and contype = 'c' and pg_catalog.pg_get_constraintdef(oid) like '%charge%';
  kinds := array(select distinct m[1] from pg_catalog.regexp_matches(rule.definition, '''([a-z_]+)''', 'g') m);
  if not kinds @> array['purchase', 'refund'] then
    kinds := array(select distinct kind from unnest(kinds || array['purchase', 'refund']) kind order by kind);
    execute format('alter table viva.ledger drop constraint %I', rule.conname);
    execute format('alter table viva.ledger add constraint %I check (kind = any (%L::text[]))', rule.conname, kinds);
  end if;
end $$;

create table viva.orders (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  pack_id text not null,
  tokens bigint not null check (tokens > 0),
  stars integer not null check (stars > 0),
  state text not null default 'open' check (state in ('open', 'paid', 'refunded')),
  telegram_payment_charge_id text unique,
  created_at timestamptz not null default now(),
  paid_at timestamptz,
  refunded_at timestamptz
);
create index orders_user on viva.orders (user_id, created_at desc);
comment on table viva.orders is 'Packs that people asked an invoice for. The id is the invoice''s payload.';
comment on column viva.orders.telegram_payment_charge_id is 'The payment that paid it first; there may be more, in viva.payments.';

create table viva.payments (
  telegram_payment_charge_id text primary key,
  id uuid not null unique default gen_random_uuid(),
  user_id uuid references auth.users on delete set null,
  order_id uuid references viva.orders on delete set null,
  stars integer not null check (stars > 0),
  tokens bigint not null check (tokens >= 0),
  state text not null default 'paid' check (state in ('paid', 'refunding', 'refunded')),
  refund_tries integer not null default 0,
  shortfall bigint not null default 0 check (shortfall >= 0),
  created_at timestamptz not null default now(),
  refunded_at timestamptz
);
create index payments_user on viva.payments (user_id, created_at desc);
create index payments_order on viva.payments (order_id);
comment on table viva.payments is
  'Every payment Telegram reported, once. It outlives its person without naming them, so that the books still agree.';
comment on column viva.payments.tokens is 'What was credited for it; 0 where it fitted no order, and so is given back.';
comment on column viva.payments.shortfall is 'Tokens that were spent before Telegram returned the Stars without asking us.';

select viva.protect('viva.orders'), viva.protect('viva.payments');
-- People see their own; an order says what a payment credits, so only the service writes it.
grant select on viva.orders, viva.payments to authenticated;
create policy "People see their own orders" on viva.orders
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "People see their own payments" on viva.payments
  for select to authenticated using ((select auth.uid()) = user_id);

-- An open order for a pack. One of the last minute is used again: a double tap asks for one invoice.
create function viva.order_pack(p_user uuid, p_pack text, p_tokens bigint, p_stars integer) returns uuid
language plpgsql set search_path = '' as $$
declare
  chosen uuid := (select o.id from viva.orders o
                   where o.user_id = p_user and o.pack_id = p_pack and o.tokens = p_tokens and o.stars = p_stars
                     and o.state = 'open' and o.created_at > pg_catalog.now() - interval '1 minute'
                   order by o.created_at desc limit 1);
begin
  if chosen is null then
    insert into viva.orders (user_id, pack_id, tokens, stars) values (p_user, p_pack, p_tokens, p_stars)
      returning id into chosen;
  end if;
  return chosen;
end $$;

-- Records a payment and credits its order's tokens, once per charge id. `outcome` is 'credited'; 'known' when the
-- charge id stands already; 'misfit' when no order of this person's has this price: then nothing is credited.
create function viva.credit_payment(p_user uuid, p_order uuid, p_charge text, p_stars integer,
                                    out outcome text, out payment_id uuid, out tokens bigint, out balance bigint)
language plpgsql set search_path = '' as $$
declare
  paid viva.orders;
begin
  insert into viva.payments (telegram_payment_charge_id, user_id, stars, tokens)
    values (p_charge, p_user, p_stars, 0) on conflict (telegram_payment_charge_id) do nothing
    returning id into payment_id;
  if payment_id is null then
    outcome := 'known';
  else
    select * into paid from viva.orders o where o.id = p_order and o.user_id = p_user and o.stars = p_stars for update;
    if paid.id is null then
      outcome := 'misfit';
    else
      outcome := 'credited';
      update viva.orders
         set state = 'paid', paid_at = coalesce(paid_at, pg_catalog.now()), refunded_at = null,
             telegram_payment_charge_id = coalesce(telegram_payment_charge_id, p_charge)
       where id = paid.id;
      update viva.payments p set order_id = paid.id, tokens = paid.tokens where p.telegram_payment_charge_id = p_charge;
      perform viva.grant_tokens(p_user, paid.tokens, 'purchase', 'stars:' || p_charge, paid.pack_id);
    end if;
  end if;
  select p.id, p.tokens into payment_id, tokens from viva.payments p where p.telegram_payment_charge_id = p_charge;
  select w.balance into balance from viva.wallets w where w.user_id = p_user;
end $$;

-- Takes tokens of a payment back out of the balance, up to what is free; how many were taken.
create function viva.debit_payment(p_charge text, p_user uuid, p_tokens bigint, p_reference text) returns bigint
language plpgsql set search_path = '' as $$
declare
  free bigint := (select w.balance - w.held from viva.wallets w where w.user_id = p_user for update);
  taken bigint := least(p_tokens, coalesce(free, 0));
begin
  if taken > 0 then
    insert into viva.ledger (user_id, kind, amount, reference, takes_back)
      values (p_user, 'refund', -taken, p_reference,
              (select l.id from viva.ledger l where l.reference = 'stars:' || p_charge));
    update viva.wallets set balance = balance - taken, updated_at = pg_catalog.now() where user_id = p_user;
    perform viva.sync_profile(p_user);
  end if;
  return taken;
end $$;

-- How many tokens the person may give back: bought, unspent, and not promised to a call under way, which may take
-- what was bought as well. Tokens that were a gift pay for no refund.
create function viva.returnable(p_user uuid) returns bigint
language sql stable set search_path = '' as $$
  select least(w.balance - w.held,
               (select coalesce(sum(g.left_tokens), 0) from viva.grants g
                 where g.user_id = p_user and g.kind = 'purchase'))::bigint
    from viva.wallets w where w.user_id = p_user
$$;

-- Begins a refund: the tokens go at once, so that they cannot be spent while Telegram is asked. `outcome` is
-- 'begun'; 'spent' when fewer than its tokens are `unspent`, and nothing happens; 'refunding' or 'refunded' where
-- that is so already; 'unknown' when no such payment is this person's.
create function viva.begin_refund(p_user uuid, p_payment uuid, out outcome text, out tokens bigint, out unspent bigint)
language plpgsql set search_path = '' as $$
declare
  payment viva.payments;
begin
  select * into payment from viva.payments p where p.id = p_payment and p.user_id = p_user for update;
  tokens := coalesce(payment.tokens, 0);
  perform 1 from viva.wallets w where w.user_id = p_user for update;
  unspent := coalesce(viva.returnable(p_user), 0);
  outcome := case
    when payment.id is null then 'unknown'
    when payment.state <> 'paid' then payment.state
    when unspent < payment.tokens then 'spent'
    else 'begun' end;
  if outcome <> 'begun' then
    return;
  end if;
  update viva.payments p set state = 'refunding', refund_tries = p.refund_tries + 1 where p.id = p_payment;
  perform viva.debit_payment(payment.telegram_payment_charge_id, p_user, payment.tokens,
    'refund:' || payment.telegram_payment_charge_id
      || case when payment.refund_tries = 0 then '' else ':' || payment.refund_tries + 1 end);
end $$;

-- Marks a payment returned, and its order once nothing of it stays paid.
create function viva.mark_refunded(p_charge text, p_shortfall bigint) returns void
language plpgsql set search_path = '' as $$
begin
  update viva.payments set state = 'refunded', refunded_at = pg_catalog.now(), shortfall = p_shortfall
   where telegram_payment_charge_id = p_charge;
  update viva.orders o set state = 'refunded', refunded_at = pg_catalog.now()
   where o.id = (select p.order_id from viva.payments p where p.telegram_payment_charge_id = p_charge)
     and not exists (select from viva.payments p where p.order_id = o.id and p.state <> 'refunded');
end $$;

-- Ends a refund: Telegram has returned the Stars. False when it had ended already.
create function viva.end_refund(p_payment uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  charge text := (select p.telegram_payment_charge_id from viva.payments p
                   where p.id = p_payment and p.state = 'refunding' for update);
begin
  if charge is not null then
    perform viva.mark_refunded(charge, 0);
  end if;
  return charge is not null;
end $$;

-- Undoes a refund that Telegram refused: the tokens come back. False when there was none under way.
create function viva.undo_refund(p_payment uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  payment viva.payments;
begin
  select * into payment from viva.payments p where p.id = p_payment and p.state = 'refunding' for update;
  if payment.id is null then
    return false;
  end if;
  update viva.payments p set state = 'paid' where p.id = p_payment;
  if payment.user_id is not null then
    perform viva.grant_tokens(payment.user_id, payment.tokens, 'purchase',
      'refund-undone:' || payment.telegram_payment_charge_id || ':' || payment.refund_tries, null);
  end if;
  return true;
end $$;

-- Telegram says that it returned the Stars of a payment. One that we began is ended; of one that we did not, what can
-- be taken of its tokens is taken. A charge id that we never saw is kept, so that it can never be credited later.
-- `outcome` is 'ended', 'taken', 'known' or 'unknown'.
create function viva.take_refund(p_user uuid, p_charge text, p_stars integer,
                                 out outcome text, out taken bigint, out balance bigint)
language plpgsql set search_path = '' as $$
declare
  payment viva.payments;
begin
  taken := 0;
  insert into viva.payments (telegram_payment_charge_id, user_id, stars, tokens, state, refunded_at)
    values (p_charge, p_user, p_stars, 0, 'refunded', pg_catalog.now()) on conflict (telegram_payment_charge_id) do nothing;
  if found then
    outcome := 'unknown';
  else
    select * into payment from viva.payments p where p.telegram_payment_charge_id = p_charge for update;
    outcome := case payment.state when 'refunding' then 'ended' when 'refunded' then 'known' else 'taken' end;
    if outcome = 'ended' then
      perform viva.mark_refunded(p_charge, 0);
    elsif outcome = 'taken' then
      if payment.user_id is not null then
        taken := viva.debit_payment(p_charge, payment.user_id, payment.tokens, 'refund:' || p_charge);
      end if;
      perform viva.mark_refunded(p_charge, payment.tokens - taken);
    end if;
  end if;
  select w.balance into balance from viva.wallets w where w.user_id = p_user;
end $$;
