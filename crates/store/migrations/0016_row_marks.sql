-- HMAC under a key of the house over what the session stands for, so that nobody can open one by writing to the database; null only
-- in rows that are older than the column.
ALTER TABLE sessions ADD COLUMN mark BYTEA;

-- HMAC under a key of the house over the credential, its resident and its key; null only in rows that are older than the column.
ALTER TABLE passkeys ADD COLUMN mark BYTEA;
