-- Number of the mandate under which it happened what the case is about; null where there is none.
ALTER TABLE cases ADD COLUMN mandate BIGINT;
-- Id of the service it is about; null where there is none.
ALTER TABLE cases ADD COLUMN service TEXT;
-- Id of the office that has to answer; empty only in rows that are older than the column.
ALTER TABLE cases ADD COLUMN agency TEXT NOT NULL DEFAULT '';
-- Id of the body that decides where the office does not answer, or she does not agree; null where nobody oversees the office.
ALTER TABLE cases ADD COLUMN overseer TEXT;
-- When more time was taken, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN extended_at BIGINT;
-- When the office answered, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN answered_at BIGINT;
-- What the answer comes to: dismissed, partly or upheld.
ALTER TABLE cases ADD COLUMN finding TEXT;
-- When it went to the overseer, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN escalated_at BIGINT;
-- When the overseer decided, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN decided_at BIGINT;
-- What the decision of the overseer comes to.
ALTER TABLE cases ADD COLUMN decision TEXT;
-- What is done about it: compensate, correct, delete or stop.
ALTER TABLE cases ADD COLUMN remedy TEXT;
-- When that is due, in microseconds UTC; null without a remedy.
ALTER TABLE cases ADD COLUMN remedy_due_at BIGINT;
-- When it was done, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN remedied_at BIGINT;
-- 1 while everything under the mandate rests.
ALTER TABLE cases ADD COLUMN suspends BIGINT NOT NULL DEFAULT 0;
-- HMAC under a key of the house over all that the row says; null only in rows that are older than the column.
ALTER TABLE cases ADD COLUMN mark BYTEA;

CREATE INDEX cases_by_due ON cases (state, due_at);
CREATE INDEX cases_by_remedy ON cases (remedy, remedied_at);
CREATE INDEX cases_by_agency ON cases (agency, state);
CREATE INDEX cases_by_mandate ON cases (shard, resident, mandate);

-- How many cases were filed, answered and decided, for the public. It names nobody, and stays when residents are erased.
CREATE TABLE case_counts (
    -- Id of the office that the cases are about.
    agency TEXT NOT NULL,
    -- Kind of case.
    kind TEXT NOT NULL,
    -- What was counted.
    what TEXT NOT NULL,
    -- Day of the calendar in Taipei, counted from 1970.
    day BIGINT NOT NULL,
    -- How many there were on the day.
    number BIGINT NOT NULL,
    PRIMARY KEY (agency, kind, what, day)
);
