-- What a person says beside their answers: in their own words, and how an area feels before its questions.

create table viva.assessment_words (
  id uuid primary key default gen_random_uuid(),
  assessment_id uuid not null references public.assessment_results (id) on delete cascade,
  question_id text not null,
  words text not null default '',
  recordings jsonb not null default '[]'::jsonb,
  proposed_value integer check (proposed_value in (10, 8, 6, 4, 2)),
  reason text not null default '',
  state text not null default 'reading' check (state in ('reading', 'proposed', 'taken', 'failed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index assessment_words_assessment_id on viva.assessment_words (assessment_id, question_id);
comment on table viva.assessment_words is
  'What a person said to a question in their own words. It counts only once they have said which option it comes to: '
  'then a response row holds the words as response_text.';
comment on column viva.assessment_words.recordings is
  'What the person said aloud, as journal_entries.audio_recordings. An empty transcript is not heard yet.';
comment on column viva.assessment_words.proposed_value is 'The value of the option that VIVA found nearest.';
comment on column viva.assessment_words.state is
  '`reading` while VIVA hears and reads the words, `failed` when that could not be done, `taken` once it is an answer.';

select viva.protect('viva.assessment_words');
select viva.grant_own('viva.assessment_words');
create policy "Users can view their own assessment words" on viva.assessment_words
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can insert their own assessment words" on viva.assessment_words
  for insert to authenticated
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can update their own assessment words" on viva.assessment_words
  for update to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())))
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can delete their own assessment words" on viva.assessment_words
  for delete to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create trigger viva_touch before update on viva.assessment_words for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.assessment_self_ratings (
  assessment_id uuid not null references public.assessment_results (id) on delete cascade,
  category public.assessment_category not null,
  rating integer not null check (rating between 1 and 10),
  rated_at timestamptz not null default now(),
  primary key (assessment_id, category)
);
comment on table viva.assessment_self_ratings is
  'How a person felt about an area before its questions. Shown beside what their answers come to, never part of it.';

select viva.protect('viva.assessment_self_ratings');
select viva.grant_own('viva.assessment_self_ratings');
create policy "Users can view their own self-ratings" on viva.assessment_self_ratings
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can insert their own self-ratings" on viva.assessment_self_ratings
  for insert to authenticated
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can update their own self-ratings" on viva.assessment_self_ratings
  for update to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())))
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can delete their own self-ratings" on viva.assessment_self_ratings
  for delete to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create trigger viva_keep_answers before insert or update or delete on viva.assessment_self_ratings
  for each row execute function viva.keep_answers();
