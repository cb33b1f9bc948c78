-- A token of a service's own is of no resident, came from no code and belongs to no authorization, and is found by its hash alone. It need not
-- stand in the indexes by which tokens of residents are found.
DROP INDEX tokens_by_resident;
CREATE INDEX tokens_by_resident ON tokens (resident) WHERE resident IS NOT NULL;
DROP INDEX tokens_by_code;
CREATE INDEX tokens_by_code ON tokens (code_hash) WHERE code_hash IS NOT NULL;
DROP INDEX tokens_by_authorization;
CREATE INDEX tokens_by_authorization ON tokens (authorization_id) WHERE authorization_id IS NOT NULL;
DROP INDEX tokens_by_service;
CREATE INDEX tokens_by_service ON tokens (service, issued_at) WHERE resident IS NOT NULL;
