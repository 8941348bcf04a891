-- Row-level security on every table, forced, in Supabase's own words: the same policies serve both.
--   view, insert, update, delete: one's own rows
--   meter and insights: viewed by the person, written by the service
-- `(select auth.uid())` is asked once a statement; bare, it would be asked for every row.

do $$
declare
  name text;
begin
  foreach name in array array[
    'user_profiles', 'vision_versions', 'assessment_results', 'assessment_responses', 'assessment_insights',
    'journal_entries', 'audio_tracks', 'vision_board_items', 'token_usage', 'ai_conversations'
  ] loop
    perform viva.protect(format('public.%I', name)::regclass);
  end loop;
end
$$;


-- viva.grant_own: what a person may do with a table's columns, where the policies beside it let them.
create function viva.grant_own(target regclass, never_written text[] default '{}') returns void
language plpgsql
set search_path = ''
as $$
declare
  insertable text;
  updatable text;
begin
  select
    string_agg(format('%I', attname), ', '),
    string_agg(format('%I', attname), ', ') filter (where attname <> all (array['id', 'user_id', 'assessment_id']))
  into insertable, updatable
  from pg_catalog.pg_attribute
  where attrelid = target and attnum > 0 and not attisdropped and attgenerated = ''
    and attname <> all (never_written);
  execute format(
    'grant select, insert (%s), update (%s), delete on table %s to authenticated', insertable, updatable, target);
end
$$;
revoke all on function viva.grant_own(regclass, text[]) from public;
comment on function viva.grant_own(regclass, text[]) is
  'For migrations: lets `authenticated` select, insert, update and delete, but never write the columns named, nor '
  'change whose a row is (id, user_id, assessment_id).';

-- People could once update their own balance under row policy: the meter's columns are the meter's.
select viva.grant_own('public.user_profiles', array[
  'vibe_assistant_tokens_used', 'vibe_assistant_tokens_remaining', 'vibe_assistant_total_cost',
  'token_rollover_cycles', 'token_last_drip_date', 'auto_topup_enabled', 'auto_topup_pack_id', 'storage_quota_gb'
]);
select viva.grant_own('public.vision_versions');
select viva.grant_own('public.assessment_results');
select viva.grant_own('public.assessment_responses');
select viva.grant_own('public.journal_entries');
select viva.grant_own('public.audio_tracks');
select viva.grant_own('public.vision_board_items');
select viva.grant_own('public.ai_conversations');
grant select on public.token_usage, public.assessment_insights to authenticated;


-- A reference to another's row would tell that it exists, or keep them from deleting it. A function, because a policy
-- of user_profiles cannot ask user_profiles.
create function viva.owns_profile(p_profile uuid) returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (select from public.user_profiles where id = p_profile and user_id = (select auth.uid()))
$$;
revoke all on function viva.owns_profile(uuid) from public;
grant execute on function viva.owns_profile(uuid) to authenticated, service_role;
comment on function viva.owns_profile(uuid) is 'Whether this profile version is of the person of this transaction.';


drop policy if exists "Users can view their own profiles" on public.user_profiles;
create policy "Users can view their own profiles" on public.user_profiles
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own profiles" on public.user_profiles;
create policy "Users can insert their own profiles" on public.user_profiles
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and (parent_version_id is null or viva.owns_profile(parent_version_id))
  );
drop policy if exists "Users can update their own profiles" on public.user_profiles;
create policy "Users can update their own profiles" on public.user_profiles
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and (parent_version_id is null or viva.owns_profile(parent_version_id))
  );
drop policy if exists "Users can delete their own profiles" on public.user_profiles;
create policy "Users can delete their own profiles" on public.user_profiles
  for delete to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can view their own visions" on public.vision_versions;
create policy "Users can view their own visions" on public.vision_versions
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own visions" on public.vision_versions;
create policy "Users can insert their own visions" on public.vision_versions
  for insert to authenticated with check ((select auth.uid()) = user_id);
drop policy if exists "Users can update their own visions" on public.vision_versions;
create policy "Users can update their own visions" on public.vision_versions
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
drop policy if exists "Users can delete their own visions" on public.vision_versions;
create policy "Users can delete their own visions" on public.vision_versions
  for delete to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can view their own assessments" on public.assessment_results;
