-- When it was found that the answer had not come in time, in microseconds UTC; null while it has or may still come. A late answer leaves it.
ALTER TABLE deletions ADD COLUMN missed_at BIGINT;
