-- Quiet notes on a balance that somebody else changed: an admin's word, and monthly tokens for those who were low or out.
-- The note is a job, put in with the change itself and known by the change's reference, so each is told once.

create function viva.tell_balance(p_user uuid, p_what text, p_tokens bigint, p_reference text) returns void
language plpgsql set search_path = '' as $$
begin
  perform viva.enqueue(pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
      'lane', 'balance:' || a.chat_id, 'kind', 'job', 'name', 'balance.changed', 'key', 'told:' || p_reference,
      'chat_id', a.chat_id, 'telegram_id', a.telegram_id,
      'payload', pg_catalog.jsonb_build_object('what', p_what, 'tokens', p_tokens))))
     from viva.telegram_accounts a where a.user_id = p_user;
end $$;
revoke all on function viva.tell_balance(uuid, text, bigint, text) from public, authenticated;
grant execute on function viva.tell_balance(uuid, text, bigint, text) to service_role;

-- As in 0008_grants, and it tells the person.
create or replace function viva.adjust(p_user uuid, p_amount bigint, p_reference text, p_reason text,
                                       out done boolean, out free bigint)
language plpgsql set search_path = '' as $$
begin
  select balance - held into free from viva.wallets where user_id = p_user for update;
  free := coalesce(free, 0);
  done := free + p_amount >= 0;
  if done then
    perform viva.grant_tokens(p_user, p_amount, 'admin', p_reference, p_reason);
    perform viva.tell_balance(p_user, case when p_amount > 0 then 'given' else 'taken' end, abs(p_amount), p_reference);
  end if;
end $$;

-- As in 0008_grants, and it tells the person if they had been warned that few were left, or had none.
create or replace function viva.drip(p_user uuid, p_amount bigint, p_cycles integer, p_now timestamptz default now())
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
  -- The row as it was before: the new grant has cleared the warning.
  if purse.warned_percent is not null or purse.balance - purse.held <= 0 then
    perform viva.tell_balance(p_user, 'dripped', p_amount, 'drip:' || p_user || ':' || period);
  end if;
  return true;
end $$;
