-- How far the key tree has come. A root of an earlier epoch was set back, and no start takes it.
CREATE TABLE key_epochs (
    -- Always 1: there is one row.
    id BIGINT NOT NULL PRIMARY KEY,
    -- The highest epoch after whose beginning every older root was destroyed.
    epoch BIGINT NOT NULL
);
