-- Events that are to be sent later (MSC4140).

CREATE TABLE delayed_events (
    number     bigint GENERATED ALWAYS AS IDENTITY,        -- the order among those that are due at one time
    due        bigint NOT NULL,
    since      bigint NOT NULL,                            -- when its time began to run, or began again
    delay      bigint NOT NULL,
    seen       bigint NOT NULL,                            -- up to this position nobody else has set the state that it would set
    lease      bigint NOT NULL DEFAULT 0,                  -- until when (ms) somebody is sending it
    finalised  bigint,                                     -- when that was; NULL: it waits
    delay_id   text   PRIMARY KEY,
    user_id    text   NOT NULL,
    device_id  text,
    room_id    text   NOT NULL,
    type       text   NOT NULL,
    state_key  text,
    txn_id     text,
    txn_digest bytea UNIQUE,
    event_id   text,                                       -- what was sent; NULL with `finalised`: it was not
    error      bytea,                                      -- why not (JSON); NULL: somebody said so
    content    bytea  NOT NULL
);
CREATE INDEX delayed_events_waiting ON delayed_events (due) WHERE finalised IS NULL;
CREATE INDEX delayed_events_of_user ON delayed_events (user_id, due) WHERE finalised IS NULL;
CREATE INDEX delayed_events_finalised ON delayed_events (finalised) WHERE finalised IS NOT NULL;
