-- Services that a session signed in to, and under which names.
CREATE TABLE session_services (
    -- SHA-256 of the session token.
    token_hash BYTEA NOT NULL,
    -- The service.
    service TEXT NOT NULL,
    -- Name of the session for this service and pseudonym.
    sid TEXT NOT NULL,
    -- The resident as the service met her in this session, sealed under the key of its sector.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (token_hash, service, sid)
);

CREATE INDEX sessions_by_seen ON sessions (seen_at);
CREATE INDEX sessions_by_opened ON sessions (opened_at);

-- Where a service wants to be told what happens (OpenID Shared Signals Framework 1.0). One for each service.
CREATE TABLE streams (
    -- The stream_id of the service, random.
    stream_id TEXT NOT NULL PRIMARY KEY,
    -- The service.
    service TEXT NOT NULL UNIQUE,
    -- enabled, paused or disabled.
    status TEXT NOT NULL,
    -- Why, in the words of the service; null when it gave none.
    reason TEXT,
    -- push or poll.
    method TEXT NOT NULL,
    -- Where to push to, an address of the register; null when it polls.
    endpoint TEXT,
    -- What to send as Authorization with a push, sealed under the key of the sector; null for nothing.
    authorization_header BYTEA,
    -- Types of event it asked for, separated by spaces; null when it did not say, which means all.
    events TEXT,
    -- Its own words for the stream; null when it gave none.
    description TEXT,
    -- When it was made, in microseconds UTC.
    created_at BIGINT NOT NULL,
    -- When the service last asked to have it verified, in microseconds UTC; null before.
    verified_at BIGINT
);

-- What services have to be told. A row goes when its service has it, or when its time is over.
CREATE TABLE outbox (
    -- Random name, and the jti of a signal. Of one event every service has another one.
    message_id TEXT NOT NULL PRIMARY KEY,
    -- The service.
    service TEXT NOT NULL,
    -- logout for a logout token, signal for a security event token.
    channel TEXT NOT NULL,
    -- What happened, under which pseudonym: as JSON, sealed under the key of the sector of the service.
    sealed BYTEA NOT NULL,
    -- When it happened, in microseconds UTC.
    noted_at BIGINT NOT NULL,
    -- When it is tried next, in microseconds UTC. Whoever tries it moves this on first, so that a crash only delays.
    due_at BIGINT NOT NULL,
    -- How often it was tried.
    attempts BIGINT NOT NULL,
    -- When it is given up, in microseconds UTC.
    ends_at BIGINT NOT NULL
);

CREATE INDEX outbox_by_due ON outbox (channel, due_at);
CREATE INDEX outbox_by_service ON outbox (service, channel, noted_at);
CREATE INDEX outbox_by_end ON outbox (ends_at);
CREATE INDEX deletions_by_due ON deletions (due_at);
