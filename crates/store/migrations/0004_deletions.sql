-- Never filled; `deletions` takes its place.
DROP TABLE recipients;

-- What a service is told to delete, and its own answer.
CREATE TABLE deletions (
    -- The name by which the service knows the notice. Of one erasure every service has another one.
    deletion_id TEXT NOT NULL PRIMARY KEY,
    -- Id of the certificate.
    certificate_id TEXT NOT NULL,
    -- Id of the service.
    service TEXT NOT NULL,
    -- Number of the mandate; null when the whole pass was deleted.
    mandate BIGINT,
    -- The resident as the service knew her, sealed under the key of its sector; null when everything under the mandate goes.
    sealed BYTEA,
    -- When the notice was made, in microseconds UTC.
    noted_at BIGINT NOT NULL,
    -- When the answer is due, in microseconds UTC.
    due_at BIGINT NOT NULL,
    -- When the service first read it, in microseconds UTC; null before.
    told_at BIGINT,
    -- deleted, kept or nothing; null while it has not answered.
    answer TEXT,
    -- When it answered, in microseconds UTC.
    answered_at BIGINT,
    -- How much of this its certificate says: 0 nothing, 1 that it was told, 2 its answer.
    published BIGINT NOT NULL
);

CREATE INDEX deletions_by_service ON deletions (service, answered_at);
CREATE INDEX deletions_by_certificate ON deletions (certificate_id);
CREATE INDEX erasures_by_resident ON erasures (resident);
