-- Who was told of a breach, and how: each resident once, however often the machine begins again.
CREATE TABLE breach_notices (
    -- Shard of the resident.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Number of the breach.
    breach BIGINT NOT NULL,
    -- When she was told, in microseconds UTC.
    told_at BIGINT NOT NULL,
    -- pass, or courier when she has no passkey and gets a letter.
    channel TEXT NOT NULL,
    PRIMARY KEY (shard, resident, breach)
);

CREATE INDEX breach_notices_by_breach ON breach_notices (breach, channel);

-- How far the machine has come in telling residents of a breach.
CREATE TABLE breach_walks (
    -- Number of the breach.
    breach BIGINT NOT NULL PRIMARY KEY,
    -- SHA-256 of what is concerned; when it is another, the walk begins again.
    scope BYTEA NOT NULL,
    -- The last resident that was looked at; null at the beginning.
    after BIGINT,
    -- Ids of the blocks of those told so far, with spaces between them.
    blocks TEXT NOT NULL,
    -- 0 while it goes on, 1 when all residents were looked at, 2 when the register says so.
    done BIGINT NOT NULL
);

-- How far the replacement of all pseudonyms of a domain has come. The register says that it was begun.
CREATE TABLE sector_rotations (
    -- Id of the rotation.
    rotation_id TEXT NOT NULL PRIMARY KEY,
    -- The last resident who has another pseudonym; null at the beginning.
    after BIGINT,
    -- How many have another one.
    residents BIGINT NOT NULL,
    -- When all had another one, in microseconds UTC; null before.
    done_at BIGINT
);
