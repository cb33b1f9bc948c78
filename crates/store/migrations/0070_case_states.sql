-- By when the office says that it has the case, in microseconds UTC; null in rows that are older than the column.
ALTER TABLE cases ADD COLUMN acknowledge_due_at BIGINT;
-- When the office did something for the first time, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN acknowledged_at BIGINT;
-- Until when the answer can be taken to the overseer, in microseconds UTC; null without an answer or where the law sets no time.
ALTER TABLE cases ADD COLUMN complain_until BIGINT;
-- When the resident accepted the answer, or the time to go against it was over, in microseconds UTC; null before.
ALTER TABLE cases ADD COLUMN settled_at BIGINT;

-- The word for where a case stands follows from its times. It is kept so that cases can be found by it.
UPDATE cases SET state = CASE WHEN remedied_at IS NULL THEN 'remedy_due' ELSE 'closed' END WHERE state = 'decided' AND remedy IS NOT NULL;
