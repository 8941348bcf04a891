-- Narration: the voice that a person chose, and finding what was already read aloud. The media store: what is in it, by
-- person, so that `storage_quota_gb` can be kept.

create index audio_tracks_ready on public.audio_tracks (user_id, section_key, content_hash, voice_id)
  where status = 'completed';
comment on index public.audio_tracks_ready is
  'What was read aloud before, in any version of the vision: an unchanged text in the same voice is not paid for again.';

create table viva.narrators (
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  provider text not null,
  voice_id text not null check (length(voice_id) between 1 and 100),
  updated_at timestamptz not null default now(),
  primary key (user_id, provider)
);
comment on table viva.narrators is
  'The voice of a provider in which a person''s vision is read aloud; without a row, the first there is.';

select viva.protect('viva.narrators');
select viva.grant_own('viva.narrators');
create policy "Users can view their own narrator" on viva.narrators
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Users can insert their own narrator" on viva.narrators
  for insert to authenticated with check (user_id = (select auth.uid()));
create policy "Users can update their own narrator" on viva.narrators
  for update to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy "Users can delete their own narrator" on viva.narrators
  for delete to authenticated using (user_id = (select auth.uid()));
create trigger viva_touch before update on viva.narrators for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.media_objects (
  media_key text primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  bytes bigint not null check (bytes >= 0),
  stored_at timestamptz,
  created_at timestamptz not null default now()
);
create index media_objects_user_id on viva.media_objects (user_id);
comment on table viva.media_objects is
  'What lies in the media store for a person. A row is there before its file, so that a file without a row is one of '
  'nobody''s.';
comment on column viva.media_objects.stored_at is 'When the file was known to be there; empty while it is being written.';

create table viva.media_notes (
  user_id uuid primary key references auth.users (id) on delete cascade,
  told integer not null check (told in (0, 80, 95)),
  updated_at timestamptz not null default now()
);
comment on table viva.media_notes is 'How full a person''s room was, in percent, when they were last told.';

select viva.protect('viva.media_objects');
select viva.protect('viva.media_notes');
grant select on viva.media_objects, viva.media_notes to authenticated;
create policy "Users can view their own media objects" on viva.media_objects
  for select to authenticated using (user_id = (select auth.uid()));
create policy "Users can view their own media notes" on viva.media_notes
  for select to authenticated using (user_id = (select auth.uid()));


-- Whether there is room for a file of so many bytes; its row is then there. What it replaces does not count twice. Null
-- where the person is no more.
-- `p_always` is for what VIVA makes anew at will, which is counted and never refused.
create function viva.reserve_media(p_user uuid, p_key text, p_bytes bigint, p_always boolean) returns boolean
language plpgsql set search_path = '' as $$
declare
  quota bigint;
  used bigint;
begin
  -- One file of a person after another, so that two cannot both take the last of the room.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('viva.media:' || p_user::text, 0));
  select coalesce(p.storage_quota_gb, 5)::bigint * 1073741824 into quota
    from public.user_profiles as p where p.user_id = p_user and p.is_active;
  if quota is null then
    return null;
  end if;
  select coalesce(pg_catalog.sum(m.bytes), 0) into used
    from viva.media_objects as m where m.user_id = p_user and m.media_key <> p_key;
  if not p_always and used + p_bytes > quota then
    return false;
  end if;
  insert into viva.media_objects (media_key, user_id, bytes) values (p_key, p_user, p_bytes)
    on conflict (media_key) do update set bytes = excluded.bytes where media_objects.user_id = excluded.user_id;
  return true;
end $$;
revoke all on function viva.reserve_media(uuid, text, bigint, boolean) from public;
grant execute on function viva.reserve_media(uuid, text, bigint, boolean) to service_role;


-- The people whose room has passed 80 or 95 percent since they were last told, who now count as told.
create function viva.media_to_tell(p_limit integer)
returns table (user_id uuid, chat_id bigint, percent integer, used bigint, quota bigint)
language plpgsql set search_path = '' as $$
begin
  return query
  with room as (
    select p.user_id, coalesce(p.storage_quota_gb, 5)::bigint * 1073741824 as quota,
           coalesce((select pg_catalog.sum(m.bytes) from viva.media_objects as m where m.user_id = p.user_id), 0)::bigint as used
      from public.user_profiles as p
     where p.is_active
       and (exists (select from viva.media_objects as m where m.user_id = p.user_id)
            or exists (select from viva.media_notes as n where n.user_id = p.user_id and n.told > 0))
  ), standing as (
    select r.user_id, r.used, r.quota, coalesce(n.told, 0) as told,
           case when r.used >= r.quota * 0.95 then 95 when r.used >= r.quota * 0.80 then 80 else 0 end as level
      from room as r left join viva.media_notes as n on n.user_id = r.user_id
  ), moved as (
    select s.* from standing as s where s.level <> s.told order by s.user_id limit p_limit
  ), noted as (
    insert into viva.media_notes as n (user_id, told) select m.user_id, m.level from moved as m
      on conflict on constraint media_notes_pkey do update set told = excluded.told, updated_at = pg_catalog.now()
      returning n.user_id
  )
  select m.user_id, a.chat_id, m.level, m.used, m.quota
    from moved as m
    join noted as n on n.user_id = m.user_id
    join viva.telegram_accounts as a on a.user_id = m.user_id;
end $$;
revoke all on function viva.media_to_tell(integer) from public;
grant execute on function viva.media_to_tell(integer) to service_role;
