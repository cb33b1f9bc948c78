-- Where the log stands. One row.
CREATE TABLE log_head (
    -- Always 1.
    id BIGINT NOT NULL PRIMARY KEY,
    -- How many leaves are committed.
    size BIGINT NOT NULL,
    -- How many leaves the signed checkpoint covers; null before the first.
    published_size BIGINT,
    -- Root hash of the signed checkpoint, 32 bytes.
    published_root BYTEA,
    -- The signed checkpoint, a signed note in UTF-8.
    published_note BYTEA
);

-- The leaves of the log, public: statements in clear, events as 66 random-looking bytes. Never changed, never deleted.
CREATE TABLE leaves (
    -- Leaf number, from 0 without gaps.
    idx BIGINT NOT NULL PRIMARY KEY,
    -- The leaf.
    data BYTEA NOT NULL
);

-- Residents of the pass. No name, no number from outside: those are sealed blocks.
CREATE TABLE residents (
    -- Twelve bits of a hash of the resident number; leads every large table so that it can be spread over nodes.
    shard BIGINT NOT NULL,
    -- Number of the resident, her place in the key tree. Never leaves the house.
    resident BIGINT NOT NULL,
    -- active, deactivated or erased.
    state TEXT NOT NULL,
    -- When the pass was made, in microseconds UTC.
    enrolled_at BIGINT NOT NULL,
    PRIMARY KEY (shard, resident)
);

-- From a pseudonym's seed back to the resident, for those who hold the keys.
CREATE TABLE seeds (
    -- Keyed hash of the resident's seed, 32 bytes.
    seed_index BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL
);

-- Each resident's keyring, sealed under her key in the vault's tree. Two versions exist only while an erasure is under way.
CREATE TABLE keyrings (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Counts up with each new sealing.
    version BIGINT NOT NULL,
    -- The sealed keyring.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (shard, resident, version)
);

-- The resident's own copy of her data, sealed under a key in her keyring.
CREATE TABLE own_blocks (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Number of the data block (leaf number of its first statement).
    block BIGINT NOT NULL,
    -- The sealed value.
    sealed BYTEA NOT NULL,
    -- When it was last set, in microseconds UTC.
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (shard, resident, block)
);

-- The current grant of a resident under a mandate.
CREATE TABLE grants (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Number of the mandate (leaf number of its first statement).
    mandate BIGINT NOT NULL,
    -- Id shown to the resident.
    grant_id TEXT NOT NULL,
    -- consent or notified.
    kind TEXT NOT NULL,
    -- given, paused, withdrawn, sunset or invalidated.
    state TEXT NOT NULL,
    -- Counts up with each change; a decision holds only for the revision it saw.
    revision BIGINT NOT NULL,
    -- Hash of the mandate revision agreed to, 32 bytes.
    mandate_hash BYTEA NOT NULL,
    -- Ids of the blocks agreed to, separated by spaces.
    blocks TEXT NOT NULL,
    -- When it was given, in microseconds UTC.
    given_at BIGINT NOT NULL,
    -- When it ends by itself, in microseconds UTC.
    valid_until BIGINT NOT NULL,
    -- Uses so far.
    uses BIGINT NOT NULL,
    -- Begin of the current rate window, in microseconds UTC.
    window_start BIGINT NOT NULL,
    -- Uses in the current rate window.
    window_uses BIGINT NOT NULL,
    -- The last use, in microseconds UTC; null before the first.
    last_use_at BIGINT,
    PRIMARY KEY (shard, resident, mandate)
);

CREATE INDEX grants_by_mandate ON grants (mandate, state);

-- Copies of blocks on loan under a grant, sealed under a key that needs both the grant's and the mandate's secret.
CREATE TABLE lent_blocks (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Number of the data block.
    block BIGINT NOT NULL,
    -- The sealed value.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (shard, resident, mandate, block)
);

-- The resident's own record of each event about her, sealed for her footprint.
CREATE TABLE lines (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Number in the resident's chain, from 0 without gaps.
    n BIGINT NOT NULL,
    -- Leaf number in the log.
    idx BIGINT NOT NULL,
    -- The commitment in the leaf, 32 bytes: what the next event names as its predecessor.
    commitment BYTEA NOT NULL,
    -- The sealed event and the 32 bytes that open its commitment.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (shard, resident, n)
);

-- Passkeys of residents (WebAuthn public-key credentials).
CREATE TABLE passkeys (
    -- Credential id.
    credential BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Public key, counter and flags, as JSON.
    passkey TEXT NOT NULL,
    -- What the resident calls the device.
    label TEXT NOT NULL,
    -- When it was added, in microseconds UTC.
    added_at BIGINT NOT NULL
);

