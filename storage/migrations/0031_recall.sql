-- Finding by words as quickly among a hundred thousand turns as among ten: an index of each person's own words.

create function viva.word_keys(p_user uuid, p_search tsvector) returns bigint[]
language sql
immutable
set search_path = ''
as $$
  select array(
    select hashtextextended(lexeme, hashtextextended(p_user::text, 0)) from unnest(tsvector_to_array(p_search)) as lexeme)
$$;
revoke all on function viva.word_keys(uuid, tsvector) from public;
grant execute on function viva.word_keys(uuid, tsvector) to authenticated, service_role;
comment on function viva.word_keys(uuid, tsvector) is
  'A number for each word of a person''s, other than for the same word of anybody else''s.';

create index memory_passages_unread on viva.memory_passages (user_id, said_at, id) where read_at is null;
-- Without a list of pending rows: every search would read it through.
create index memory_passages_words on viva.memory_passages using gin (viva.word_keys(user_id, search))
  with (fastupdate = off);

-- For the person of this transaction. The index cannot be used under row-level security, as a condition that may tell of
-- others' rows must wait until the policy has spoken: so the function is its owner's, and asks for the person's rows.
create function viva.passages_by_words(p_text text, p_limit integer, p_without uuid[])
returns table (id uuid, source_id uuid, share double precision, shared integer, said_at timestamptz)
language sql
stable
security definer
set search_path = ''
set enable_seqscan = off
set gin_fuzzy_search_limit = 10000
as $$
  with me as materialized (
    select auth.uid() as user_id
  ), asked as materialized (
    select word.lexeme, me.user_id, pg_catalog.quote_literal(word.lexeme)::tsquery as query,
           array[hashtextextended(word.lexeme, hashtextextended(me.user_id::text, 0))] as keys
      from me, unnest(tsvector_to_array(to_tsvector(
             viva.search_language((select a.language_code from viva.telegram_accounts a where a.user_id = me.user_id))::regconfig,
             left(p_text, 4000)))) as word (lexeme)
     where char_length(word.lexeme) > 1
  ), latest as materialized (
    select p.search from viva.memory_passages p where p.user_id = (select me.user_id from me)
     order by p.said_at desc limit 300
  ), uncommon as materialized (
    -- A word in most of the latest passages tells nothing, and there is no need to look up where else it is.
    select a.lexeme, a.user_id, a.query, a.keys from asked a
     where (select count(*) from latest l where l.search @@ a.query)
           <= greatest(20, (select count(*) from latest) * 2 / 3)
  ), size as materialized (
    -- The rarity of a word hangs on the logarithm of this: beyond ten thousand it need not be known.
    select count(*)::float8 as passages
      from (select from viva.memory_passages p where p.user_id = (select me.user_id from me) limit 10000) bounded
  ), hits as materialized (
    select a.lexeme, m.id, m.source_id, m.said_at, m.words
      from uncommon a
      cross join lateral (
        -- One more than a word may be found in and still be telling.
        select p.id, p.user_id, p.source_id, p.said_at, length(p.search) as words, p.search
          from viva.memory_passages p where viva.word_keys(p.user_id, p.search) @> a.keys limit 3334
      ) m
     where m.user_id = a.user_id and m.search @@ a.query
  ), telling as materialized (
    select a.lexeme, ln(1 + s.passages / greatest(1, count(h.id))) as weight
      from size s cross join uncommon a left join hits h using (lexeme)
     group by a.lexeme, s.passages
    having count(h.id) <= greatest(20, s.passages / 3)
  ), scored as (
    select h.id, h.source_id, h.said_at, h.words, sum(t.weight) as score, count(*)::integer as shared
      from hits h join telling t using (lexeme)
     where h.source_id <> all (p_without)
     group by h.id, h.source_id, h.said_at, h.words
  )
  select s.id, s.source_id, (s.score / (select sum(t.weight) from telling t))::float8, s.shared, s.said_at
    from scored s
   order by s.score / (1 + 0.15 * ln(s.words)) desc, s.said_at desc, s.id
   limit p_limit
$$;
revoke all on function viva.passages_by_words(text, integer, uuid[]) from public;
grant execute on function viva.passages_by_words(text, integer, uuid[]) to authenticated, service_role;
comment on function viva.passages_by_words(text, integer, uuid[]) is
  'The person''s passages that share the most telling words with a text, the best first; a word is telling when few of '
  'their passages have it. share is how much of the rarity asked for is in it, 0 to 1; p_without are sources.';
