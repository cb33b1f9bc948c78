-- What the brake has stopped is looked for every few seconds, and is a few rows of all that it counted.
CREATE INDEX brake_stops ON brake_days (body, reason, officials) WHERE stop_day IS NOT NULL;
