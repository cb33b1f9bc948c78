-- Certificate cards that were shown for a ceremony which is not finished yet.
CREATE TABLE shown_cards (
    -- SHA-256 over the ceremony.
    ceremony_hash BYTEA NOT NULL PRIMARY KEY,
    -- The certificate, sealed under a key of the house and the ticket of the browser that showed the card.
    sealed BYTEA NOT NULL,
    -- When the ceremony is over, in microseconds UTC.
    expires_at BIGINT NOT NULL
);
