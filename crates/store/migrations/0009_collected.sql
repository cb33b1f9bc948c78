-- What services collected about residents, each row sealed under the key of the month in which it was collected.
CREATE TABLE collected_blocks (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Leaf number of the event by which it was collected.
    idx BIGINT NOT NULL,
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- The month, counted from January 2020.
    month BIGINT NOT NULL,
    -- Number of the data block.
    block BIGINT NOT NULL,
    -- When it was collected, in microseconds UTC.
    collected_at BIGINT NOT NULL,
    -- When its time is over, in microseconds UTC.
    keep_until BIGINT NOT NULL,
    -- The sealed value.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (shard, resident, idx)
);

CREATE INDEX collected_blocks_by_month ON collected_blocks (mandate, month);
CREATE INDEX collected_blocks_by_end ON collected_blocks (keep_until);

-- Months of mandates that have, or are about to get, a key.
CREATE TABLE collected_months (
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- The month, counted from January 2020.
    month BIGINT NOT NULL,
    PRIMARY KEY (mandate, month)
);

-- Months of the mandate whose keys go, as numbers separated by spaces; null for all other erasures.
ALTER TABLE erasures ADD COLUMN months TEXT;
