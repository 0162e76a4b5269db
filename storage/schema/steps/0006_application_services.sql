-- Where each application service has got to, and the transaction that is on its way to it. A row per registration with a URL.
CREATE TABLE appservices (
    id             text   PRIMARY KEY,
    position       bigint NOT NULL,                        -- it has all that concerns it up to here
    series         text   NOT NULL,                        -- transaction IDs are this and a number
    number         bigint NOT NULL DEFAULT 0,              -- of the last transaction that was made
    upto           bigint,                                 -- where it will be with the one in flight; NULL: none is
    body           bytea,                                  -- the one in flight: a retry is the same to the last byte
    mail_users     text[],                                 -- whose messages to devices are in it, up to which position each
    mail_devices   text[],
    mail_positions bigint[],
    holder         text,                                   -- the process that delivers
    held_until     timestamptz                             -- by the clock of the database
) WITH (fillfactor = 50);
CREATE INDEX users_of_appservice ON users (appservice, user_id) WHERE appservice IS NOT NULL;

-- A room may stand in the directories of several networks of application services, and in the server's own ('') as well.
ALTER TABLE published_rooms DROP CONSTRAINT published_rooms_pkey;
ALTER TABLE published_rooms ADD PRIMARY KEY (room_id, network);
