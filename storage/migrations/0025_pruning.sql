-- For the hourly pruning of what Telegram refused: found without reading what was sent.
create index outbox_failed on viva.outbox (sent_at) where state = 'failed';
