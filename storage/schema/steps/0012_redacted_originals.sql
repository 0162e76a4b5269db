-- What redacted events said, for the moderators of their room (MSC2815).

CREATE TABLE redacted_originals (
    event_id text        PRIMARY KEY,
    redacted timestamptz NOT NULL DEFAULT now(),
    json     bytea       NOT NULL
);
CREATE INDEX redacted_originals_by_time ON redacted_originals USING brin (redacted);
