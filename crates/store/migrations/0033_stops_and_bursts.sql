-- What the brake has stopped is looked for every few seconds, and is a few rows of all that it counted.
CREATE INDEX brake_stops ON brake_days (body, reason, officials) WHERE stop_day IS NOT NULL;
-- Uses of the last weeks are looked at by day, of all mandates at once.
CREATE INDEX tally_uses ON tally_counts (day, mandate) WHERE what = 'use';
