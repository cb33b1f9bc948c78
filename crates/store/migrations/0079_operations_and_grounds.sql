-- Operations of systems outside whose lines the pass numbers itself, so that a line that is sent again is taken once.
CREATE TABLE source_operations (
    -- Id of the service whose system it is.
    source TEXT NOT NULL,
    -- Trace and operation as the system names them, 24 bytes.
    operation BYTEA NOT NULL,
    -- When it happened, in microseconds UTC.
    happened_at BIGINT NOT NULL,
    PRIMARY KEY (source, operation)
);
CREATE INDEX source_operations_by_time ON source_operations (happened_at);
-- On which ground of its law a service keeps what it was told to delete, by the code in the pack of that law. NULL for other answers, and for answers
-- from before a ground was asked for.
ALTER TABLE deletions ADD COLUMN ground TEXT;
