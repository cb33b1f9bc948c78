-- The week (from 5 January 1970 on) in which the walk of a breach began. Lines that open in a later week it has not seen, so it begins again
-- then. 0 for walks from before: they begin again once.
ALTER TABLE breach_walks ADD COLUMN week BIGINT NOT NULL DEFAULT 0;
