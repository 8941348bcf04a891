-- The journal beside the seed's table: albums that arrive picture by picture, the words that are searched, and the
-- weekly look back.

create table viva.journal_albums (
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  media_group_id text not null,
  entry_id uuid not null references public.journal_entries (id) on delete cascade,
  shown_as text not null,
  created_at timestamptz not null default now(),
  primary key (user_id, media_group_id)
);
create index journal_albums_entry_id on viva.journal_albums (entry_id);
comment on table viva.journal_albums is
  'Which entry an album of Telegram became: its members come as updates of their own, and belong to one entry.';
comment on column viva.journal_albums.shown_as is 'The key of the message that says what was kept of it.';

select viva.protect('viva.journal_albums');
select viva.grant_own('viva.journal_albums');
create policy "Users can view their own albums" on viva.journal_albums
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own albums" on viva.journal_albums
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.journal_entries as e where e.id = entry_id and e.user_id = (select auth.uid()))
  );
create policy "Users can update their own albums" on viva.journal_albums
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.journal_entries as e where e.id = entry_id and e.user_id = (select auth.uid()))
  );
create policy "Users can delete their own albums" on viva.journal_albums
  for delete to authenticated using ((select auth.uid()) = user_id);


-- The list and the calendar go by a person's days, newest first.
create index if not exists journal_entries_user_id_date on public.journal_entries (user_id, date desc, created_at desc);

create function viva.journal_text(title text, content text, recordings jsonb) returns text
language sql immutable set search_path = ''
as $$
  select concat_ws(E'\n', nullif(title, ''), nullif(content, ''), (
    select string_agg(nullif(item ->> 'transcript', ''), E'\n' order by place)
      from jsonb_array_elements(recordings) with ordinality as items (item, place)
  ))
$$;
comment on function viva.journal_text(text, text, jsonb) is 'All words of an entry: title, content, transcripts.';

create function viva.search_language(language_code text) returns text
language sql stable set search_path = ''
as $$
  select coalesce((
    select cfgname from pg_catalog.pg_ts_config
     where cfgnamespace = 'pg_catalog'::regnamespace
       and cfgname = case split_part(lower(language_code), '-', 1)
         when 'ar' then 'arabic' when 'hy' then 'armenian' when 'eu' then 'basque' when 'ca' then 'catalan'
         when 'da' then 'danish' when 'nl' then 'dutch' when 'en' then 'english' when 'et' then 'estonian'
         when 'fi' then 'finnish' when 'fr' then 'french' when 'de' then 'german' when 'el' then 'greek'
         when 'hi' then 'hindi' when 'hu' then 'hungarian' when 'id' then 'indonesian' when 'ga' then 'irish'
         when 'it' then 'italian' when 'lt' then 'lithuanian' when 'ne' then 'nepali' when 'nb' then 'norwegian'
         when 'nn' then 'norwegian' when 'no' then 'norwegian' when 'pt' then 'portuguese' when 'ro' then 'romanian'
         when 'ru' then 'russian' when 'sr' then 'serbian' when 'es' then 'spanish' when 'sv' then 'swedish'
         when 'ta' then 'tamil' when 'tr' then 'turkish' when 'yi' then 'yiddish' end
  ), 'simple')
$$;
comment on function viva.search_language(text) is
  'The text search configuration for a person''s language; "simple", which knows no endings, where Postgres has none.';

