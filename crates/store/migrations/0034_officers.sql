-- The words by which services name their officers. Only an order of the oversight body opens one.
CREATE TABLE officers (
    -- Commitment to the officer, as it stands in events.
    actor BYTEA NOT NULL PRIMARY KEY,
    -- The pseudonym sector of the service.
    sector BIGINT NOT NULL,
    -- The word, sealed under the key of the sector and the commitment.
    sealed BYTEA NOT NULL
);
CREATE INDEX officers_by_sector ON officers (sector);
