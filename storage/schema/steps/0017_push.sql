-- Delivery of pushes: one process at a time follows the journal for all pushers, and each pusher has its own place.
ALTER TABLE followers ADD COLUMN holder text;
ALTER TABLE followers ADD COLUMN held_until timestamptz;
ALTER TABLE pushers ADD COLUMN position bigint NOT NULL DEFAULT 0;
ALTER TABLE pushers ADD COLUMN enabled boolean NOT NULL DEFAULT true;
ALTER TABLE pushers ADD COLUMN behind boolean NOT NULL DEFAULT false;
ALTER TABLE pushers ADD COLUMN badge integer NOT NULL DEFAULT 0;
ALTER TABLE pushers ADD COLUMN due bigint;

CREATE TABLE push_mail_rooms (
    user_id  text   NOT NULL,
    address  text   NOT NULL,
    room_id  text   NOT NULL,
    position bigint NOT NULL,                              -- mails have told of it up to here
    sent     bigint NOT NULL,                              -- when one did so last
    pause    bigint NOT NULL,                              -- how long (ms) none does after that; it grows
    PRIMARY KEY (user_id, address, room_id)
);
