-- How the resident proved herself: passkey, card or counter; null for a passkey.
ALTER TABLE sessions ADD COLUMN means TEXT;

-- Thumbprint of the key that the code is bound to (RFC 9449 10); null when to none.
ALTER TABLE codes ADD COLUMN jkt TEXT;
-- The authorization it belongs to; null for a service that gets no data.
ALTER TABLE codes ADD COLUMN authorization_id TEXT;
-- Name of the resident's session for this service alone.
ALTER TABLE codes ADD COLUMN sid TEXT;
-- How the resident proved herself; null for a passkey.
ALTER TABLE codes ADD COLUMN means TEXT;

-- Thumbprint of the key that the token is bound to; null for a bearer token.
ALTER TABLE tokens ADD COLUMN jkt TEXT;
-- The authorization it belongs to; null when to none.
ALTER TABLE tokens ADD COLUMN authorization_id TEXT;
-- How the resident proved herself; null for a passkey.
ALTER TABLE tokens ADD COLUMN means TEXT;

-- What a resident authorized one service for, over the life of many tokens (Grant Management for OAuth 2.0).
CREATE TABLE authorizations (
    -- The grant_id of the service, 43 random characters behind a prefix.
    authorization_id TEXT NOT NULL PRIMARY KEY,
    -- The service.
    service TEXT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Granted scope: openid and ids of mandates.
    scope TEXT NOT NULL,
    -- When it was made, in microseconds UTC.
    created_at BIGINT NOT NULL,
    -- When it last changed, in microseconds UTC.
    updated_at BIGINT NOT NULL,
    -- When it ends by itself, in microseconds UTC.
    ends_at BIGINT NOT NULL
);

CREATE INDEX authorizations_by_resident ON authorizations (resident, service);

-- Refresh tokens. They are not rotated (FAPI 2.0 5.3.2.1) and end with their authorization.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token.
    token_hash BYTEA NOT NULL PRIMARY KEY,
    -- The service it was given to.
    service TEXT NOT NULL,
    -- The resident it speaks for.
    resident BIGINT NOT NULL,
    -- The authorization it belongs to.
    authorization_id TEXT NOT NULL,
    -- Thumbprint of the key that it is bound to.
    jkt TEXT NOT NULL,
    -- Granted scope.
    scope TEXT NOT NULL,
    -- When the resident signed in, in microseconds UTC.
    auth_time BIGINT NOT NULL,
    -- How the resident proved herself; null for a passkey.
    means TEXT,
    -- Name of the resident's session for this service.
    sid TEXT NOT NULL,
    -- SHA-256 of the code it came from.
    code_hash BYTEA NOT NULL,
    -- When it was made, in microseconds UTC.
    issued_at BIGINT NOT NULL,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL
);

CREATE INDEX refresh_tokens_by_resident ON refresh_tokens (resident);
CREATE INDEX refresh_tokens_by_authorization ON refresh_tokens (authorization_id);
CREATE INDEX refresh_tokens_by_code ON refresh_tokens (code_hash);
CREATE INDEX tokens_by_authorization ON tokens (authorization_id);

-- Authorization requests that services pushed (RFC 9126).
CREATE TABLE pushed_requests (
    -- SHA-256 of the request_uri.
    request_hash BYTEA NOT NULL PRIMARY KEY,
    -- The service that pushed it, and nobody else's.
    service TEXT NOT NULL,
    -- Its parameters, as application/x-www-form-urlencoded.
    parameters TEXT NOT NULL,
    -- Thumbprint of the key that the code will be bound to; null when to none.
    jkt TEXT,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL,
    -- When the resident answered it, in microseconds UTC; null before.
    used_at BIGINT
);
