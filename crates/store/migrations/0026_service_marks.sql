-- HMAC under a key of the house over all that the row says, so that nobody can authorize a service by writing to the database; null only in
-- rows that are older than the column.
ALTER TABLE authorizations ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over what the code was made for. Whether it was used is not in it; null only in rows that are older than the
-- column.
ALTER TABLE codes ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over all that the row says; null only in rows that are older than the column.
ALTER TABLE tokens ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over all that the row says; null only in rows that are older than the column.
ALTER TABLE refresh_tokens ADD COLUMN mark BYTEA;
