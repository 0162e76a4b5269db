-- ── mail ──

-- Mails that wait to be handed to the mail server; what was handed over is deleted.
CREATE TABLE mails (
    number    bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due       bigint  NOT NULL,                            -- of the next attempt; while it is made, when another process may
    attempts  integer NOT NULL DEFAULT 0,
    expires   bigint  NOT NULL,                            -- then it is not worth sending any more
    recipient text    NOT NULL,
    message   bytea   NOT NULL                             -- with its headers
);
CREATE INDEX mails_due ON mails (due);

-- ── third-party identifiers ──

CREATE TABLE threepids (
    medium       text   NOT NULL,
    address      text   NOT NULL,                          -- canonical
    user_id      text   NOT NULL,
    validated_at bigint NOT NULL,
    added_at     bigint NOT NULL,
    PRIMARY KEY (medium, address)
);
CREATE INDEX threepids_of_user ON threepids (user_id);

-- Somebody shows that an address is theirs, for one purpose, such as a new password.
CREATE TABLE threepid_sessions (
    sid           text    PRIMARY KEY,
    purpose       text    NOT NULL,
    medium        text    NOT NULL,
    address       text    NOT NULL,
    client_secret text    NOT NULL,
    token         text,                                    -- what the mail says; NULL: there is nothing that would validate it
    send_attempt  bigint  NOT NULL,
    next_link     text,
    created       bigint  NOT NULL,
    validated_at  bigint
);
CREATE UNIQUE INDEX threepid_sessions_of_client ON threepid_sessions (purpose, medium, address, client_secret);
CREATE INDEX threepid_sessions_created ON threepid_sessions (created);

-- What was published at identity servers through us.
CREATE TABLE threepid_bindings (
    user_id   text NOT NULL,
    medium    text NOT NULL,
    address   text NOT NULL,
    id_server text NOT NULL,
    PRIMARY KEY (user_id, medium, address, id_server)
);