create table viva.journal_words (
  entry_id uuid primary key references public.journal_entries (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  words tsvector not null
);
create index journal_words_user_id on viva.journal_words (user_id);
comment on table viva.journal_words is
  'What an entry is found by, kept by a trigger: its words as the person''s language reduces them, and as they stand.';
-- No index on the words: within one person a scan takes milliseconds, and row-level security would not let one be used.

select viva.protect('viva.journal_words');
grant select on viva.journal_words to authenticated;
create policy "Users can view their own journal words" on viva.journal_words
  for select to authenticated using ((select auth.uid()) = user_id);

create function viva.journal_vector(language_code text, words text) returns tsvector
language sql stable set search_path = ''
as $$
  -- A tsvector holds a megabyte at most; no entry comes near it but by intent.
  select to_tsvector(viva.search_language(language_code)::regconfig, left(words, 200000))
      || to_tsvector('pg_catalog.simple', left(words, 200000))
$$;
comment on function viva.journal_vector(text, text) is 'Words as a language reduces them, and as they stand.';

create function viva.keep_journal_words() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into viva.journal_words (entry_id, user_id, words)
  values (new.id, new.user_id, viva.journal_vector(
    (select language_code from viva.telegram_accounts where user_id = new.user_id),
    viva.journal_text(new.title, new.content, new.audio_recordings)))
  on conflict (entry_id) do update set words = excluded.words;
  return null;
end
$$;
create trigger viva_keep_words after insert or update of title, content, audio_recordings on public.journal_entries
  for each row execute function viva.keep_journal_words();

insert into viva.journal_words (entry_id, user_id, words)
select e.id, e.user_id, viva.journal_vector(a.language_code, viva.journal_text(e.title, e.content, e.audio_recordings))
  from public.journal_entries as e
  left join viva.telegram_accounts as a on a.user_id = e.user_id;


alter table viva.telegram_accounts add column journal_weekly_since timestamptz;
comment on column viva.telegram_accounts.journal_weekly_since is
  'Since when the person wants VIVA to look back on their journal once a week; null is no.';
grant update (journal_weekly_since) on viva.telegram_accounts to authenticated;


create table viva.journal_reflections (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  week_start date not null,
  text text not null,
  quotes jsonb not null default '[]'::jsonb,
  created_at timestamptz not null default now(),
  unique (user_id, week_start)
);
comment on table viva.journal_reflections is 'What VIVA wrote about a week of somebody''s journal.';
comment on column viva.journal_reflections.week_start is 'The Monday of the week, by the person''s own days.';
comment on column viva.journal_reflections.quotes is
  '[{entry_id, date, words}]: the person''s own words, each found in its entry when this was written.';

select viva.protect('viva.journal_reflections');
select viva.grant_own('viva.journal_reflections');
create policy "Users can view their own reflections" on viva.journal_reflections
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own reflections" on viva.journal_reflections
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own reflections" on viva.journal_reflections
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own reflections" on viva.journal_reflections
  for delete to authenticated using ((select auth.uid()) = user_id);


-- Who is to have last week's reflection now: it comes from Sunday at six in the evening, by the person's own clock, and
-- until Monday noon where VIVA was away. `week_start` is the Monday of the week that ends.
create function viva.reflections_due(p_now timestamptz default now())
returns table (telegram_id bigint, chat_id bigint, week_start date)
language sql stable set search_path = ''
as $$
  select a.telegram_id, a.chat_id, (date_trunc('week', here.shifted) - interval '7 days')::date
    from viva.telegram_accounts as a
   cross join lateral (
     select (p_now at time zone coalesce(a.time_zone, 'UTC')) + interval '6 hours' as shifted
   ) as here
   where a.journal_weekly_since is not null and a.blocked_at is null and a.consented_at is not null
     and extract(isodow from here.shifted) = 1 and extract(hour from here.shifted) < 18
     and not exists (
       select from viva.journal_reflections as r
        where r.user_id = a.user_id and r.week_start = (date_trunc('week', here.shifted) - interval '7 days')::date
     )
$$;
comment on function viva.reflections_due(timestamptz) is 'Whose week is to be looked back on now, and where they are.';

revoke all on function viva.journal_text(text, text, jsonb), viva.search_language(text),
  viva.journal_vector(text, text), viva.keep_journal_words(), viva.reflections_due(timestamptz) from public;
grant execute on function viva.journal_text(text, text, jsonb), viva.search_language(text) to authenticated, service_role;
grant execute on function viva.journal_vector(text, text), viva.reflections_due(timestamptz) to service_role;
