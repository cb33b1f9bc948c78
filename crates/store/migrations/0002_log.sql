-- When the signed checkpoint was signed, in seconds since 1970 UTC; null before the first.
ALTER TABLE log_head ADD COLUMN published_time BIGINT;
-- Random mark of the process that writes, 16 bytes. Whoever opens the pass puts its own here, and a writer that does not
-- find its own any more stops; null before the first.
ALTER TABLE log_head ADD COLUMN holder BYTEA;
