-- The ten tables of the seed, as they stand there. Where they exist already (Supabase) they are left alone.
-- What we change about them is in 0003; who may see what is in 0004.

create table if not exists public.user_profiles (
  id uuid default gen_random_uuid() primary key,
  user_id uuid references auth.users(id) on delete cascade unique not null,

  first_name text,
  last_name text,
  email text,
  phone text,
  profile_picture_url text,
  date_of_birth date,
  gender text,
  ethnicity text,

  relationship_status text,
  relationship_length text,
  partner_name text,
  has_children boolean default false,
  number_of_children integer default 0,
  children_ages text[],

  city text,
  state text,
  postal_code text,
  country text,
  living_situation text,
  time_at_location text,

  employment_type text,
  occupation text,
  company text,
  time_in_role text,
  currency text,
  household_income text,
  savings_retirement text,
  assets_equity text,
  consumer_debt text,

  current_story text,
  desired_story text,
  health_vitality_story text,
  romance_partnership_story text,
  family_parenting_story text,
  social_friends_story text,
  career_work_story text,
  money_wealth_story text,
  fun_recreation_story text,
  travel_adventure_story text,
  home_environment_story text,
  possessions_lifestyle_story text,
  spirituality_growth_story text,
  giving_legacy_story text,

  hobbies text[],
  leisure_time_weekly text,

  travel_frequency text,
  passport boolean,
  countries_visited integer,

  close_friends_count text,
  social_preference text,

  lifestyle_category text,
  primary_vehicle text,

  spiritual_practice text,
  meditation_frequency text,
  personal_growth_focus boolean,

  volunteer_status text,
  charitable_giving text,
  legacy_mindset boolean,

  units text,
  height integer,
  weight integer,
  exercise_frequency text,
  health_conditions text,
  medications text,
  education_level text,

  progress_photos text[],
  story_recordings jsonb,

  vibe_assistant_tokens_used integer default 0,
  vibe_assistant_tokens_remaining integer default 100,
  vibe_assistant_total_cost decimal(10,2) default 0,
  token_rollover_cycles integer default 0,
  token_last_drip_date timestamptz,
  auto_topup_enabled boolean default false,
  auto_topup_pack_id text,
  storage_quota_gb integer default 5,

  version_number integer default 1,
  is_draft boolean default false,
  is_active boolean default false,
  version_notes text,
  parent_version_id uuid references public.user_profiles(id),
  completion_percentage integer default 0,

  ai_tags jsonb,

  created_at timestamp with time zone default now(),
  updated_at timestamp with time zone default now()
);

create index if not exists idx_user_profiles_user_id on public.user_profiles(user_id);

comment on table public.user_profiles is 'User demographic information and token tracking, in versions.';
comment on column public.user_profiles.user_id is 'Links to auth.users.';
comment on column public.user_profiles.travel_frequency is '''never'' | ''yearly'' | ''quarterly'' | ''monthly''';
comment on column public.user_profiles.social_preference is '''introvert'' | ''ambivert'' | ''extrovert''';
comment on column public.user_profiles.lifestyle_category is
  '''minimalist'' | ''moderate'' | ''comfortable'' | ''luxury''';
comment on column public.user_profiles.story_recordings is
  'Audio/video recordings with transcripts: [{url, transcript, type, category, duration, created_at}].';


create table if not exists public.vision_versions (
  id uuid default gen_random_uuid() primary key,
  user_id uuid not null references auth.users(id) on delete cascade,
  title text not null default '',
  version_number integer not null default 1,

  forward text default '',
  fun text default '',
  travel text default '',
  home text default '',
  family text default '',
  romance text default '',
  health text default '',
  money text default '',
  business text default '',
  social text default '',
  possessions text default '',
  giving text default '',
  spirituality text default '',
  conclusion text default '',

  status text not null default 'draft'
    check (status in ('draft', 'complete')),
  completion_percentage integer not null default 0
    check (completion_percentage >= 0 and completion_percentage <= 100),

  last_audio_generated_at timestamptz,

  created_at timestamp with time zone default now(),
  updated_at timestamp with time zone default now()
);

create index if not exists idx_vision_versions_user_id on public.vision_versions(user_id);
create index if not exists idx_vision_versions_status on public.vision_versions(status);
create index if not exists idx_vision_versions_created_at on public.vision_versions(created_at desc);

