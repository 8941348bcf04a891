-- What VIVA remembers: all of it derived from what a person said and wrote, and rebuilt or removed at any time.

create table viva.memory_state (
  user_id uuid primary key default auth.uid() references auth.users (id) on delete cascade,
  paused_at timestamptz,
  unread_tokens integer not null default 0,
  failed_at timestamptz
);
comment on table viva.memory_state is 'How far VIVA''s memory of a person has come.';
comment on column viva.memory_state.paused_at is 'Since when VIVA keeps nothing new in mind, as the person asked.';
comment on column viva.memory_state.unread_tokens is 'About how many tokens the person has said that no facts were drawn from yet.';
comment on column viva.memory_state.failed_at is 'When the last reading did not go through; the next one waits a while.';

select viva.protect('viva.memory_state');
select viva.grant_own('viva.memory_state');
create policy "Users can view their own memory state" on viva.memory_state
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own memory state" on viva.memory_state
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own memory state" on viva.memory_state
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own memory state" on viva.memory_state
  for delete to authenticated using ((select auth.uid()) = user_id);


create table viva.memory_facts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  text text not null,
  category text check (category in (
    'fun', 'travel', 'home', 'family', 'romance', 'health', 'money', 'business', 'social', 'possessions', 'giving',
    'spirituality')),
  valid_from date not null,
  valid_to date,
  confidence numeric(3, 2) not null check (confidence between 0 and 1),
  source_kind text not null check (source_kind in ('turn', 'entry', 'imagination', 'correction')),
  source_id uuid not null,
  quote text not null,
  said_at timestamptz not null,
  said_again jsonb not null default '[]'::jsonb,
  replaced_by uuid references viva.memory_facts (id) on delete set null,
  tokens integer not null,
  created_at timestamptz not null default now()
);
create index memory_facts_user_id on viva.memory_facts (user_id, valid_to, said_at desc);
create index memory_facts_replaced_by on viva.memory_facts (replaced_by);
create index memory_facts_source_id on viva.memory_facts (source_id);
comment on table viva.memory_facts is
  'What a person said of themselves, each with the words it rests on. A fact that is no longer so keeps its row, with '
  'valid_to and what took its place.';
comment on column viva.memory_facts.quote is 'The person''s own words, as they stand in the source.';
comment on column viva.memory_facts.said_again is 'Later places with the same: [{kind, id, quote, said_at}].';
comment on column viva.memory_facts.source_id is
  'A row of ai_conversations, journal_entries or viva.vision_proposals; for a correction, the fact that it corrects.';

select viva.protect('viva.memory_facts');
select viva.grant_own('viva.memory_facts');
create policy "Users can view their own facts" on viva.memory_facts
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own facts" on viva.memory_facts
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own facts" on viva.memory_facts
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own facts" on viva.memory_facts
  for delete to authenticated using ((select auth.uid()) = user_id);


create table viva.memory_digests (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  kind text not null check (kind in ('talk', 'week')),
  covers_from timestamptz not null,
  covers_to timestamptz not null,
  sources uuid[] not null,
  text text not null,
  tokens integer not null,
  created_at timestamptz not null default now(),
  unique (user_id, kind, covers_from)
);
comment on table viva.memory_digests is
  'A stretch of older talk, or a week of entries and talk, in a few sentences; dropped when one of its sources goes.';
comment on column viva.memory_digests.sources is 'The rows of ai_conversations and journal_entries that it was made from.';

select viva.protect('viva.memory_digests');
select viva.grant_own('viva.memory_digests');
create policy "Users can view their own digests" on viva.memory_digests
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own digests" on viva.memory_digests
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own digests" on viva.memory_digests
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own digests" on viva.memory_digests
  for delete to authenticated using ((select auth.uid()) = user_id);


create table viva.memory_forgotten (
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  source_id uuid not null,
  hash bytea not null,
  length integer not null check (length > 0),
  forgotten_at timestamptz not null default now(),
  primary key (user_id, source_id, hash)
);
comment on table viva.memory_forgotten is
  'Words that VIVA was asked to forget, known again by their hash alone: they are left out wherever VIVA would read them.';
