-- What we change about the seed's tables, each with its reason.

-- A person's row knows its owner by itself: queries carry no user_id.
do $$
declare
  name text;
begin
  foreach name in array array[
    'user_profiles', 'vision_versions', 'assessment_results', 'journal_entries',
    'audio_tracks', 'vision_board_items', 'token_usage', 'ai_conversations'
  ] loop
    execute format('alter table public.%I alter column user_id set default auth.uid()', name);
  end loop;
end
$$;


-- Constraints of the seed are found by what they say: an older database may have named them otherwise.
create function viva.drop_constraints(target regclass, kind "char", columns text[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  name text;
begin
  for name in
    select conname from pg_catalog.pg_constraint
    where conrelid = target and contype = kind
      and (
        select array_agg(attname::text order by attname)
        from pg_catalog.pg_attribute
        where attrelid = target and attnum = any (conkey)
      ) = (select array_agg(c order by c) from unnest(columns) as c)
  loop
    execute format('alter table %s drop constraint %I', target, name);
  end loop;
end
$$;
revoke all on function viva.drop_constraints(regclass, "char", text[]) from public;
comment on function viva.drop_constraints(regclass, "char", text[]) is
  'For migrations: drops the constraints of one kind (as pg_constraint.contype) over exactly these columns.';


-- Profiles. The seed's `unique (user_id)` forbids the versions that its own columns describe.
select viva.drop_constraints('public.user_profiles', 'u', array['user_id']);

-- Of a database in use: everyone keeps an active profile, and a doubled number is counted anew. Triggers of its own
-- must not take this for a person's change.
alter table public.user_profiles disable trigger user;

update public.user_profiles as profile
set is_active = true
where profile.id in (
  select distinct on (user_id) id
  from public.user_profiles
  where is_draft is not true
  order by user_id, version_number desc nulls last, updated_at desc nulls last, id
)
and not exists (
  select from public.user_profiles as other
  where other.user_id = profile.user_id and other.is_active
);

update public.user_profiles as profile
set version_number = counted.number
from (
  select id, row_number() over (partition by user_id order by version_number nulls first, created_at, id) as number
  from public.user_profiles
) as counted
where counted.id = profile.id
and profile.user_id in (
  select user_id from public.user_profiles group by user_id, version_number having count(*) > 1
);

alter table public.user_profiles enable trigger user;

create unique index user_profiles_one_active on public.user_profiles (user_id) where is_active;
create unique index user_profiles_one_draft on public.user_profiles (user_id) where is_draft;
alter table public.user_profiles
  add constraint user_profiles_version_unique unique (user_id, version_number);
comment on index public.user_profiles_one_active is 'One active profile a person; older versions stay as history.';
comment on index public.user_profiles_one_draft is 'One draft profile a person.';

-- Unknown is null: an unanswered "children" was read as "no" and chose the wrong questions.
alter table public.user_profiles
  alter column has_children drop default,
  alter column number_of_children drop default;
comment on column public.user_profiles.has_children is 'Null until the person has said.';
comment on column public.user_profiles.number_of_children is 'Null until the person has said.';
comment on column public.user_profiles.vibe_assistant_tokens_remaining is
  'Kept by the meter, on the active row. The default of 100 is the seed''s and stands in no ledger: '
  'VIVA opens a profile with 0 and a grant.';
comment on column public.user_profiles.vibe_assistant_total_cost is 'US dollars. Kept by the meter, on the active row.';


-- Visions: one draft, one active.
do $$
declare
  people bigint;
begin
  select count(*) into people
  from (select from public.vision_versions where status = 'draft' group by user_id having count(*) > 1) as several;
  if people > 0 then
    raise exception using message = format(
      '%s people have more than one draft vision, and VIVA keeps one draft a person. Which one to keep is not ours '
      'to choose: complete or delete the others and migrate again. They are found by: select user_id, count(*) '
      'from public.vision_versions where status = ''draft'' group by user_id having count(*) > 1;', people);
  end if;
end
$$;

alter table public.vision_versions disable trigger user;

update public.vision_versions as vision
set version_number = counted.number
from (
  select id, row_number() over (partition by user_id order by version_number, created_at, id) as number
  from public.vision_versions
) as counted
where counted.id = vision.id
and vision.user_id in (
  select user_id from public.vision_versions group by user_id, version_number having count(*) > 1
);

alter table public.vision_versions
  add column if not exists is_active boolean not null default false,
  add constraint vision_versions_version_unique unique (user_id, version_number);

-- Of a database in use: active is the one that the seed's query "Get User's Active Vision" gives.
update public.vision_versions as vision
set is_active = true
where vision.id in (
  select distinct on (user_id) id
  from public.vision_versions
  where status = 'complete'
  order by user_id, updated_at desc, id
)
and not exists (
  select from public.vision_versions as other
  where other.user_id = vision.user_id and other.is_active
);

alter table public.vision_versions enable trigger user;

alter table public.vision_versions
  add constraint vision_versions_active_is_complete check (not is_active or status = 'complete');
create unique index vision_versions_one_draft on public.vision_versions (user_id) where status = 'draft';
create unique index vision_versions_one_active on public.vision_versions (user_id) where is_active;
comment on column public.vision_versions.is_active is
  'The vision the person lives by now. Completing a draft makes it the active one in the same transaction.';
comment on index public.vision_versions_one_draft is 'One draft vision a person.';
comment on index public.vision_versions_one_active is 'One active vision a person; older ones stay readable.';

create function viva.keep_vision() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  free constant text[] := array['is_active', 'last_audio_generated_at', 'updated_at'];
  filled integer;
begin
  if tg_op = 'UPDATE' and old.status = 'complete' then
    if to_jsonb(new) - free is distinct from to_jsonb(old) - free then
      raise exception 'a completed vision does not change' using errcode = 'restrict_violation';
    end if;
    -- The seed takes the complete vision with the latest updated_at for the active one: only becoming active moves it.
    new.updated_at := case when new.is_active and not old.is_active then now() else old.updated_at end;
    return new;
  end if;

  select count(*) into filled
  from unnest(array[
    new.forward, new.fun, new.travel, new.home, new.family, new.romance, new.health, new.money,
    new.business, new.social, new.possessions, new.giving, new.spirituality, new.conclusion
  ]) as section
  where section ~ '\S';
  new.completion_percentage := round(filled * 100 / 14.0);
  if tg_op = 'UPDATE' then
    new.updated_at := now();
  end if;
  return new;
end
$$;
revoke all on function viva.keep_vision() from public;
comment on function viva.keep_vision() is
  'A completed vision is immutable, but for being active and the time of its audio; completion_percentage is the '
  'share of the 14 sections that hold more than white space, whatever the writer says.';
create trigger viva_keep_vision before insert or update on public.vision_versions
  for each row execute function viva.keep_vision();


-- Assessment: one in progress; a completed one is final.
do $$
declare
  people bigint;
begin
  select count(*) into people
  from (select from public.assessment_results where status = 'in_progress' group by user_id having count(*) > 1) as several;
  if people > 0 then
    raise exception using message = format(
      '%s people have more than one assessment in progress, and VIVA keeps one a person: delete the others and '
      'migrate again. They are found by: select user_id, count(*) from public.assessment_results '
      'where status = ''in_progress'' group by user_id having count(*) > 1;', people);
  end if;
end
$$;
create unique index assessment_results_one_in_progress on public.assessment_results (user_id)
  where status = 'in_progress';
comment on index public.assessment_results_one_in_progress is 'One assessment in progress a person.';

create function viva.keep_assessment() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  -- profile_version_id is emptied by the database when that profile version is deleted.
  free constant text[] := array['profile_version_id', 'notes', 'updated_at'];
begin
  if old.status = 'completed' and to_jsonb(new) - free is distinct from to_jsonb(old) - free then
    raise exception 'a completed assessment does not change' using errcode = 'restrict_violation';
  end if;
  new.updated_at := now();
  return new;
end
$$;
revoke all on function viva.keep_assessment() from public;
comment on function viva.keep_assessment() is 'A completed assessment is immutable, but for its notes.';
create trigger viva_keep_assessment before update on public.assessment_results
  for each row execute function viva.keep_assessment();

create function viva.keep_answers() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  touched uuid[] := array[]::uuid[];
  assessment uuid;
  standing public.assessment_status;
begin
  if tg_op <> 'INSERT' then
    touched := touched || old.assessment_id;
  end if;
  if tg_op <> 'DELETE' then
    touched := touched || new.assessment_id;
  end if;
  foreach assessment in array touched loop
    -- Locked, so that the assessment is not completed meanwhile. Nothing is found when the whole assessment is being
    -- deleted (its answers follow it), or when it is another person's (row-level security refuses the row).
    select status into standing from public.assessment_results where id = assessment for no key update;
    if standing = 'completed' then
      raise exception 'the answers of a completed assessment do not change' using errcode = 'restrict_violation';
    end if;
  end loop;
  return case tg_op when 'DELETE' then old else new end;
end
$$;
revoke all on function viva.keep_answers() from public;
comment on function viva.keep_answers() is 'The answers of a completed assessment are immutable; they go only with it.';
create trigger viva_keep_answers before insert or update or delete on public.assessment_responses
  for each row execute function viva.keep_answers();


-- Audio: the seed's uniqueness lacks the voice, so a second voice was impossible.
select viva.drop_constraints('public.audio_tracks', 'u', array['vision_id', 'section_key', 'content_hash']);
alter table public.audio_tracks
  add constraint audio_tracks_text_and_voice_unique unique (vision_id, section_key, content_hash, voice_id);
comment on column public.audio_tracks.section_key is
  'The vision''s column names, plus ''full''. The seed gives ''meta_introduction'', ''health'', ''money'' as examples.';
comment on column public.audio_tracks.content_hash is
  'SHA256 of normalized text: without zero-width characters, white space collapsed, trimmed.';
comment on column public.audio_tracks.voice_id is 'The voice, as the speech provider names it. The seed: ElevenLabs voice ID.';
comment on column public.audio_tracks.s3_key is 'Empty until stored.';
comment on column public.audio_tracks.audio_url is 'Empty until stored.';


-- Meter: what the seed's list has no name for. A usage row refused by this check would be free usage.
select viva.drop_constraints('public.token_usage', 'c', array['action_type']);
alter table public.token_usage
  add constraint token_usage_action_type_check check (action_type in (
    'assessment_scoring',
    'vision_generation',
    'vision_refinement',
    'blueprint_generation',
    'chat_conversation',
    'audio_generation',
    'image_generation',
    'transcription',
    'insight_generation',
    'memory',
    'embedding',
    'journal_reflection'
  ));
comment on column public.token_usage.cost_estimate is 'In US cents, four decimals.';

comment on table public.ai_conversations is
  'VIVA chat conversation history: what the person said and what VIVA answered, both.';
comment on column public.ai_conversations.context is
  'Contains: { visionBuildPhase, category, isInitialGreeting, ... }, and ours: the conversation''s id, model, '
  'prompt version and token usage id.';


-- updated_at tells the truth without anyone remembering it.
create function viva.touch() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end
$$;
revoke all on function viva.touch() from public;
comment on function viva.touch() is 'For triggers: updated_at is the time of the last change.';

do $$
declare
  name text;
begin
  foreach name in array array[
    'user_profiles', 'assessment_responses', 'assessment_insights', 'journal_entries', 'audio_tracks',
    'vision_board_items'
  ] loop
    execute format(
      'create trigger viva_touch before update on public.%I for each row '
      'when (old.* is distinct from new.*) execute function viva.touch()', name);
  end loop;
end
$$;
