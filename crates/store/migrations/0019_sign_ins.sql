-- By what a resident had signed in when she agreed.

-- means: the word of a means of signing in; null where nobody signed in for it, or it was given before this was noted.
ALTER TABLE grants ADD COLUMN means TEXT;
