-- Conversations: threads of talk with a title, of which one is open.

create table viva.conversations (
  id uuid primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title text not null,
  phase text not null default 'master_assistant'
    check (phase in ('contrast', 'peak', 'specific', 'refinement', 'master_assistant')),
  category text check (category in (
    'fun', 'travel', 'home', 'family', 'romance', 'health', 'money', 'business', 'social', 'possessions', 'giving',
    'spirituality')),
  opened_at timestamptz,
  created_at timestamptz not null default now(),
  last_turn_at timestamptz not null default now()
);
create index conversations_user_id on viva.conversations (user_id, last_turn_at desc);
comment on table viva.conversations is
  'A thread of talk. Its turns are rows of ai_conversations whose context names it as conversation_id.';
comment on column viva.conversations.title is 'Its first words, until the person gives it another; empty before the first turn.';
comment on column viva.conversations.phase is 'visionBuildPhase of its next turn.';
comment on column viva.conversations.category is 'The area of life it is about; null when none in particular.';
comment on column viva.conversations.opened_at is
  'When the person last began or opened it by hand; null for one that began by itself.';

select viva.protect('viva.conversations');
select viva.grant_own('viva.conversations');
create policy "Users can view their own conversations" on viva.conversations
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users can insert their own conversations" on viva.conversations
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users can update their own conversations" on viva.conversations
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users can delete their own conversations" on viva.conversations
  for delete to authenticated using ((select auth.uid()) = user_id);

create index ai_conversations_conversation_id
  on public.ai_conversations (user_id, (context ->> 'conversation_id'), created_at);

-- A fact may lean only on a fact of the same person's.
create function viva.keep_fact() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.replaced_by is not null and not exists (
    select from viva.memory_facts where id = new.replaced_by and user_id = new.user_id
  ) then
    raise exception 'a fact is replaced by another of the same person only' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$$;
revoke all on function viva.keep_fact() from public;
create trigger viva_keep_fact before insert or update of replaced_by on viva.memory_facts
  for each row execute function viva.keep_fact();

insert into viva.conversations (id, user_id, title, created_at, last_turn_at)
select (context ->> 'conversation_id')::uuid, user_id,
       left((array_agg(regexp_replace(btrim(message), '\s+', ' ', 'g') order by created_at, id)
         filter (where role = 'user'))[1], 60),
       min(created_at), max(created_at)
  from public.ai_conversations
 where context ->> 'conversation_id' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
 group by 1, 2
having bool_or(role = 'user')
on conflict do nothing;
