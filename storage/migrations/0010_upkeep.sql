-- For the hourly pruning of what was sent: the oldest are found without reading the rest.
create index outbox_sent on viva.outbox (sent_at) where state = 'sent';
