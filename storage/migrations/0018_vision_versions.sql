-- A vision knows the version it came from, and a proposal what it is and what it changes.

alter table public.vision_versions
  add column if not exists parent_id uuid,
  add constraint vision_versions_id_of_user unique (user_id, id),
  add constraint vision_versions_parent foreign key (user_id, parent_id)
    references public.vision_versions (user_id, id) on delete set null (parent_id);
create index vision_versions_parent_id on public.vision_versions (parent_id);
comment on column public.vision_versions.parent_id is
  'The version that this one began as a copy of; always of the same person. A section is refined where it differs '
  'from that version after trimming.';
select viva.grant_own('public.vision_versions');

create or replace function viva.keep_vision() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  -- parent_id is emptied by the database when that version is deleted.
  free constant text[] := array['is_active', 'last_audio_generated_at', 'parent_id', 'updated_at'];
  filled integer;
begin
  if tg_op = 'UPDATE' and old.status = 'complete' then
    if to_jsonb(new) - free is distinct from to_jsonb(old) - free then
      raise exception 'a completed vision does not change' using errcode = 'restrict_violation';
    end if;
    -- The seed takes the complete vision with the latest updated_at for the active one: only becoming active moves it.
    new.updated_at := case when new.is_active and not old.is_active then now() else old.updated_at end;
    return new;
  end if;

  select count(*) into filled
  from unnest(array[
    new.forward, new.fun, new.travel, new.home, new.family, new.romance, new.health, new.money,
    new.business, new.social, new.possessions, new.giving, new.spirituality, new.conclusion
  ]) as section
  where section ~ '\S';
  new.completion_percentage := round(filled * 100 / 14.0);
  if tg_op = 'UPDATE' then
    new.updated_at := now();
  end if;
  return new;
end
$$;

alter table viva.vision_proposals
  add column purpose text not null default 'draft' check (purpose in ('draft', 'refinement', 'edit')),
  add column base text not null default '',
  add column said text not null default '';
comment on column viva.vision_proposals.purpose is
  '`draft` is written from what the person imagines, `refinement` changes a text as they ask in `imagination`, `edit` '
  'is their own hand: `text` gathers what they send until they are done.';
comment on column viva.vision_proposals.base is 'Of a refinement: the text that it changes.';
comment on column viva.vision_proposals.said is 'Of a refinement: what VIVA said beside the text.';
select viva.grant_own('viva.vision_proposals');
