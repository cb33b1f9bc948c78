-- When it was last used to sign in, in microseconds UTC; null before.
ALTER TABLE passkeys ADD COLUMN used_at BIGINT;

-- When the resident last proved herself in this session, in microseconds UTC; null when only as it was opened.
ALTER TABLE sessions ADD COLUMN proved_at BIGINT;

-- Recovery codes that a resident printed.
CREATE TABLE recovery_codes (
    -- SHA-256 of the code, which is 140 random bits.
    code_hash BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- When it was made, in microseconds UTC.
    made_at BIGINT NOT NULL,
    -- When it was used, in microseconds UTC; null while unused.
    used_at BIGINT
);

CREATE INDEX recovery_codes_by_resident ON recovery_codes (resident);

-- What two clerks have to approve: a new way in for a resident who has a pass in use.
CREATE TABLE counter_requests (
    -- 128 random bits, base64url.
    request_id TEXT NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- What she is to get: passkey or card.
    way TEXT NOT NULL,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL,
    -- Name of the key of the clerk who approved first; null before.
    first_clerk TEXT,
    -- Name of the key of another clerk who approved; null before.
    second_clerk TEXT,
    -- When the new way in was handed out, in microseconds UTC; null before.
    used_at BIGINT
);

CREATE INDEX counter_requests_by_resident ON counter_requests (resident);

-- Printed cards by which residents without a phone sign in.
CREATE TABLE cards (
    -- SHA-256 of the secret on the card, which is 140 random bits.
    secret_hash BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Argon2id of the PIN under a key of the house, as a PHC string.
    pin TEXT NOT NULL,
    -- When it was issued, in microseconds UTC.
    issued_at BIGINT NOT NULL,
    -- When it was last used, in microseconds UTC; null before.
    used_at BIGINT
);

CREATE INDEX cards_by_resident ON cards (resident);

-- Wrong PINs in a row, so that a restart forgets none.
CREATE TABLE attempts (
    -- SHA-256 over the card and the device that is known for it, or none.
    attempt_key BYTEA NOT NULL PRIMARY KEY,
    -- How many there were.
    failures BIGINT NOT NULL,
    -- Before this no PIN is looked at, in microseconds UTC.
    retry_at BIGINT NOT NULL
);
