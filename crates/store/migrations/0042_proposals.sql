-- Statements that wait for approvals of officials. Nothing rests on a row: each approval is a signature over what is to be published.
CREATE TABLE proposals (
    -- A random name, which opens nothing by itself.
    proposal_id TEXT NOT NULL PRIMARY KEY,
    -- The body that speaks in the first statement.
    agency TEXT NOT NULL,
    -- When the statements are published, once all approvals are there: the latest of their dates.
    due_at BIGINT NOT NULL,
    -- JSON: a list of objects with a statement, its approvals so far, and the bodies that have to approve it.
    content TEXT NOT NULL
);
CREATE INDEX proposals_by_due ON proposals (due_at);
