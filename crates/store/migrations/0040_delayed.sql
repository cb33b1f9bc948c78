-- How many lines about residents who were erased had not opened, by the mandate and the month in which they were written.
CREATE TABLE delayed_ended (
    -- Number of the mandate.
    mandate BIGINT NOT NULL,
    -- Month in Taipei, counted from January 2020.
    month BIGINT NOT NULL,
    -- How many lines.
    lines BIGINT NOT NULL,
    PRIMARY KEY (mandate, month)
);
