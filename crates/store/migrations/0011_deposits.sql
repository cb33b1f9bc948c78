-- What services put into the pass is called a deposit: `collect` in a mandate says only that its services take data from the pass.
ALTER TABLE collected_blocks RENAME TO deposits;
ALTER TABLE deposits RENAME COLUMN collected_at TO deposited_at;

DROP INDEX collected_blocks_by_month;
DROP INDEX collected_blocks_by_end;
CREATE INDEX deposits_by_month ON deposits (mandate, month);
CREATE INDEX deposits_by_end ON deposits (keep_until);

ALTER TABLE collected_months RENAME TO deposit_months;
