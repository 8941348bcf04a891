-- What a proposal for a section keeps beside its words: what the person said aloud, and whether it broke off.

alter table viva.vision_proposals
  add column recordings jsonb not null default '[]'::jsonb,
  add column cut boolean not null default false;
comment on column viva.vision_proposals.recordings is
  'What the person said, as journal_entries.audio_recordings: [{url, transcript, type, category, duration, '
  'created_at}]. An empty transcript is not heard yet.';
comment on column viva.vision_proposals.cut is 'The text broke off: the person stopped it, or there was no room for more.';

select viva.grant_own('viva.vision_proposals');
