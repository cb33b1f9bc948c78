-- What a body that watches over offices looks for: cases that were filed and are not answered.
CREATE INDEX cases_by_overseer ON cases (overseer, state);
