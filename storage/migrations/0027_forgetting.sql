-- Forgetting reaches what was summed up in other words, and nothing is kept that was drawn from words just taken away.

alter table viva.memory_digests add column facts uuid[] not null default '{}';
grant insert (facts), update (facts) on viva.memory_digests to authenticated;
comment on column viva.memory_digests.facts is 'The facts that it tells of, in whatever words: it goes when one of them is forgotten.';
comment on column viva.memory_digests.text is 'Empty where its person took it out, or no model would write it: the stretch is passed over.';

create function viva.lock_memory(p_user uuid) returns void
language sql
set search_path = ''
as $$
  select pg_advisory_xact_lock(hashtextextended('viva.memory:' || p_user::text, 0))
   where coalesce(auth.uid(), p_user) = p_user
$$;
revoke all on function viva.lock_memory(uuid) from public;
grant execute on function viva.lock_memory(uuid) to authenticated, service_role;
comment on function viva.lock_memory(uuid) is
  'Until the end of the transaction, nothing else is drawn from this person''s words and nothing of them taken away.';

-- Looks through the bytes: a character's place in a text would be counted from the beginning each time.
create or replace function viva.without_forgotten(p_user uuid, p_source uuid, p_text text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  words record;
  bytes bytea;
  size integer;
  first integer;
  after integer;
begin
  for words in select hash, length from viva.memory_forgotten where user_id = p_user and source_id = p_source loop
    continue when coalesce(char_length(p_text), 0) < words.length;
    bytes := convert_to(p_text, 'UTF8');
    size := octet_length(bytes);
    first := 0;
    after := octet_length(convert_to(left(p_text, words.length), 'UTF8'));
    loop
      if sha256(substr(bytes, first + 1, after - first)) = words.hash then
        p_text := convert_from(substr(bytes, 1, first), 'UTF8') || '[…]' || convert_from(substr(bytes, after + 1), 'UTF8');
        exit;
      end if;
      exit when after >= size;
      -- One character on: past the bytes that continue one, which are 10xxxxxx.
      first := first + 1;
      while get_byte(bytes, first) & 192 = 128 loop
        first := first + 1;
      end loop;
      after := after + 1;
      while after < size and get_byte(bytes, after) & 192 = 128 loop
        after := after + 1;
      end loop;
    end loop;
  end loop;
  return p_text;
end
$$;

create or replace function viva.keep_passage(
  p_user uuid, p_kind text, p_source uuid, p_text text, p_said timestamptz, p_categories text[], p_tokens integer
) returns void
language plpgsql
set search_path = ''
as $$
declare
  visible text := left(viva.without_forgotten(p_user, p_source, p_text), 100000);
  standing text;
  said timestamptz;
begin
  select text, said_at into standing, said from viva.memory_passages
  where user_id = p_user and source_kind = p_kind and source_id = p_source;
  if standing is not null and said <> p_said and p_kind <> 'fact' then
    -- Another day was named for it: what was drawn from it is of that day, and the week it was in is another.
    perform viva.lock_memory(p_user);
    update viva.memory_facts
    set said_at = p_said, valid_from = case when valid_from = said::date and valid_to is null then p_said::date else valid_from end
    where user_id = p_user and source_id = p_source and source_kind = p_kind and said_at = said;
    delete from viva.memory_digests where user_id = p_user and p_source = any (sources);
  end if;
  if standing = visible then
    update viva.memory_passages set categories = p_categories, said_at = p_said
    where user_id = p_user and source_kind = p_kind and source_id = p_source
      and (categories <> p_categories or said_at <> p_said);
    return;
  end if;
  if standing is not null then
    -- What was drawn from words that stand there no more goes with them.
    perform viva.lock_memory(p_user);
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
      said_at = excluded.said_at, tokens = null, embedded_by = null;
  if p_kind <> 'fact' then
    insert into viva.memory_state (user_id, unread_tokens) values (p_user, p_tokens)
    on conflict (user_id) do update
    set unread_tokens = least(viva.memory_state.unread_tokens::bigint + excluded.unread_tokens, 1000000000);
  end if;
end
$$;

create or replace function viva.remember_entry() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  words text;
  zone text;
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
  select coalesce((select time_zone from viva.telegram_accounts where user_id = new.user_id), 'UTC') into zone;
  perform viva.keep_passage(
    new.user_id, 'entry', new.id, words,
    -- The day is the person's own, where they are; the hour is known only of an entry written on that day.
    case when new.date = (new.created_at at time zone zone)::date then new.created_at
      else (new.date + time '12:00') at time zone zone end,
    coalesce(new.categories::text[], '{}'), greatest(1, char_length(words) / 4));
  return new;
end
$$;

create or replace function viva.drop_derived(p_user uuid, p_kind text, p_source uuid) returns void
language sql
set search_path = ''
as $$
  select viva.lock_memory(p_user);
  delete from viva.memory_facts where user_id = p_user and source_id = p_source and source_kind = p_kind;
  delete from viva.memory_digests where user_id = p_user and p_source = any (sources);
  delete from viva.memory_passages where user_id = p_user and source_kind = p_kind and source_id = p_source;
  delete from viva.memory_forgotten where user_id = p_user and source_id = p_source;
$$;

-- A fact that was closed by another holds again where that other is gone, so that none is left that nobody can see.
create function viva.reopen_facts() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- After the reference to what is gone was emptied: triggers of one kind run by their names.
  update viva.memory_facts set valid_to = null
  where user_id = old.user_id and valid_to is not null and replaced_by is null;
  return old;
end
$$;
revoke all on function viva.reopen_facts() from public;
create trigger viva_reopen after delete on viva.memory_facts for each row execute function viva.reopen_facts();
update viva.memory_facts set valid_to = null where valid_to is not null and replaced_by is null;
