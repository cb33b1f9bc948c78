-- When the signed checkpoint was signed, in seconds since 1970 UTC; null before the first.
ALTER TABLE log_head ADD COLUMN published_time BIGINT;
