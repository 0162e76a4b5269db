-- Which threads users want to be told of (MSC4306).

-- An unsubscription stays as a row: older events do not subscribe the user again.
CREATE TABLE thread_subscriptions (
    position   bigint  NOT NULL,
    subscribed boolean NOT NULL,
    automatic  boolean NOT NULL,
    user_id    text    NOT NULL,
    room_id    text    NOT NULL,
    root       text    NOT NULL,
    PRIMARY KEY (user_id, room_id, root)
);
CREATE INDEX thread_subscriptions_by_position ON thread_subscriptions (user_id, position);
