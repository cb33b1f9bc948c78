-- The tokens of a service end in parts when its mandate or its pseudonym domain ends.
CREATE INDEX tokens_by_service ON tokens (service, issued_at);
