-- The vision board: what VIVA offers to pin, and the story of how a thing came.

-- The day on which something came true is the first one, whatever is done with it afterwards (domain section 6).
create function viva.keep_board_item() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' then
    new.actualized_at := coalesce(old.actualized_at, new.actualized_at);
  end if;
  if new.status = 'actualized' then
    new.actualized_at := coalesce(new.actualized_at, now());
  end if;
  return new;
end
$$;
revoke all on function viva.keep_board_item() from public;
comment on function viva.keep_board_item() is 'The first actualized_at of a board item stays.';
create trigger viva_keep_board_item before insert or update on public.vision_board_items
  for each row execute function viva.keep_board_item();


create table viva.board_ideas (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  category text not null,
  name text not null,
  description text not null default '',
  state text not null default 'offered' check (state in ('offered', 'pinned', 'passed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index board_ideas_user_id on viva.board_ideas (user_id, category, created_at desc);
comment on table viva.board_ideas is
  'Things and scenes that VIVA offers for the board, three at a time for an area. `passed` = the person did not want it.';

select viva.protect('viva.board_ideas');
select viva.grant_own('viva.board_ideas');
create policy "Users can view their own board ideas" on viva.board_ideas
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own board ideas" on viva.board_ideas
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own board ideas" on viva.board_ideas
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own board ideas" on viva.board_ideas
  for delete to authenticated using ((select auth.uid()) = user_id);
create trigger viva_touch before update on viva.board_ideas for each row
  when (old.* is distinct from new.*) execute function viva.touch();


create table viva.board_stories (
  id uuid primary key default gen_random_uuid(),
  item_id uuid not null references public.vision_board_items (id) on delete cascade,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  entry_id uuid not null references public.journal_entries (id) on delete cascade,
  created_at timestamptz not null default now()
);
create index board_stories_item_id on viva.board_stories (item_id, created_at desc);
create index board_stories_user_id on viva.board_stories (user_id);
create index board_stories_entry_id on viva.board_stories (entry_id);
comment on table viva.board_stories is 'How an item of the board came true, as the person told it: a journal entry. The newest one is shown.';

select viva.protect('viva.board_stories');
select viva.grant_own('viva.board_stories');
create policy "Users can view their own board stories" on viva.board_stories
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own board stories" on viva.board_stories
  for insert to authenticated
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_board_items as i where i.id = item_id and i.user_id = (select auth.uid()))
    and exists (select from public.journal_entries as e where e.id = entry_id and e.user_id = (select auth.uid()))
  );
create policy "Users can update their own board stories" on viva.board_stories
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (select from public.vision_board_items as i where i.id = item_id and i.user_id = (select auth.uid()))
    and exists (select from public.journal_entries as e where e.id = entry_id and e.user_id = (select auth.uid()))
  );
create policy "Users can delete their own board stories" on viva.board_stories
  for delete to authenticated using ((select auth.uid()) = user_id);
