-- Which body put a deposit into the pass: that of the service, or for a vendor the one that commissioned it. What it put in is handed to another
-- body only under an agreement. NULL for what was put in before this was kept; that is the controller's alone.
ALTER TABLE deposits ADD COLUMN depositor TEXT;
