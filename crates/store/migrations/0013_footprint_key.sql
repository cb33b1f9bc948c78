-- The resident's footprint key, sealed in her browser under what this passkey evaluates (WebAuthn PRF); null while only the vault keeps it.
ALTER TABLE passkeys ADD COLUMN wrap BYTEA;
-- The same, sealed under the code; null when the code was made by the server, or is used.
ALTER TABLE recovery_codes ADD COLUMN wrap BYTEA;
