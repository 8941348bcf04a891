-- What is looked up with each turn and each receipt, without going through what other people said and used.

create index holds_work on viva.holds (work_id);
create index holds_user_latest on viva.holds (user_id, created_at desc);
create index if not exists ai_conversations_user_id_created_at
  on public.ai_conversations (user_id, created_at desc, id desc);
