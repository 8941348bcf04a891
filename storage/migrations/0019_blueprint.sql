-- Small steps between today and the vision, and reminders of them.

create table viva.blueprints (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  category public.assessment_category not null,
  state text not null default 'writing' check (state in ('writing', 'written', 'failed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index blueprints_user_id on viva.blueprints (user_id, category, created_at desc);
create unique index blueprints_one_writing on viva.blueprints (user_id, category) where state = 'writing';
comment on table viva.blueprints is 'Three small steps for a category, written by VIVA when the person asks for them.';

select viva.protect('viva.blueprints');
select viva.grant_own('viva.blueprints');
create policy "Users can view their own blueprints" on viva.blueprints
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own blueprints" on viva.blueprints
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own blueprints" on viva.blueprints
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own blueprints" on viva.blueprints
  for delete to authenticated using ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.blueprints for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.blueprint_steps (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  blueprint_id uuid not null references viva.blueprints (id) on delete cascade,
  position integer not null check (position between 1 and 3),
  title text not null,
  description text not null,
  state text not null default 'open' check (state in ('open', 'done', 'dropped')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index blueprint_steps_user_id on viva.blueprint_steps (user_id);
create index blueprint_steps_blueprint_id on viva.blueprint_steps (blueprint_id, position);
comment on table viva.blueprint_steps is 'A small step; the person marks it done, drops it, or is reminded of it.';

select viva.protect('viva.blueprint_steps');
select viva.grant_own('viva.blueprint_steps');
create policy "Users can view their own blueprint steps" on viva.blueprint_steps
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own blueprint steps" on viva.blueprint_steps
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from viva.blueprints as b where b.id = blueprint_id and b.user_id = (select auth.uid()))
  );
create policy "Users can update their own blueprint steps" on viva.blueprint_steps
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from viva.blueprints as b where b.id = blueprint_id and b.user_id = (select auth.uid()))
  );
create policy "Users can delete their own blueprint steps" on viva.blueprint_steps
  for delete to authenticated using ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.blueprint_steps for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.reminders (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  step_id uuid not null unique references viva.blueprint_steps (id) on delete cascade,
  days integer[] not null default '{1,2,3,4,5,6,7}'
    check (cardinality(days) between 1 and 7 and days <@ array[1, 2, 3, 4, 5, 6, 7]),
  hour integer not null default 9 check (hour between 7 and 21),
  once boolean not null default false,
  state text not null default 'off' check (state in ('off', 'on', 'ended')),
  next_at timestamptz,
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((state = 'on') = (next_at is not null))
);
create index reminders_user_id on viva.reminders (user_id);
create index reminders_due on viva.reminders (next_at) where state = 'on';
comment on table viva.reminders is
  'When a person wants to be reminded of a step: never before they have said so, never in quiet hours.';
comment on column viva.reminders.days is 'ISO days of the week, 1 = Monday.';
comment on column viva.reminders.hour is 'The hour on the person''s own clock; 22 to 7 are quiet hours.';
comment on column viva.reminders.once is 'Ends when it was sent; otherwise it comes every week until it is turned off.';
comment on column viva.reminders.next_at is 'When it is due next; moved on in the transaction that puts the message in.';

select viva.protect('viva.reminders');
select viva.grant_own('viva.reminders');
create policy "Users can view their own reminders" on viva.reminders
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own reminders" on viva.reminders
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from viva.blueprint_steps as s where s.id = step_id and s.user_id = (select auth.uid()))
  );
create policy "Users can update their own reminders" on viva.reminders
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from viva.blueprint_steps as s where s.id = step_id and s.user_id = (select auth.uid()))
  );
create policy "Users can delete their own reminders" on viva.reminders
  for delete to authenticated using ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.reminders for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create function viva.next_reminder(p_days integer[], p_hour integer, p_zone text, p_after timestamptz)
returns timestamptz
language sql stable set search_path = '' as $$
  select min(moment)
    from (select day, (day + pg_catalog.make_time(p_hour, 0, 0)) at time zone coalesce(p_zone, 'UTC') as moment
            from (select (p_after at time zone coalesce(p_zone, 'UTC'))::date + offset_days as day
                    from pg_catalog.generate_series(0, 8) as offset_days) as days) as moments
   where extract(isodow from day) = any (p_days) and moment > p_after
$$;
revoke all on function viva.next_reminder(integer[], integer, text, timestamptz) from public;
grant execute on function viva.next_reminder(integer[], integer, text, timestamptz) to authenticated, service_role;
comment on function viva.next_reminder(integer[], integer, text, timestamptz) is
  'The first moment after p_after that is p_hour on one of p_days by the clocks of p_zone, whatever those clocks do.';

create function viva.move_reminders() returns trigger
language plpgsql set search_path = '' as $$
begin
  update viva.reminders as r
     set next_at = viva.next_reminder(r.days, r.hour, new.time_zone, pg_catalog.now())
   where r.user_id = new.user_id and r.state = 'on';
  return null;
end $$;
revoke all on function viva.move_reminders() from public;
comment on function viva.move_reminders() is 'A reminder keeps its hour on the person''s clock when they move.';
create trigger viva_move_reminders after update of time_zone on viva.telegram_accounts for each row
  when (old.time_zone is distinct from new.time_zone) execute function viva.move_reminders();
