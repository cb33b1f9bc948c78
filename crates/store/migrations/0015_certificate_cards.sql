-- Certificate cards of the state by which residents sign in.
CREATE TABLE certificate_cards (
    -- HMAC under a key of the house over issuer and public key of the certificate.
    card_mark BYTEA NOT NULL PRIMARY KEY,
    -- The resident.
    resident BIGINT NOT NULL,
    -- What she calls it.
    label TEXT NOT NULL,
    -- HMAC under a key of the house over the name of the issuer.
    issuer_mark BYTEA NOT NULL,
    -- HMAC under a key of the house over issuer and serial number, by which lists of revoked certificates are compared.
    serial_mark BYTEA NOT NULL,
    -- The midnight after the last day of the certificate, in microseconds UTC.
    ends_at BIGINT NOT NULL,
    -- When it was registered, in microseconds UTC.
    added_at BIGINT NOT NULL,
    -- When it was last used, in microseconds UTC; null before.
    used_at BIGINT
);

CREATE INDEX certificate_cards_by_resident ON certificate_cards (resident);
CREATE INDEX certificate_cards_by_end ON certificate_cards (ends_at);

-- The certificate card that opened the session; null where none did.
ALTER TABLE sessions ADD COLUMN card_mark BYTEA;

-- When the certificate that opened the session ends, in microseconds UTC; null where none did.
ALTER TABLE sessions ADD COLUMN ends_at BIGINT;

CREATE INDEX sessions_by_end ON sessions (ends_at);
