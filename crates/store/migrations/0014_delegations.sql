-- Who may act for whom. A row goes when the delegation ends; what happened stands in the footprints of both.
CREATE TABLE delegations (
    -- 128 random bits, base64url.
    delegation_id TEXT NOT NULL PRIMARY KEY,
    -- helper or guardian.
    role TEXT NOT NULL,
    -- The resident on whose rights is acted.
    person BIGINT NOT NULL,
    -- The resident who acts; null until a helper has taken it up.
    delegate BIGINT,
    -- What was given: footprint, consents, cases, sign-in, separated by spaces.
    powers TEXT NOT NULL,
    -- SHA-256 of the code by which a helper takes it up; null for a guardian, and once it was taken up.
    code_hash BYTEA UNIQUE,
    -- When the code stops working, in microseconds UTC; null where there is none.
    code_ends_at BIGINT,
    -- When it was given, in microseconds UTC.
    given_at BIGINT NOT NULL,
    -- When the delegate took it up, in microseconds UTC; null before.
    taken_at BIGINT,
    -- When it ends by itself, in microseconds UTC.
    ends_at BIGINT NOT NULL,
    -- What the person calls the delegate, sealed under the person's own key; null until it was said.
    delegate_called BYTEA,
    -- What the delegate calls the person, sealed under the person's own key until it is taken up and under the delegate's from then on; null until it was said.
    person_called BYTEA
);

CREATE INDEX delegations_by_person ON delegations (person);
CREATE INDEX delegations_by_delegate ON delegations (delegate);
CREATE INDEX delegations_by_end ON delegations (ends_at);

-- Authorization codes that a delegate was given for the person, so that what came of them ends with the delegation.
CREATE TABLE delegated_codes (
    -- SHA-256 of the code.
    code_hash BYTEA NOT NULL PRIMARY KEY,
    -- The delegation.
    delegation_id TEXT NOT NULL
);

CREATE INDEX delegated_codes_by_delegation ON delegated_codes (delegation_id);

-- The session of the delegate in which she acts, as its token's SHA-256; null for a session of her own.
ALTER TABLE sessions ADD COLUMN parent BYTEA;
-- The delegation under which this session acts; null for a session of one's own.
ALTER TABLE sessions ADD COLUMN delegation_id TEXT;
-- What the delegate has looked at in this session, as powers separated by spaces; null for nothing.
ALTER TABLE sessions ADD COLUMN looked TEXT;

CREATE INDEX sessions_by_parent ON sessions (parent);
CREATE INDEX sessions_by_delegation ON sessions (delegation_id);

-- The guardian of a request about a guardianship; null for a new way in.
ALTER TABLE counter_requests ADD COLUMN guardian BIGINT;
-- When the guardianship is to end, in microseconds UTC; null where it is to end now, and for a new way in.
ALTER TABLE counter_requests ADD COLUMN guardian_ends_at BIGINT;
