-- When the resident last said yes again to what she lends, in microseconds UTC. NULL where she was not asked again.
ALTER TABLE grants ADD COLUMN reaffirmed_at BIGINT;
