-- Revision of the mandate that the resident refused after an earlier grant of hers had ended, by its hash. NULL where she did not.
ALTER TABLE grants ADD COLUMN refused_hash BYTEA;
-- What stands under a mandate and was given by a day.
CREATE INDEX grants_by_mandate_given ON grants (mandate, state, given_at);