comment on table public.vision_versions is 'Life Vision documents: 12 life categories and 2 meta sections, in versions.';
comment on column public.vision_versions.forward is 'Meta: Forward';
comment on column public.vision_versions.fun is 'Fun / Recreation';
comment on column public.vision_versions.travel is 'Travel / Adventure';
comment on column public.vision_versions.home is 'Home / Environment';
comment on column public.vision_versions.family is 'Family / Parenting';
comment on column public.vision_versions.romance is 'Romance / Partnership';
comment on column public.vision_versions.health is 'Health / Vitality';
comment on column public.vision_versions.money is 'Money / Abundance';
comment on column public.vision_versions.business is 'Business / Career';
comment on column public.vision_versions.social is 'Social / Friends';
comment on column public.vision_versions.possessions is 'Possessions / Lifestyle';
comment on column public.vision_versions.giving is 'Giving / Contribution';
comment on column public.vision_versions.spirituality is 'Spirituality / Growth';
comment on column public.vision_versions.conclusion is 'Meta: Conclusion';


-- `create type` knows no `if not exists`.
do $$
begin
  create type public.assessment_status as enum ('not_started', 'in_progress', 'completed');
exception when duplicate_object then null;
end
$$;

do $$
begin
  create type public.green_line_status as enum ('above', 'transition', 'below');
exception when duplicate_object then null;
end
$$;
comment on type public.green_line_status is
  'above: 80%+ (56-70 points), above the Green Line. transition: 60-79% (42-55 points). '
  'below: <60% (14-41 points), below the Green Line.';

do $$
begin
  create type public.assessment_category as enum (
    'money', 'health', 'family', 'romance', 'social', 'business',
    'fun', 'travel', 'home', 'possessions', 'giving', 'spirituality'
  );
exception when duplicate_object then null;
end
$$;

create table if not exists public.assessment_results (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,

  profile_version_id uuid references public.user_profiles(id) on delete set null,

  status public.assessment_status not null default 'not_started',

  total_score integer default 0,
  max_possible_score integer default 840,
  overall_percentage integer default 0,

  category_scores jsonb default '{}',
  green_line_status jsonb default '{}',

  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  assessment_version integer default 1,
  notes text,

  constraint valid_scores check (total_score >= 0 and total_score <= max_possible_score)
);

create index if not exists idx_assessment_results_user_id on public.assessment_results(user_id);
create index if not exists idx_assessment_results_status on public.assessment_results(status);
create index if not exists idx_assessment_results_created_at on public.assessment_results(created_at desc);

comment on table public.assessment_results is 'Main assessment results with Green Line status across 12 categories.';
comment on column public.assessment_results.profile_version_id is 'Optional link to profile version.';
comment on column public.assessment_results.max_possible_score is '12 categories × 70 max points';
comment on column public.assessment_results.category_scores is 'Example: {"money": 56, "health": 42, "family": 68}';
comment on column public.assessment_results.green_line_status is
  'Example: {"money": "above", "health": "transition", "family": "above"}';


create table if not exists public.assessment_responses (
  id uuid primary key default gen_random_uuid(),
  assessment_id uuid not null references public.assessment_results(id) on delete cascade,

  question_id text not null,
  question_text text not null,
  category public.assessment_category not null,

  response_value integer not null check (response_value in (2, 4, 6, 8, 10)),
  response_text text not null,
  response_emoji text,
  green_line text not null check (green_line in ('above', 'neutral', 'below')),

  answered_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint unique_assessment_question unique (assessment_id, question_id)
);

create index if not exists idx_assessment_responses_assessment_id on public.assessment_responses(assessment_id);
create index if not exists idx_assessment_responses_category on public.assessment_responses(category);

comment on table public.assessment_responses is 'Individual question responses.';
comment on column public.assessment_responses.question_id is 'e.g., "money_1", "health_3"';


