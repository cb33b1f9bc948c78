-- How far each source has come under each mandate.
CREATE TABLE sources (
    -- pass, or the id of the service that reports.
    source TEXT NOT NULL,
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Every number from 1 up to this one is in the log.
    received BIGINT NOT NULL,
    -- The highest number that is known to be given out.
    highest BIGINT NOT NULL,
    -- When the source was last heard, in microseconds UTC.
    heard_at BIGINT NOT NULL,
    -- Since when a number has been missing, in microseconds UTC; null while none is.
    behind_since BIGINT,
    -- 1 when the source has said that it reports no more under the mandate.
    ended BIGINT NOT NULL,
    PRIMARY KEY (source, mandate)
);

-- Numbers that are in the log although an earlier one is missing.
CREATE TABLE source_ahead (
    -- The source.
    source TEXT NOT NULL,
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- The number.
    number BIGINT NOT NULL,
    PRIMARY KEY (source, mandate, number)
);

-- How often something happened under a mandate on a day.
CREATE TABLE tally_counts (
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Day in Taipei, counted from 1970.
    day BIGINT NOT NULL,
    -- use, irregular, batch, resident, or refusal: and the code of the clause.
    what TEXT NOT NULL,
    -- How often.
    count BIGINT NOT NULL,
    PRIMARY KEY (mandate, day, what)
);

-- Which numbers of a source were logged on a day.
CREATE TABLE tally_spans (
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Day in Taipei, counted from 1970.
    day BIGINT NOT NULL,
    -- The source.
    source TEXT NOT NULL,
    -- The first number.
    first BIGINT NOT NULL,
    -- The last number.
    last BIGINT NOT NULL,
    -- How many lines.
    lines BIGINT NOT NULL,
    -- 32 random bytes that hide the numbers in the published tally; null until the day is counted.
    salt BYTEA,
    PRIMARY KEY (mandate, day, source)
);

-- Second copies of lines under mandates with an audit key, sealed to that key. Nothing in them says whose they are.
CREATE TABLE audit_copies (
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Day in Taipei, counted from 1970.
    day BIGINT NOT NULL,
    -- Counts up from 1 within the mandate.
    seq BIGINT NOT NULL,
    -- Leaf number, opening and event, sealed (HPKE).
    sealed BYTEA NOT NULL,
    PRIMARY KEY (mandate, day, seq)
);

-- What each pair of officials did on each day for one body and one reason.
CREATE TABLE brake_days (
    -- The body for which they act.
    body TEXT NOT NULL,
    -- Why they act.
    reason TEXT NOT NULL,
    -- Masked commitments to the two officials, the smaller one first, 64 bytes.
    officials BYTEA NOT NULL,
    -- Day in Taipei, counted from 1970.
    day BIGINT NOT NULL,
    -- Decisions that were taken.
    uses BIGINT NOT NULL,
    -- Decisions that the brake refused.
    refused BIGINT NOT NULL,
    -- The decisions of the day when it was last released; null when it was not.
    released BIGINT,
    -- The day on which it was stopped; null when it was not stopped on this day, or was released.
    stop_day BIGINT,
    -- The count at which it was stopped.
    stop_count BIGINT,
    PRIMARY KEY (body, reason, officials, day)
);

-- Orders to release the brake that have been carried out.
CREATE TABLE brake_releases (
    -- Id of the order.
    order_id TEXT NOT NULL PRIMARY KEY,
    -- When it was carried out, in microseconds UTC.
    released_at BIGINT NOT NULL
);

-- The day in Taipei on which the data was last used, counted from 1970; null before the first use.
ALTER TABLE grants ADD COLUMN used_on BIGINT;
-- How often on that day; null before the first use.
ALTER TABLE grants ADD COLUMN used_today BIGINT;
