-- HMAC under a key of the house over the code and its resident; null in rows that are older than the column, and once it was used.
ALTER TABLE recovery_codes ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over the card, its resident and its PIN; null only in rows that are older than the column.
ALTER TABLE cards ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over the card, its resident and its certificate; null only in rows that are older than the column.
ALTER TABLE certificate_cards ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over the code, its resident and its end; null in rows that are older than the column, and once it was used.
ALTER TABLE invitations ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over all that the row says; null only in rows that are older than the column.
ALTER TABLE delegations ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over what is asked for and who approved; null in rows that are older than the column, and once it was used.
ALTER TABLE counter_requests ADD COLUMN mark BYTEA;

-- The certificate card that opened the session in which the code was made; null where none did, and in rows that are older than the column.
ALTER TABLE codes ADD COLUMN card_mark BYTEA;

-- The certificate card that opened the session behind it; null where none did, and in rows that are older than the column.
ALTER TABLE refresh_tokens ADD COLUMN card_mark BYTEA;

-- Before this the service is not told, in microseconds UTC, so that no two services get word of one event at the same time; null for at once.
ALTER TABLE outbox ADD COLUMN ready_at BIGINT;
-- HMAC under a key of the house over the service and whom the message is about, so that word of one resident stays in its order; null where
-- it is about no resident.
ALTER TABLE outbox ADD COLUMN line BYTEA;

CREATE INDEX outbox_by_line ON outbox (line);

-- Before this the service does not see the notice, in microseconds UTC, for the same reason; null for at once.
ALTER TABLE deletions ADD COLUMN ready_at BIGINT;
