-- What a use is about, where that concerns somebody else: kept with the line, and handed to nobody before the day that the line names.
-- The random bytes that hide it in the event and the matter itself, sealed under the key of the line. NULL for all other lines.
ALTER TABLE lines ADD COLUMN matter BYTEA;
