-- Synthetic residents of drills. A row stays when its resident is erased, so that nobody ever counts her as a person.
CREATE TABLE canaries (
    -- The resident.
    resident BIGINT NOT NULL PRIMARY KEY
);

-- When the running system could open nothing under the keys any more, in microseconds UTC; null while it can, or when that was not noted.
ALTER TABLE erasures ADD COLUMN live_at BIGINT;
-- When the root was destroyed under which the keys lived, in microseconds UTC; null while it is there, or when that was not noted.
ALTER TABLE erasures ADD COLUMN root_at BIGINT;
