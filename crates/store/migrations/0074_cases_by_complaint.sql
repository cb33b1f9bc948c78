-- Answers against which the law gives no more time.
CREATE INDEX cases_by_complaint ON cases (state, complain_until);
