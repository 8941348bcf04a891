-- How far VIVA is with reading an assessment. The insights themselves are the seed's `assessment_insights`.

create table viva.assessment_readings (
  id uuid primary key default gen_random_uuid(),
  assessment_id uuid not null references public.assessment_results (id) on delete cascade,
  state text not null default 'reading' check (state in ('reading', 'read', 'failed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index assessment_readings_once on viva.assessment_readings (assessment_id) where state <> 'failed';
create index assessment_readings_assessment_id on viva.assessment_readings (assessment_id);
comment on table viva.assessment_readings is
  'An assessment is read once: `reading` while VIVA is at it, `read` once its insights are written, `failed` when that '
  'could not be done and may be tried again.';

select viva.protect('viva.assessment_readings');
select viva.grant_own('viva.assessment_readings');
create policy "Users can view their own assessment readings" on viva.assessment_readings
  for select to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can insert their own assessment readings" on viva.assessment_readings
  for insert to authenticated
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can update their own assessment readings" on viva.assessment_readings
  for update to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())))
  with check (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create policy "Users can delete their own assessment readings" on viva.assessment_readings
  for delete to authenticated
  using (exists (select from public.assessment_results as r where r.id = assessment_id and r.user_id = (select auth.uid())));
create trigger viva_touch before update on viva.assessment_readings for each row
  when (old.* is distinct from new.*) execute function viva.touch();
