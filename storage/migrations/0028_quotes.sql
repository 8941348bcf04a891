-- What a person takes away is quoted nowhere any more; and a look back is on what was written from one Sunday evening to
-- the next.

create function viva.without_white_space(words text) returns text
language sql immutable set search_path = ''
as $$
  select regexp_replace(words, '[\s\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', '', 'g')
$$;
comment on function viva.without_white_space(text) is 'Words as they are compared where a quote has its white space collapsed.';

create function viva.keep_quotes_true() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  gone text := viva.without_white_space(viva.journal_text(old.title, old.content, old.audio_recordings));
  standing text := '';
  quoted record;
begin
  if tg_op = 'UPDATE' then
    standing := viva.without_white_space(viva.journal_text(new.title, new.content, new.audio_recordings));
  end if;
  update viva.journal_reflections as r
  set quotes = (
    select coalesce(jsonb_agg(item order by place), '[]')
      from jsonb_array_elements(r.quotes) with ordinality as kept (item, place)
     where item ->> 'entry_id' <> old.id::text or position(viva.without_white_space(item ->> 'words') in standing) > 0)
  where r.user_id = old.user_id and r.quotes @> jsonb_build_array(jsonb_build_object('entry_id', old.id::text));
  -- The sentences beside the quotes may quote as well: in marks, word for word.
  for quoted in
    select r.id, span[1] as marked, viva.without_white_space(btrim(span[2], '''… ')) as words
      from viva.journal_reflections as r, regexp_matches(r.text, '([“"„«]([^“”"„«»]{3,})[”"“»])', 'g') as span
     where r.user_id = old.user_id
  loop
    if position(quoted.words in gone) > 0 and position(quoted.words in standing) = 0 then
      update viva.journal_reflections set text = replace(text, quoted.marked, '[…]') where id = quoted.id;
    end if;
  end loop;
  return null;
end
$$;
comment on function viva.keep_quotes_true() is 'Takes out of the look backs what is quoted of an entry and stands in it no more.';
create trigger viva_keep_quotes_true after delete or update of title, content, audio_recordings on public.journal_entries
  for each row execute function viva.keep_quotes_true();

create function viva.drop_said_again() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update viva.memory_facts as f
  set said_again = (
    select coalesce(jsonb_agg(item order by place), '[]')
      from jsonb_array_elements(f.said_again) with ordinality as kept (item, place)
     where item ->> 'id' <> old.id::text)
  where f.user_id = old.user_id and f.said_again @> jsonb_build_array(jsonb_build_object('id', old.id::text));
  return null;
end
$$;
comment on function viva.drop_said_again() is 'Takes what is gone out of the places where a fact was said again.';
-- Triggers of one kind run by their names: these after viva_remember.
create trigger viva_said_again after delete on public.ai_conversations
  for each row execute function viva.drop_said_again();
create trigger viva_said_again after delete on public.journal_entries
  for each row execute function viva.drop_said_again();
create trigger viva_said_again after delete on viva.vision_proposals
  for each row execute function viva.drop_said_again();

revoke all on function viva.without_white_space(text), viva.keep_quotes_true(), viva.drop_said_again() from public;
grant execute on function viva.without_white_space(text) to authenticated, service_role;


drop function viva.reflections_due(timestamptz);
create function viva.reflections_due(
  p_now timestamptz default now(), p_after bigint default null, p_limit integer default null
)
returns table (telegram_id bigint, chat_id bigint, week_start date)
language sql stable set search_path = ''
as $$
  select a.telegram_id, a.chat_id, week.start
    from viva.telegram_accounts as a
   cross join lateral (select coalesce(a.time_zone, 'UTC') as zone) as home
   cross join lateral (select (p_now at time zone home.zone) + interval '6 hours' as shifted) as here
   cross join lateral (select (date_trunc('week', here.shifted) - interval '7 days')::date as start) as week
   where a.journal_weekly_since < (week.start + 6 + time '18:00') at time zone home.zone
     and a.blocked_at is null and a.consented_at is not null
     and extract(isodow from here.shifted) = 1 and extract(hour from here.shifted) < 18
     and (p_after is null or a.telegram_id > p_after)
     and not exists (
       select from viva.journal_reflections as r where r.user_id = a.user_id and r.week_start = week.start
     )
   order by a.telegram_id
   limit p_limit
$$;
comment on function viva.reflections_due(timestamptz, bigint, integer) is
  'Whose week is to be looked back on now, and where they are; the first week is the one in which they asked for it.';
revoke all on function viva.reflections_due(timestamptz, bigint, integer) from public;
grant execute on function viva.reflections_due(timestamptz, bigint, integer) to service_role;
