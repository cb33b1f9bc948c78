-- What a resident wishes once and for all.
CREATE TABLE wishes (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- When she said so, in microseconds UTC.
    said_at BIGINT NOT NULL,
    -- Her wishes, sealed under her own key.
    sealed BYTEA NOT NULL,
    -- HMAC under a key of the house over all that the row says.
    mark BYTEA NOT NULL,
    PRIMARY KEY (shard, resident)
);
