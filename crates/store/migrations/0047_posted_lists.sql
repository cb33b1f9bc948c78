-- Residents who want the list of their lines by post.
CREATE TABLE posted_lists (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- How often: once or monthly.
    every TEXT NOT NULL,
    -- Language of the list: en or zh-Hant.
    language TEXT NOT NULL,
    -- When the next one is due, in microseconds UTC.
    due_at BIGINT NOT NULL,
    -- HMAC under a key of the house over all that the row says.
    mark BYTEA NOT NULL,
    PRIMARY KEY (shard, resident)
);
CREATE INDEX posted_lists_by_due ON posted_lists (due_at);