CREATE INDEX passkeys_by_resident ON passkeys (resident);

-- One-time invitation codes that a clerk prints.
CREATE TABLE invitations (
    -- SHA-256 of the code.
    code_hash BYTEA NOT NULL PRIMARY KEY,
    -- The resident it enrols.
    resident BIGINT NOT NULL,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL,
    -- When it was used, in microseconds UTC; null while unused.
    redeemed_at BIGINT
);

-- Browser sessions of residents.
CREATE TABLE sessions (
    -- SHA-256 of the session token.
    token_hash BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- When the resident signed in, in microseconds UTC.
    opened_at BIGINT NOT NULL,
    -- Last request, in microseconds UTC.
    seen_at BIGINT NOT NULL,
    -- What kind of device, in a word or two.
    device TEXT NOT NULL
);

CREATE INDEX sessions_by_resident ON sessions (resident);

-- Authorization codes (OpenID Connect Core 3.1).
CREATE TABLE codes (
    -- SHA-256 of the code.
    code_hash BYTEA NOT NULL PRIMARY KEY,
    -- The service it was made for.
    service TEXT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Where the answer went, byte for byte.
    redirect_uri TEXT NOT NULL,
    -- PKCE challenge (RFC 7636, S256).
    challenge TEXT NOT NULL,
    -- nonce of the request; null when absent.
    nonce TEXT,
    -- Granted scope.
    scope TEXT NOT NULL,
    -- When the resident signed in, in microseconds UTC.
    auth_time BIGINT NOT NULL,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL,
    -- When it was exchanged, in microseconds UTC; null while unused.
    used_at BIGINT
);

CREATE INDEX codes_by_resident ON codes (resident);

-- Opaque access tokens.
CREATE TABLE tokens (
    -- SHA-256 of the token.
    token_hash BYTEA NOT NULL PRIMARY KEY,
    -- The service it was given to.
    service TEXT NOT NULL,
    -- The resident it speaks for; null for a service's own token.
    resident BIGINT,
    -- Granted scope.
    scope TEXT NOT NULL,
    -- When the resident signed in, in microseconds UTC; null for a service's own token.
    auth_time BIGINT,
    -- SHA-256 of the code it came from; null for a service's own token.
    code_hash BYTEA,
    -- When it was made, in microseconds UTC.
    issued_at BIGINT NOT NULL,
    -- When it stops working, in microseconds UTC.
    expires_at BIGINT NOT NULL
);

CREATE INDEX tokens_by_resident ON tokens (resident);
CREATE INDEX tokens_by_code ON tokens (code_hash);

-- Client assertions seen, so that none works twice (RFC 7523).
CREATE TABLE assertions (
    -- SHA-256 over client and jti.
    jti_hash BYTEA NOT NULL PRIMARY KEY,
    -- When it may be forgotten, in microseconds UTC.
    expires_at BIGINT NOT NULL
);

-- What residents object to.
CREATE TABLE cases (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- Id of the case.
    case_id TEXT NOT NULL,
    -- challenge or correct.
    kind TEXT NOT NULL,
    -- Number of the footprint line it is about.
    line BIGINT NOT NULL,
    -- filed, answered or settled.
    state TEXT NOT NULL,
    -- When it was filed, in microseconds UTC.
    filed_at BIGINT NOT NULL,
    -- When an answer is due, in microseconds UTC.
    due_at BIGINT NOT NULL,
    -- The resident's words, sealed under her own key.
    sealed BYTEA NOT NULL,
    PRIMARY KEY (shard, resident, case_id)
);

-- Keys that must be destroyed. A row stays until the keys are gone, so a crash only delays.
CREATE TABLE erasures (
    -- Id of the certificate that will say so.
    certificate_id TEXT NOT NULL PRIMARY KEY,
    -- withdrawal, request, sunset or revocation.
    cause TEXT NOT NULL,
    -- The resident; null when a mandate's own key goes.
    resident BIGINT,
    -- Number of the mandate whose key, or whose grant key of the resident, goes; null when the whole resident is erased.
    mandate BIGINT,
    -- Commitments of the keys that go, as hexadecimal digits separated by spaces, noted while the keys live.
    commitments TEXT NOT NULL,
    -- When it was asked for, in microseconds UTC.
    requested_at BIGINT NOT NULL,
    -- When the keys were destroyed, in microseconds UTC; null while they live.
    destroyed_at BIGINT
);