create policy "Users can view their own assessments" on public.assessment_results
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own assessments" on public.assessment_results;
create policy "Users can insert their own assessments" on public.assessment_results
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and (profile_version_id is null or viva.owns_profile(profile_version_id))
  );
drop policy if exists "Users can update their own assessments" on public.assessment_results;
create policy "Users can update their own assessments" on public.assessment_results
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and (profile_version_id is null or viva.owns_profile(profile_version_id))
  );
drop policy if exists "Users can delete their own assessments" on public.assessment_results;
create policy "Users can delete their own assessments" on public.assessment_results
  for delete to authenticated using ((select auth.uid()) = user_id);


-- Answers and insights are a person's through their assessment; what they can see of it is their own.
drop policy if exists "Users can view their own assessment responses" on public.assessment_responses;
create policy "Users can view their own assessment responses" on public.assessment_responses
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
drop policy if exists "Users can insert their own assessment responses" on public.assessment_responses;
create policy "Users can insert their own assessment responses" on public.assessment_responses
  for insert to authenticated
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
drop policy if exists "Users can update their own assessment responses" on public.assessment_responses;
create policy "Users can update their own assessment responses" on public.assessment_responses
  for update to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())))
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
drop policy if exists "Users can delete their own assessment responses" on public.assessment_responses;
create policy "Users can delete their own assessment responses" on public.assessment_responses
  for delete to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));

drop policy if exists "Users can view their own assessment insights" on public.assessment_insights;
create policy "Users can view their own assessment insights" on public.assessment_insights
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));


drop policy if exists "Users can view their own journal entries" on public.journal_entries;
create policy "Users can view their own journal entries" on public.journal_entries
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own journal entries" on public.journal_entries;
create policy "Users can insert their own journal entries" on public.journal_entries
  for insert to authenticated with check ((select auth.uid()) = user_id);
drop policy if exists "Users can update their own journal entries" on public.journal_entries;
create policy "Users can update their own journal entries" on public.journal_entries
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
drop policy if exists "Users can delete their own journal entries" on public.journal_entries;
create policy "Users can delete their own journal entries" on public.journal_entries
  for delete to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can select their own audio tracks" on public.audio_tracks;
create policy "Users can select their own audio tracks" on public.audio_tracks
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own audio tracks" on public.audio_tracks;
create policy "Users can insert their own audio tracks" on public.audio_tracks
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_versions as v where v.id = vision_id and v.user_id = (select auth.uid()))
  );
drop policy if exists "Users can update their own audio tracks" on public.audio_tracks;
create policy "Users can update their own audio tracks" on public.audio_tracks
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_versions as v where v.id = vision_id and v.user_id = (select auth.uid()))
  );
drop policy if exists "Users can delete their own audio tracks" on public.audio_tracks;
create policy "Users can delete their own audio tracks" on public.audio_tracks
  for delete to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can view their own vision board items" on public.vision_board_items;
create policy "Users can view their own vision board items" on public.vision_board_items
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own vision board items" on public.vision_board_items;
create policy "Users can insert their own vision board items" on public.vision_board_items
  for insert to authenticated with check ((select auth.uid()) = user_id);
drop policy if exists "Users can update their own vision board items" on public.vision_board_items;
create policy "Users can update their own vision board items" on public.vision_board_items
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
drop policy if exists "Users can delete their own vision board items" on public.vision_board_items;
create policy "Users can delete their own vision board items" on public.vision_board_items
  for delete to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can view their own token usage" on public.token_usage;
create policy "Users can view their own token usage" on public.token_usage
  for select to authenticated using ((select auth.uid()) = user_id);


drop policy if exists "Users can view their own conversations" on public.ai_conversations;
create policy "Users can view their own conversations" on public.ai_conversations
  for select to authenticated using ((select auth.uid()) = user_id);
drop policy if exists "Users can insert their own conversations" on public.ai_conversations;
create policy "Users can insert their own conversations" on public.ai_conversations
  for insert to authenticated with check ((select auth.uid()) = user_id);
drop policy if exists "Users can update their own conversations" on public.ai_conversations;
create policy "Users can update their own conversations" on public.ai_conversations
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
drop policy if exists "Users can delete their own conversations" on public.ai_conversations;
create policy "Users can delete their own conversations" on public.ai_conversations
  for delete to authenticated using ((select auth.uid()) = user_id);
