-- People of Telegram, and what VIVA keeps of them beside the seed's tables.

create table viva.telegram_accounts (
  telegram_id bigint primary key,
  user_id uuid not null unique default auth.uid() references auth.users (id) on delete cascade,
  chat_id bigint not null unique,
  first_name text,
  language_code text,
  time_zone text,
  consent_version integer,
  consented_at timestamptz,
  consent_declined_at timestamptz,
  blocked_at timestamptz,
  waiting_for jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table viva.telegram_accounts is 'Which person of Telegram is which person of auth.users.';
comment on column viva.telegram_accounts.first_name is 'As Telegram gave it on arrival, or as the person asked to be called.';
comment on column viva.telegram_accounts.language_code is 'IETF language tag of the person''s Telegram app.';
comment on column viva.telegram_accounts.time_zone is 'IANA name; null until the person has said.';
comment on column viva.telegram_accounts.consent_version is 'The wording of the consent that was agreed to.';
comment on column viva.telegram_accounts.blocked_at is 'Since when Telegram refuses our messages; null while they arrive.';
comment on column viva.telegram_accounts.waiting_for is 'What VIVA asked for and takes the next message as; null when nothing.';

select viva.protect('viva.telegram_accounts');
grant select on viva.telegram_accounts to authenticated;
grant update (
  first_name, language_code, time_zone, consent_version, consented_at, consent_declined_at, blocked_at, waiting_for
) on viva.telegram_accounts to authenticated;
create policy "Users can view their own account" on viva.telegram_accounts
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can update their own account" on viva.telegram_accounts
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.telegram_accounts for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.assessment_not_applicable (
  assessment_id uuid not null references public.assessment_results (id) on delete cascade,
  question_id text not null,
  marked_at timestamptz not null default now(),
  primary key (assessment_id, question_id)
);
comment on table viva.assessment_not_applicable is
  'Questions that the person said do not apply to them: no response row, out of the maximum, not asked again.';

select viva.protect('viva.assessment_not_applicable');
select viva.grant_own('viva.assessment_not_applicable');
create policy "Users can view their own not applicable questions" on viva.assessment_not_applicable
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can insert their own not applicable questions" on viva.assessment_not_applicable
  for insert to authenticated
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can update their own not applicable questions" on viva.assessment_not_applicable
  for update to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())))
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can delete their own not applicable questions" on viva.assessment_not_applicable
  for delete to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create trigger viva_keep_answers before insert or update or delete on viva.assessment_not_applicable
  for each row execute function viva.keep_answers();


create table viva.vision_proposals (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  vision_id uuid not null references public.vision_versions (id) on delete cascade,
  section_key text not null check (section_key in (
    'forward', 'fun', 'travel', 'home', 'family', 'romance', 'health', 'money',
    'business', 'social', 'possessions', 'giving', 'spirituality', 'conclusion'
  )),
  imagination text not null default '',
  text text not null default '',
  recordings jsonb not null default '[]'::jsonb,
  cut boolean not null default false,
  state text not null default 'drafting'
    check (state in ('drafting', 'proposed', 'kept', 'rejected', 'failed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index vision_proposals_user_id on viva.vision_proposals (user_id, created_at desc);
create index vision_proposals_vision_id on viva.vision_proposals (vision_id, section_key);
comment on table viva.vision_proposals is
  'What VIVA wrote for one section of a vision, until the person keeps or rejects it.';
comment on column viva.vision_proposals.section_key is 'The vision''s column name.';
comment on column viva.vision_proposals.imagination is 'What the person said they want; the highest authority.';
comment on column viva.vision_proposals.text is 'VIVA''s text; empty while drafting.';
comment on column viva.vision_proposals.recordings is
  'What the person said, as journal_entries.audio_recordings: [{url, transcript, type, category, duration, '
  'created_at}]. An empty transcript is not heard yet.';
comment on column viva.vision_proposals.cut is 'The text broke off: the person stopped it, or there was no room for more.';

select viva.protect('viva.vision_proposals');
select viva.grant_own('viva.vision_proposals');
create policy "Users can view their own vision proposals" on viva.vision_proposals
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own vision proposals" on viva.vision_proposals
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_versions as v where v.id = vision_id and v.user_id = (select auth.uid()))
  );
create policy "Users can update their own vision proposals" on viva.vision_proposals
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_versions as v where v.id = vision_id and v.user_id = (select auth.uid()))
  );
create policy "Users can delete their own vision proposals" on viva.vision_proposals
  for delete to authenticated using ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.vision_proposals for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create function viva.arrive(
  p_telegram_id bigint,
  p_chat_id bigint,
  p_first_name text,
  p_language_code text,
  p_starting_tokens bigint
) returns viva.telegram_accounts
language plpgsql
set search_path = ''
as $$
declare
  account viva.telegram_accounts;
begin
  select * into account from viva.telegram_accounts where telegram_id = p_telegram_id;
  if not found then
    -- Two updates of a new person can arrive at once; the second waits here and then finds the first one's rows.
    perform pg_advisory_xact_lock(hashtextextended('viva.arrive', p_telegram_id));
    select * into account from viva.telegram_accounts where telegram_id = p_telegram_id;
  end if;

  if found then
    if account.chat_id <> p_chat_id or account.blocked_at is not null then
      update viva.telegram_accounts set chat_id = p_chat_id, blocked_at = null
      where telegram_id = p_telegram_id
      returning * into account;
    end if;
    return account;
  end if;

  insert into viva.telegram_accounts (telegram_id, user_id, chat_id, first_name, language_code)
  values (p_telegram_id, viva.create_user(), p_chat_id, p_first_name, p_language_code)
  returning * into account;
  insert into public.user_profiles (user_id, first_name, version_number, is_active, vibe_assistant_tokens_remaining)
  values (account.user_id, p_first_name, 1, true, 0);
  perform viva.grant_tokens(account.user_id, p_starting_tokens, 'starting', 'starting:' || account.user_id, null);
  return account;
end
$$;
revoke all on function viva.arrive(bigint, bigint, text, text, bigint) from public;
grant execute on function viva.arrive(bigint, bigint, text, text, bigint) to service_role;
comment on function viva.arrive(bigint, bigint, text, text, bigint) is
  'The account of a person of Telegram; a new person gets a user, an active profile and the starting tokens, once. '
  'Whoever writes to us has not blocked us.';


create table viva.starting_grants (
  digest bytea primary key,
  granted_on date not null default current_date
);
comment on table viva.starting_grants is
  'Who had the starting tokens, as a keyed hash of the Telegram id that means nothing without the bot''s token. Outlives '
  'a person who deletes everything, for a year, so that starting tokens do not come again with each return.';
create index starting_grants_granted_on on viva.starting_grants (granted_on);
select viva.protect('viva.starting_grants');

create function viva.first_grant(p_digest bytea) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  delete from viva.starting_grants where granted_on < current_date - 365;
  insert into viva.starting_grants (digest) values (p_digest) on conflict (digest) do nothing;
  return found;
end
$$;
comment on function viva.first_grant(bytea) is 'Whether this hash has not had the starting tokens within a year; notes it.';