create table if not exists public.assessment_insights (
  id uuid primary key default gen_random_uuid(),
  assessment_id uuid not null references public.assessment_results(id) on delete cascade,
  category public.assessment_category not null,

  insight_type text not null,

  title text not null,
  description text not null,
  confidence_score numeric(3, 2) check (confidence_score >= 0 and confidence_score <= 1),
  supporting_responses jsonb,

  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index if not exists idx_assessment_insights_assessment_id on public.assessment_insights(assessment_id);
create index if not exists idx_assessment_insights_category on public.assessment_insights(category);

comment on table public.assessment_insights is 'VIVA-generated insights based on responses.';
comment on column public.assessment_insights.insight_type is
  'e.g., "strength", "growth_area", "pattern", "recommendation"';


create table if not exists public.journal_entries (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,

  date date not null default current_date,
  title text,
  content text not null default '',

  categories text[] default '{}',

  image_urls text[] default '{}',

  audio_recordings jsonb default '[]'::jsonb not null,

  created_at timestamp with time zone default now(),
  updated_at timestamp with time zone default now()
);

create index if not exists idx_journal_entries_user_id on public.journal_entries(user_id);
create index if not exists idx_journal_entries_date on public.journal_entries(date desc);
create index if not exists idx_journal_entries_created_at on public.journal_entries(created_at desc);

comment on table public.journal_entries is 'Daily journal entries with media support.';
comment on column public.journal_entries.categories is 'Array of life category labels.';
comment on column public.journal_entries.image_urls is 'Image and video uploads.';
comment on column public.journal_entries.audio_recordings is
  'Voice/video recordings with transcripts: [{"url": "https://.../recording.webm", "transcript": "...", '
  '"type": "audio" | "video", "category": "journal", "duration": 120, "created_at": "2025-01-26T12:00:00Z"}]';


do $$
begin
  create type public.audio_generation_status as enum ('pending', 'processing', 'completed', 'failed');
exception when duplicate_object then null;
end
$$;

create table if not exists public.audio_tracks (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,
  vision_id uuid not null references public.vision_versions(id) on delete cascade,

  section_key text not null,

  content_hash text not null,
  text_content text not null,

  voice_id text not null,
  s3_bucket text not null,
  s3_key text not null,
  audio_url text not null,
  duration_seconds integer,
  status public.audio_generation_status not null default 'pending',
  error_message text,

  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  unique (vision_id, section_key, content_hash)
);

create index if not exists idx_audio_tracks_user_id on public.audio_tracks(user_id);
create index if not exists idx_audio_tracks_vision_id on public.audio_tracks(vision_id);
create index if not exists idx_audio_tracks_status on public.audio_tracks(status);
create index if not exists idx_audio_tracks_section_key on public.audio_tracks(section_key);

comment on table public.audio_tracks is 'AI-narrated audio for life vision sections.';
comment on column public.audio_tracks.section_key is 'e.g., ''meta_introduction'', ''health'', ''money'', etc.';
comment on column public.audio_tracks.content_hash is 'SHA256 of normalized text';
comment on column public.audio_tracks.voice_id is 'ElevenLabs voice ID';


create table if not exists public.vision_board_items (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,

  name text not null,
  description text,

  image_url text,

  categories text[] default '{}',

  status text not null default 'active'
    check (status in ('active', 'actualized', 'inactive')),
  actualized_at timestamptz,

  created_at timestamp with time zone default now(),
  updated_at timestamp with time zone default now()
);

create index if not exists idx_vision_board_items_user_id on public.vision_board_items(user_id);
create index if not exists idx_vision_board_items_status on public.vision_board_items(status);
create index if not exists idx_vision_board_items_created_at on public.vision_board_items(created_at desc);

comment on table public.vision_board_items is 'Vision board items with status tracking.';
comment on column public.vision_board_items.categories is 'Array of life category labels.';
comment on column public.vision_board_items.status is 'active -> actualized; inactive and back.';


create table if not exists public.token_usage (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,

  action_type text not null check (action_type in (
    'assessment_scoring',
    'vision_generation',
    'vision_refinement',
    'blueprint_generation',
    'chat_conversation',
    'audio_generation',
    'image_generation'
  )),

  model_used text not null,
  tokens_used integer not null default 0,
  input_tokens integer default 0,
  output_tokens integer default 0,
  cost_estimate numeric(10, 4) default 0,

  success boolean not null default true,
  error_message text,
  metadata jsonb default '{}',

  created_at timestamptz not null default now()
);

create index if not exists idx_token_usage_user_id on public.token_usage(user_id);
create index if not exists idx_token_usage_action_type on public.token_usage(action_type);
create index if not exists idx_token_usage_model_used on public.token_usage(model_used);
create index if not exists idx_token_usage_created_at on public.token_usage(created_at desc);
create index if not exists idx_token_usage_user_created on public.token_usage(user_id, created_at desc);

comment on table public.token_usage is 'AI token usage and costs.';
comment on column public.token_usage.cost_estimate is 'in cents';


create table if not exists public.ai_conversations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users(id) on delete cascade,

  message text not null,
  role text not null check (role in ('user', 'assistant')),

  context jsonb default '{}',

  created_at timestamptz not null default now()
);

create index if not exists idx_ai_conversations_user_id on public.ai_conversations(user_id);
create index if not exists idx_ai_conversations_created_at on public.ai_conversations(created_at desc);

comment on table public.ai_conversations is 'VIVA chat conversation history.';
comment on column public.ai_conversations.context is
  'Contains: { visionBuildPhase, category, isInitialGreeting, ... }';
