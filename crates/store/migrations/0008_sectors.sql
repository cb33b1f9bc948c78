-- Number of the pseudonym sector whose key goes; null for all other erasures.
ALTER TABLE erasures ADD COLUMN sector BIGINT;
