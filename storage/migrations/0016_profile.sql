-- Versions of a profile, and what a few of its columns mean.

-- Of a database in use: what is in use is no draft.
update public.user_profiles set is_draft = false where is_active and is_draft;
alter table public.user_profiles
  add constraint user_profiles_draft_is_not_active check (not (is_active and is_draft));
comment on constraint user_profiles_draft_is_not_active on public.user_profiles is
  'A version is in use, or a draft that waits, or history.';

comment on column public.user_profiles.units is 'metric or imperial; null counts as metric.';
comment on column public.user_profiles.height is 'Centimetres; inches where units is imperial.';
comment on column public.user_profiles.weight is 'Kilograms; pounds where units is imperial.';
comment on column public.user_profiles.story_recordings is
  '[{url, transcript, type, category, duration, created_at}]. category is an area of life, or the column that was '
  'spoken to. An empty transcript is not heard yet; words are part of a story once the person has said so.';
comment on column public.user_profiles.completion_percentage is
  'Filled of expected fields: partner''s only when partnered, children''s only with children, no media.';
comment on column public.user_profiles.parent_version_id is 'The version that this one was made from.';
