-- Weekly messages to residents. A row says that a week is over and no more: what happened in it stands in her lines.
CREATE TABLE messages (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- The week at whose end it was due, counted from Monday 5 January 1970 in Taipei.
    week BIGINT NOT NULL,
    -- First moment it is about, in microseconds UTC: where the message before it ends, else when she got the pass.
    begins_at BIGINT NOT NULL,
    -- First moment after what it is about, in microseconds UTC.
    ends_at BIGINT NOT NULL,
    -- When it was written, in microseconds UTC.
    written_at BIGINT NOT NULL,
    -- 1 while a letter that says that it is there waits for the courier.
    mail_due BIGINT NOT NULL,
    PRIMARY KEY (shard, resident, week)
);
CREATE INDEX messages_by_mail ON messages (shard, resident) WHERE mail_due = 1;

-- What residents wish about their messages.
CREATE TABLE message_wishes (
    -- Twelve bits of a hash of the resident number.
    shard BIGINT NOT NULL,
    -- The resident.
    resident BIGINT NOT NULL,
    -- 1 where she wants none.
    is_off BIGINT NOT NULL,
    -- Where a letter goes that says that there is one, sealed under her own key; null where none goes.
    address BYTEA,
    -- When she said so, in microseconds UTC.
    said_at BIGINT NOT NULL,
    -- HMAC under a key of the house over all that the row says.
    mark BYTEA NOT NULL,
    PRIMARY KEY (shard, resident)
);

-- How far the writing of the messages has come. One row.
CREATE TABLE message_walk (
    -- Always 1.
    id BIGINT NOT NULL PRIMARY KEY,
    -- The week whose messages are written.
    week BIGINT NOT NULL,
    -- The last resident who has been looked at; null before the first.
    after_resident BIGINT,
    -- 1 once all have been.
    is_done BIGINT NOT NULL,
    -- First moment that any message is about, in microseconds UTC.
    began_at BIGINT NOT NULL
);
