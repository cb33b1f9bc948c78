-- Proofs that the keys lived, taken before they went, as JSON; null until they are taken.
ALTER TABLE erasures ADD COLUMN evidence TEXT;
-- Until when copies of the ciphertext may exist, in microseconds UTC; null while the keys live.
ALTER TABLE erasures ADD COLUMN ciphertext_until BIGINT;
-- When the ciphertext was purged, in microseconds UTC; null before.
ALTER TABLE erasures ADD COLUMN purged_at BIGINT;

-- Services that were told to delete what they had received.
CREATE TABLE recipients (
    -- Id of the certificate.
    certificate_id TEXT NOT NULL,
    -- Id of the service.
    service TEXT NOT NULL,
    -- The resident as the service knew her, 22 characters; null when everything under a mandate goes.
    subject TEXT,
    -- When the deletion was noted for the service, in microseconds UTC.
    told_at BIGINT NOT NULL,
    -- deleted, kept or nothing; null while it has not answered.
    answer TEXT,
    -- When it answered, in microseconds UTC.
    answered_at BIGINT,
    PRIMARY KEY (certificate_id, service)
);

-- Pages of the key tree, when they are kept in the database. Sealed; nothing opens without the root, which is elsewhere.
CREATE TABLE key_pages (
    -- Segment and height.
    level BIGINT NOT NULL,
    -- Number of the page in its level; the salt of a top page.
    idx BIGINT NOT NULL,
    -- The commit that wrote it.
    version BIGINT NOT NULL,
    -- 4,096 bytes.
    data BYTEA NOT NULL,
    PRIMARY KEY (level, idx, version)
);