comment on column viva.memory_forgotten.hash is 'SHA-256 of the words as they stand in the source.';

select viva.protect('viva.memory_forgotten');
select viva.grant_own('viva.memory_forgotten');
create policy "Users can view their own forgotten words" on viva.memory_forgotten
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own forgotten words" on viva.memory_forgotten
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own forgotten words" on viva.memory_forgotten
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own forgotten words" on viva.memory_forgotten
  for delete to authenticated using ((select auth.uid()) = user_id);


create table viva.memory_passages (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  source_kind text not null check (source_kind in ('turn', 'entry', 'imagination', 'fact')),
  source_id uuid not null,
  text text not null,
  said_at timestamptz not null,
  categories text[] not null default '{}',
  tokens integer,
  search tsvector not null,
  read_at timestamptz,
  embedded_by text,
  unique (user_id, source_kind, source_id)
);
create index memory_passages_user_id on viva.memory_passages (user_id, said_at);
comment on table viva.memory_passages is
  'What VIVA can find again: the person''s own words out of talks, entries and imaginations, and the facts, without '
  'what they asked to forget. Kept by triggers beside its sources.';
comment on column viva.memory_passages.tokens is 'Counted once, when it is first needed.';
comment on column viva.memory_passages.search is 'In the language of the person''s app and as the words stand.';
comment on column viva.memory_passages.read_at is 'When facts were drawn from it; null while they are not.';
comment on column viva.memory_passages.embedded_by is 'The model that its vector is of; null without one.';

select viva.protect('viva.memory_passages');
select viva.grant_own('viva.memory_passages');
create policy "Users can view their own passages" on viva.memory_passages
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own passages" on viva.memory_passages
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own passages" on viva.memory_passages
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own passages" on viva.memory_passages
  for delete to authenticated using ((select auth.uid()) = user_id);


-- ------------------------------------------------------------------------------------------ finding words

create function viva.search_vector(p_user uuid, p_text text) returns tsvector
language sql
stable
set search_path = ''
as $$
  select to_tsvector('pg_catalog.simple'::regconfig, p_text) || to_tsvector(viva.search_language(
    (select language_code from viva.telegram_accounts where user_id = p_user))::regconfig, p_text)
$$;
revoke all on function viva.search_vector(uuid, text) from public;
grant execute on function viva.search_vector(uuid, text) to authenticated, service_role;
comment on function viva.search_vector(uuid, text) is
  'What a text is found by: its words as they stand, and as the language of this person''s app inflects them.';

