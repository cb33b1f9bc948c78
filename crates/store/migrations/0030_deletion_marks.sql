-- HMAC under a key of the house over all that the row says, so that nobody can answer for a service by writing to the database. What its
-- certificate says of it is not in it; null only in rows that are older than the column.
ALTER TABLE deletions ADD COLUMN mark BYTEA;
-- When it was found that somebody else had written to the row, in microseconds UTC; what it said of an answer went with that. Null otherwise.
ALTER TABLE deletions ADD COLUMN altered_at BIGINT;
