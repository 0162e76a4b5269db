-- Clients, grants and browsers of our OAuth 2.0 provider, and the mailboxes in which two devices meet for a login by QR code.

-- The client ID is made of the metadata: who registers the same again gets the same.
CREATE TABLE oauth_clients (
    client_id text   PRIMARY KEY,
    metadata  bytea  NOT NULL,                             -- JSON
    used      bigint NOT NULL                              -- when it was last registered, or let in by somebody
);
CREATE INDEX oauth_clients_by_use ON oauth_clients (used);

-- Secrets are kept as SHA-256 digests only.
CREATE TABLE oauth_codes (
    code_id      bytea   PRIMARY KEY,
    client_id    text    NOT NULL,
    user_id      text    NOT NULL,
    device_id    text    NOT NULL,
    scope        text    NOT NULL,
    redirect_uri text    NOT NULL,
    challenge    text    NOT NULL,
    expires      bigint  NOT NULL,
    used         boolean NOT NULL DEFAULT false            -- kept a while, so that a second use is noticed
);
CREATE INDEX oauth_codes_by_end ON oauth_codes (expires);

CREATE TABLE oauth_device_codes (
    code_id   bytea   PRIMARY KEY,
    user_code text    NOT NULL UNIQUE,
    client_id text    NOT NULL,
    device_id text    NOT NULL,
    scope     text    NOT NULL,
    expires   bigint  NOT NULL,
    pace      bigint  NOT NULL,                            -- ms that the client must leave between two questions
    polled    bigint  NOT NULL,                            -- when it last asked
    user_id   text,                                        -- who has answered
    denied    boolean NOT NULL DEFAULT false,
    used      boolean NOT NULL DEFAULT false
);
CREATE INDEX oauth_device_codes_by_end ON oauth_device_codes (expires);

-- The devices whose tokens were got through OAuth. All refresh tokens of one session begin with one secret: an old one is known
-- by it.
CREATE TABLE oauth_sessions (
    user_id   text  NOT NULL,
    device_id text  NOT NULL,
    client_id text  NOT NULL,
    scope     text  NOT NULL,
    family    bytea NOT NULL UNIQUE,
    PRIMARY KEY (user_id, device_id)
);
CREATE INDEX oauth_sessions_of_client ON oauth_sessions (client_id);

-- Browsers in which somebody is signed in on our pages.
CREATE TABLE oauth_browsers (
    token_id   bytea  PRIMARY KEY,
    user_id    text   NOT NULL,
    credential bytea  NOT NULL,                            -- digest of the password's hash: another password, and it is over
    proved     bigint NOT NULL,                            -- when the user last showed who they are
    expires    bigint NOT NULL
);
CREATE INDEX oauth_browsers_by_end ON oauth_browsers (expires);

-- Users who have allowed, on the account page, that their cross-signing keys are replaced.
CREATE TABLE oauth_resets (
    user_id text   PRIMARY KEY,
    expires bigint NOT NULL
);

-- Nothing is lost with a mailbox but a minute of two people's patience.
CREATE UNLOGGED TABLE rendezvous (
    id           text   PRIMARY KEY,
    content      bytea  NOT NULL,
    content_type text   NOT NULL,
    version      text   NOT NULL,                          -- ETag, or sequence_token
    modified     bigint NOT NULL,
    expires      bigint NOT NULL
);
CREATE INDEX rendezvous_by_end ON rendezvous (expires);