create function viva.without_forgotten(p_user uuid, p_source uuid, p_text text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  words record;
  place integer;
begin
  for words in select hash, length from viva.memory_forgotten where user_id = p_user and source_id = p_source loop
    place := 1;
    while place <= char_length(p_text) - words.length + 1 loop
      if sha256(convert_to(substr(p_text, place, words.length), 'UTF8')) = words.hash then
        p_text := overlay(p_text placing '[…]' from place for words.length);
        exit;
      end if;
      place := place + 1;
    end loop;
  end loop;
  return p_text;
end
$$;
revoke all on function viva.without_forgotten(uuid, uuid, text) from public;
grant execute on function viva.without_forgotten(uuid, uuid, text) to authenticated, service_role;
comment on function viva.without_forgotten(uuid, uuid, text) is
  'The text of a source with the words left out that its person asked to forget.';


-- ------------------------------------------------------------------------------ beside the verbatim sources

create function viva.keep_passage(
  p_user uuid, p_kind text, p_source uuid, p_text text, p_said timestamptz, p_categories text[], p_tokens integer
) returns void
language plpgsql
set search_path = ''
as $$
declare
  visible text := left(viva.without_forgotten(p_user, p_source, p_text), 100000);
  standing text;
begin
  select text into standing from viva.memory_passages
  where user_id = p_user and source_kind = p_kind and source_id = p_source;
  if standing = visible then
    update viva.memory_passages set categories = p_categories
    where user_id = p_user and source_kind = p_kind and source_id = p_source and categories <> p_categories;
    return;
  end if;
  if standing is not null then
    -- What was drawn from words that stand there no more goes with them.
    delete from viva.memory_facts
    where user_id = p_user and source_id = p_source and source_kind = p_kind and position(quote in visible) = 0;
    delete from viva.memory_digests where user_id = p_user and p_source = any (sources);
  end if;
  if visible !~ '\S' then
    delete from viva.memory_passages where user_id = p_user and source_kind = p_kind and source_id = p_source;
    return;
  end if;
  insert into viva.memory_passages (user_id, source_kind, source_id, text, said_at, categories, search, read_at)
  values (
    p_user, p_kind, p_source, visible, p_said, p_categories, viva.search_vector(p_user, left(visible, 20000)),
    case p_kind when 'fact' then now() end)
  on conflict (user_id, source_kind, source_id) do update
  set text = excluded.text, categories = excluded.categories, search = excluded.search, read_at = excluded.read_at,
      tokens = null, embedded_by = null;
  if p_kind <> 'fact' then
    insert into viva.memory_state (user_id, unread_tokens) values (p_user, p_tokens)
    on conflict (user_id) do update
    set unread_tokens = least(viva.memory_state.unread_tokens::bigint + excluded.unread_tokens, 1000000000);
  end if;
end
$$;
comment on function viva.keep_passage(uuid, text, uuid, text, timestamptz, text[], integer) is
  'Keeps what is found of a source as its text stands; a changed text is read for facts anew.';

create function viva.drop_derived(p_user uuid, p_kind text, p_source uuid) returns void
language sql
set search_path = ''
as $$
  delete from viva.memory_facts where user_id = p_user and source_id = p_source and source_kind = p_kind;
  delete from viva.memory_digests where user_id = p_user and p_source = any (sources);
  delete from viva.memory_passages where user_id = p_user and source_kind = p_kind and source_id = p_source;
  delete from viva.memory_forgotten where user_id = p_user and source_id = p_source;
$$;
comment on function viva.drop_derived(uuid, text, uuid) is 'Removes what was derived from a source that is gone.';

create function viva.remember_turn() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    perform viva.drop_derived(old.user_id, 'turn', old.id);
    return old;
  end if;
  if new.role = 'user' then
    perform viva.keep_passage(
      new.user_id, 'turn', new.id, new.message, new.created_at,
      case when jsonb_typeof(new.context -> 'category') = 'string'
        then array[new.context ->> 'category'] else '{}'::text[] end,
      greatest(1, char_length(new.message) / 4));
  end if;
  return new;
end
$$;
create trigger viva_remember after insert or delete or update of message on public.ai_conversations
  for each row execute function viva.remember_turn();

create function viva.remember_entry() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  words text;
begin
  if tg_op = 'DELETE' then
    perform viva.drop_derived(old.user_id, 'entry', old.id);
    return old;
  end if;
  select concat_ws(E'\n\n', nullif(new.content, ''), string_agg(nullif(item ->> 'transcript', ''), E'\n\n' order by place))
  into words
  from jsonb_array_elements(
    case when jsonb_typeof(new.audio_recordings) = 'array' then new.audio_recordings else '[]'::jsonb end
  ) with ordinality as recordings (item, place);
  perform viva.keep_passage(
    new.user_id, 'entry', new.id, words,
    -- The day is the person's own; the hour is known only of an entry written on that day.
    case when new.date = (new.created_at at time zone 'UTC')::date then new.created_at
      else (new.date + time '12:00') at time zone 'UTC' end,
    coalesce(new.categories::text[], '{}'), greatest(1, char_length(words) / 4));
  return new;
end
$$;
create trigger viva_remember after insert or delete or update of content, audio_recordings, categories, date
  on public.journal_entries for each row execute function viva.remember_entry();

create function viva.remember_imagination() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    perform viva.drop_derived(old.user_id, 'imagination', old.id);
    return old;
  end if;
  -- Another try from the same words is not another thing said.
  if not exists (
    select from viva.vision_proposals
    where user_id = new.user_id and section_key = new.section_key and imagination = new.imagination and id <> new.id
  ) then
    perform viva.keep_passage(
      new.user_id, 'imagination', new.id, new.imagination, new.created_at, array[new.section_key],
      greatest(1, char_length(new.imagination) / 4));
  end if;
  return new;
end
$$;
create trigger viva_remember after insert or delete or update of imagination on viva.vision_proposals
  for each row execute function viva.remember_imagination();

create function viva.remember_fact() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    delete from viva.memory_passages where user_id = old.user_id and source_kind = 'fact' and source_id = old.id;
    return old;
  end if;
  perform viva.keep_passage(
    new.user_id, 'fact', new.id, new.text, new.said_at,
    case when new.category is null then '{}'::text[] else array[new.category] end, 0);
  return new;
end
$$;
create trigger viva_remember after insert or delete or update of text, category on viva.memory_facts
  for each row execute function viva.remember_fact();

grant execute on function
  viva.keep_passage(uuid, text, uuid, text, timestamptz, text[], integer), viva.drop_derived(uuid, text, uuid)
  to authenticated, service_role;
revoke all on function
  viva.keep_passage(uuid, text, uuid, text, timestamptz, text[], integer), viva.drop_derived(uuid, text, uuid),
  viva.remember_turn(), viva.remember_entry(), viva.remember_imagination(), viva.remember_fact()
  from public;


-- --------------------------------------------------------------------------------------------- vectors

create function viva.enable_vectors() returns boolean
language plpgsql
set search_path = ''
as $$
declare
  home name;
begin
  begin
    create extension if not exists vector with schema public;
  exception when others then
    null;  -- not on this server, or not for this role to make: memory then goes by words alone
  end;
  select n.nspname into home from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'vector';
  if home is null then
    return false;
  end if;
  execute format('grant usage on schema %I to authenticated, service_role', home);
  execute format('alter table viva.memory_passages add column if not exists embedding %I.vector', home);
  execute format($f$
    create or replace function viva.keep_embedding(p_passage uuid, p_embedding real[], p_model text) returns void
    language sql set search_path = '' as $body$
      update viva.memory_passages set embedding = p_embedding::%1$I.vector, embedded_by = p_model where id = p_passage
    $body$
  $f$, home);
  -- Exact, within the person: a shared approximate index filters after its scan and loses rows.
  execute format($f$
    create or replace function viva.nearest_passages(p_embedding real[], p_model text, p_limit integer)
    returns table (id uuid, distance double precision)
    language sql stable set search_path = '' as $body$
      select id, embedding operator(%1$I.<=>) p_embedding::%1$I.vector
        from viva.memory_passages
       where embedded_by = p_model and user_id = (select auth.uid())
         and %1$I.vector_dims(embedding) = cardinality(p_embedding)
       order by 2 limit p_limit
    $body$
  $f$, home);
  revoke all on function viva.keep_embedding(uuid, real[], text), viva.nearest_passages(real[], text, integer) from public;
  grant execute on function viva.keep_embedding(uuid, real[], text), viva.nearest_passages(real[], text, integer)
    to authenticated, service_role;
  grant update (embedding) on viva.memory_passages to authenticated;
  return true;
end
$$;
revoke all on function viva.enable_vectors() from public;
comment on function viva.enable_vectors() is
  'For the owner: adds what memory by meaning needs, where pgvector can be had; false where it cannot.';
select viva.enable_vectors();


-- ------------------------------------------------------------------------------- of a database in use

do $$
declare
  turn record;
begin
  for turn in select * from public.ai_conversations where role = 'user' loop
    perform viva.keep_passage(
      turn.user_id, 'turn', turn.id, turn.message, turn.created_at,
      case when jsonb_typeof(turn.context -> 'category') = 'string'
        then array[turn.context ->> 'category'] else '{}'::text[] end,
      greatest(1, char_length(turn.message) / 4));
  end loop;
end
$$;
update public.journal_entries set content = content;
