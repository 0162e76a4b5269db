-- The schema of one tenant, as it is now. It is created in the tenant's own PostgreSQL schema (search_path), so no name here is qualified.
-- storage/schema/steps/ leads here from any older version; a test holds the two equal.

-- ── the journal: one counter, whose row lock settles the order of everything that /sync shows ──

CREATE TABLE journal (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO journal (position) VALUES (0);

-- Numbers for snapshots and layers of state; each process takes blocks of a thousand.
CREATE SEQUENCE ids INCREMENT BY 1000;

-- Where each follower of the journal (federation sender, pushers, application services, search) has got to.
CREATE TABLE followers (
    name       text PRIMARY KEY,
    position   bigint NOT NULL,
    holder     text,                                       -- pushers: the process that delivers
    held_until timestamptz                                 -- by the clock of the database
);

-- ── rooms, events, state ──

-- A row is the room's head: what the next event builds on. `version` counts the head's changes and is the journal's precondition.
CREATE TABLE rooms (
    room_id             text     PRIMARY KEY,
    room_version        text     NOT NULL,
    version             bigint   NOT NULL,
    depth               bigint   NOT NULL,
    forward_extremities text     NOT NULL,                 -- JSON array of event IDs
    snapshot            bigint   NOT NULL,                 -- state after the forward extremities, resolved
    tally               bigint   NOT NULL DEFAULT 0,       -- events so far that notify under the default push rules
    joined              integer  NOT NULL DEFAULT 0,
    invited             integer  NOT NULL DEFAULT 0,
    position            bigint   NOT NULL,                 -- of the last event of the timeline
    whole_since         bigint                             -- since when we know all members, of a room that was entered without them
) WITH (fillfactor = 70);

-- Events are in the federation format; `position` is the order of /sync and of /messages: the journal's position for what arrived live.
-- History that was backfilled is in the room that the journal left before an event with a gap before it, or is negative (the older the lower).
CREATE TABLE events (
    position         bigint   NOT NULL,
    depth            bigint   NOT NULL,
    origin_server_ts bigint   NOT NULL,
    snapshot         bigint,                               -- the state after the event; NULL for outliers
    tally            bigint   NOT NULL DEFAULT 0,          -- rooms.tally, this event included
    standing         smallint NOT NULL,                    -- 0 timeline, 1 history, 2 outlier, 3 soft-failed, 4 rejected, 5 held back
    counts           boolean  NOT NULL DEFAULT false,      -- the event itself is one that tally counts
    highlights_all   boolean  NOT NULL DEFAULT false,      -- @room by somebody who may
    event_id         text     NOT NULL PRIMARY KEY,
    room_id          text     NOT NULL,
    type             text     NOT NULL,
    state_key        text,
    sender           text     NOT NULL,
    replaces_state   text,                                 -- the state event that this one took the place of
    redacted_by      text,                                 -- when set, `json` is the redacted form
    rejection        text,                                 -- why it was rejected or soft-failed
    device_id        text,                                 -- of a local sender, with its transaction ID
    txn_id           text,
    txn_digest       bytea,                                -- unique: the second of two equal sends gets the first one's event ID
    json             bytea    NOT NULL,
    gap              bigint                                -- events were missing before this one when it came: their places are after this
);
CREATE UNIQUE INDEX events_by_position ON events (position);
CREATE INDEX events_of_room ON events (room_id, position) WHERE standing <= 1;
CREATE UNIQUE INDEX events_by_txn ON events (txn_digest) WHERE txn_digest IS NOT NULL;
CREATE INDEX events_redacted ON events (room_id, position) WHERE redacted_by IS NOT NULL AND counts;
CREATE INDEX events_highlighting ON events (room_id, position) WHERE highlights_all;
CREATE INDEX events_by_time ON events USING brin (origin_server_ts);

-- Events that the timeline refers to and that we do not have.
CREATE TABLE backward_extremities (
    room_id  text NOT NULL,
    event_id text NOT NULL,                                -- the missing event
    child    text NOT NULL,                                -- the event of ours that names it
    PRIMARY KEY (room_id, event_id, child)
);

-- The state after an event is a list of layers, the newest last; in each key the newest layer that has it wins.
CREATE TABLE state_snapshots (
    snapshot bigint   PRIMARY KEY,
    room_id  text     NOT NULL,
    layers   bigint[] NOT NULL,
    sizes    integer[] NOT NULL                            -- how many keys each layer has: what to merge next
);
CREATE TABLE state_layers (
    layer     bigint NOT NULL,
    event_id  text,                                        -- NULL: the key is not in the state any more
    type      text   NOT NULL,
    state_key text   NOT NULL,
    PRIMARY KEY (layer, type, state_key)
);

CREATE TABLE current_state (
    room_id   text NOT NULL,
    type      text NOT NULL,
    state_key text NOT NULL,
    event_id  text NOT NULL,
    PRIMARY KEY (room_id, type, state_key)
);

-- Every change of current_state, so that also what a state resolution changed without an event can be told.
CREATE TABLE state_deltas (
    position  bigint NOT NULL,
    room_id   text   NOT NULL,
    type      text   NOT NULL,
    state_key text   NOT NULL,
    event_id  text,                                        -- NULL: removed
    previous  text,
    PRIMARY KEY (room_id, position, type, state_key)
);

-- The membership of each user in each room now; also of rooms that we only know by an invite or a knock.
CREATE TABLE memberships (
    position   bigint   NOT NULL,                          -- of the change
    since      bigint   NOT NULL,                          -- of the first event of this unbroken membership (a new profile does not break it)
    is_local   boolean  NOT NULL,
    forgotten  boolean  NOT NULL DEFAULT false,
    room_id    text     NOT NULL,
    user_id    text     NOT NULL,
    membership text     NOT NULL,
    event_id   text     NOT NULL,
    sender     text     NOT NULL,
    stripped   bytea,                                      -- invites and knocks: the stripped state, a JSON array
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX memberships_of_user ON memberships (user_id, membership, position) WHERE is_local;
CREATE INDEX memberships_by_time ON memberships (room_id, membership, position);

CREATE TABLE relations (
    position  bigint NOT NULL,
    child     text   PRIMARY KEY,
    parent    text   NOT NULL,
    room_id   text   NOT NULL,
    rel_type  text   NOT NULL,
    type      text   NOT NULL,
    sender    text   NOT NULL,
    key       text                                         -- of an annotation
);
CREATE INDEX relations_of_parent ON relations (parent, rel_type, position);

-- The thread of each event that is in one (roots are in "main" and have no row); only events that count have counts = true.
CREATE TABLE thread_events (
    position bigint  NOT NULL,
    counts   boolean NOT NULL,
    room_id  text    NOT NULL,
    root     text    NOT NULL,
    event_id text    NOT NULL,
    sender   text    NOT NULL,
    PRIMARY KEY (room_id, root, position)
);
CREATE INDEX thread_events_by_event ON thread_events (event_id);
CREATE INDEX thread_events_of_room ON thread_events (room_id, position);

CREATE TABLE redactions (
    redaction text PRIMARY KEY,
    target    text NOT NULL,
    room_id   text NOT NULL,
    applied   boolean NOT NULL
);
CREATE INDEX redactions_of_target ON redactions (target);

-- ── what a user has of a room: receipts, unread exceptions, account data ──

CREATE TABLE receipts (
    position       bigint NOT NULL,
    event_position bigint NOT NULL,
    ts             bigint NOT NULL,
    room_id        text   NOT NULL,
    user_id        text   NOT NULL,
    receipt_type   text   NOT NULL,
    thread_id      text   NOT NULL,                        -- '' for an unthreaded receipt
    event_id       text   NOT NULL,
    PRIMARY KEY (room_id, user_id, receipt_type, thread_id)
);
CREATE INDEX receipts_by_position ON receipts (room_id, position);

-- Only where what an event means for a user differs from what the default push rules say for everybody.
CREATE TABLE unread_exceptions (
    position  bigint   NOT NULL,
    notify    smallint NOT NULL,                           -- +1 or -1 or 0 against the event's `counts`
    highlight smallint NOT NULL,                           -- the same against its `highlights_all`
    room_id   text     NOT NULL,
    user_id   text     NOT NULL,                           -- or a ruleset (push_rulesets): for all its users without a row
    PRIMARY KEY (user_id, room_id, position)
);
CREATE INDEX unread_exceptions_of_event ON unread_exceptions (position);

-- The last event that a user of ours has sent to the main timeline of a room ('') or to a thread: it is read up to there.
CREATE TABLE last_sent (
    position bigint NOT NULL,
    room_id  text   NOT NULL,
    user_id  text   NOT NULL,
    root     text   NOT NULL,
    PRIMARY KEY (user_id, room_id, root)
) WITH (fillfactor = 70);

CREATE TABLE account_data (
    position bigint NOT NULL,
    user_id  text   NOT NULL,
    room_id  text   NOT NULL,                              -- '' for global
    type     text   NOT NULL,
    content  bytea  NOT NULL,                              -- JSON object
    PRIMARY KEY (user_id, room_id, type)
);
CREATE INDEX account_data_by_position ON account_data (user_id, position);

CREATE TABLE filters (
    user_id   text   NOT NULL,
    filter_id bigint NOT NULL,
    digest    bytea  NOT NULL,
    json      bytea  NOT NULL,
    PRIMARY KEY (user_id, filter_id),
    UNIQUE (user_id, digest)
);

CREATE TABLE push_rules (
    position bigint  NOT NULL,
    special  boolean NOT NULL,                             -- some room calls for evaluating the rules for each event
    user_id  text    PRIMARY KEY,
    rules    bytea   NOT NULL                              -- JSON: the user's own rules and changes to the default ones
);
CREATE INDEX push_rules_special ON push_rules (user_id) WHERE special;

CREATE TABLE pushers (
    user_id   text   NOT NULL,
    app_id    text   NOT NULL,
    pushkey   text   NOT NULL,
    device_id text,
    created   bigint NOT NULL,
    json      bytea  NOT NULL,
    position  bigint NOT NULL DEFAULT 0,                   -- it has been told of what there was up to here, or need not be
    enabled   boolean NOT NULL DEFAULT true,
    behind    boolean NOT NULL DEFAULT false,              -- more after `position` than the follower will come by again
    badge     integer NOT NULL DEFAULT 0,                  -- the number that it was told last
    due       bigint,                                      -- e-mail: when the next digest is to be written
    PRIMARY KEY (user_id, app_id, pushkey)
);
CREATE INDEX pushers_by_key ON pushers (app_id, pushkey);

-- ── accounts ──

CREATE TABLE users (
    user_id       text    PRIMARY KEY,
    password_hash text,
    created       bigint  NOT NULL,
    is_guest      boolean NOT NULL DEFAULT false,
    is_admin      boolean NOT NULL DEFAULT false,
    deactivated   boolean NOT NULL DEFAULT false,
    erased        boolean NOT NULL DEFAULT false,
    locked        boolean NOT NULL DEFAULT false,
    suspended     boolean NOT NULL DEFAULT false,
    leaving       boolean NOT NULL DEFAULT false,          -- deactivated, and has not left all rooms yet
    appservice    text
);

CREATE TABLE profiles (
    user_id text  PRIMARY KEY,
    fields  bytea NOT NULL                                 -- JSON object
);

CREATE TABLE devices (
    user_id      text   NOT NULL,
    device_id    text   NOT NULL,
    display_name text,
    created      bigint NOT NULL,
    last_seen_ts bigint,
    last_seen_ip text,
    user_agent   text,
    PRIMARY KEY (user_id, device_id)
);

-- Tokens are kept as SHA-256 digests only.
CREATE TABLE access_tokens (
    token_id   bytea  PRIMARY KEY,
    user_id    text   NOT NULL,
    device_id  text,
    created    bigint NOT NULL,
    expires    bigint,
    refresh_id bytea                                       -- the refresh token it was made with or by
);
CREATE INDEX access_tokens_of_device ON access_tokens (user_id, device_id);

CREATE TABLE refresh_tokens (
    token_id  bytea  PRIMARY KEY,
    user_id   text   NOT NULL,
    device_id text   NOT NULL,
    created   bigint NOT NULL,
    expires   bigint,
    successor bytea                                        -- set once used; it still works until the successor is used
);
CREATE INDEX refresh_tokens_of_device ON refresh_tokens (user_id, device_id);

CREATE TABLE login_tokens (
    token_id bytea  PRIMARY KEY,
    user_id  text   NOT NULL,
    expires  bigint NOT NULL
);

CREATE TABLE openid_tokens (
    token_id bytea  PRIMARY KEY,
    user_id  text   NOT NULL,
    expires  bigint NOT NULL
);

CREATE TABLE registration_tokens (
    token       text   PRIMARY KEY,
    uses_allowed integer,
    completed   integer NOT NULL DEFAULT 0,
    expires     bigint
);

CREATE TABLE uia_sessions (
    session   text   PRIMARY KEY,
    purpose   text   NOT NULL,                             -- user, method, path and the digest of the first body
    body      bytea  NOT NULL,
    completed text[] NOT NULL DEFAULT '{}',
    facts     bytea  NOT NULL DEFAULT '{}',                -- what stages established, JSON
    created   bigint NOT NULL
);

-- ── directory ──

CREATE TABLE aliases (
    alias   text   PRIMARY KEY,
    room_id text   NOT NULL,
    creator text   NOT NULL,
    created bigint NOT NULL
);
CREATE INDEX aliases_of_room ON aliases (room_id);

CREATE TABLE published_rooms (
    room_id text NOT NULL,
    network text NOT NULL DEFAULT '',                      -- an application service's; '' is the server's own directory
    PRIMARY KEY (room_id, network)
);

-- ── devices' keys and messages ──

CREATE TABLE device_keys (
    user_id   text  NOT NULL,
    device_id text  NOT NULL,
    json      bytea NOT NULL,
    PRIMARY KEY (user_id, device_id)
);

CREATE TABLE one_time_keys (
    number    bigint GENERATED ALWAYS AS IDENTITY,         -- handed out in the order of upload
    user_id   text  NOT NULL,
    device_id text  NOT NULL,
    algorithm text  NOT NULL,
    key_id    text  NOT NULL,
    json      bytea NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm, key_id)
);
CREATE INDEX one_time_keys_in_order ON one_time_keys (user_id, device_id, algorithm, number);

CREATE TABLE fallback_keys (
    user_id   text    NOT NULL,
    device_id text    NOT NULL,
    algorithm text    NOT NULL,
    key_id    text    NOT NULL,
    used      boolean NOT NULL DEFAULT false,
    json      bytea   NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm)
);

CREATE TABLE cross_signing_keys (
    user_id text  NOT NULL,
    usage   text  NOT NULL,                                -- master, self_signing, user_signing
    json    bytea NOT NULL,
    PRIMARY KEY (user_id, usage)
);

CREATE TABLE key_signatures (
    signer     text NOT NULL,
    signer_key text NOT NULL,
    target     text NOT NULL,                              -- user
    target_key text NOT NULL,                              -- device ID or public key
    signature  text NOT NULL,
    PRIMARY KEY (target, target_key, signer, signer_key)
);

CREATE TABLE device_list_changes (
    position bigint NOT NULL,
    user_id  text   PRIMARY KEY
);
CREATE INDEX device_list_changes_by_position ON device_list_changes (position);

-- Whose master keys a user has signed: only the signer is told.
CREATE TABLE user_signature_changes (
    position bigint NOT NULL,
    signer   text   NOT NULL,
    target   text   NOT NULL,
    PRIMARY KEY (signer, target)
);

CREATE TABLE to_device (
    position  bigint NOT NULL,
    user_id   text   NOT NULL,
    device_id text   NOT NULL,
    json      bytea  NOT NULL,                             -- the event as /sync shows it
    PRIMARY KEY (user_id, device_id, position)
);

CREATE TABLE to_device_txns (
    digest bytea  PRIMARY KEY,
    at     bigint NOT NULL
);
CREATE INDEX to_device_txns_by_time ON to_device_txns USING brin (at);

CREATE TABLE key_backups (
    user_id   text    NOT NULL,
    version   bigint  NOT NULL,
    algorithm text    NOT NULL,
    auth_data bytea   NOT NULL,
    etag      bigint  NOT NULL DEFAULT 0,
    deleted   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, version)
);

CREATE TABLE key_backup_sessions (
    user_id             text    NOT NULL,
    version             bigint  NOT NULL,
    room_id             text    NOT NULL,
    session_id          text    NOT NULL,
    is_verified         boolean NOT NULL,
    first_message_index bigint  NOT NULL,
    forwarded_count     bigint  NOT NULL,
    session_data        bytea   NOT NULL,
    PRIMARY KEY (user_id, version, room_id, session_id)
);

-- ── media ──

CREATE TABLE media (
    media_id     text    PRIMARY KEY,
    user_id      text    NOT NULL,
    created      bigint  NOT NULL,
    size         bigint,                                   -- NULL: created, not uploaded yet
    content_type text,
    file_name    text,
    digest       bytea,                                    -- SHA-256 of the bytes: the blob's name
    expires      bigint,                                   -- until when one that was only created may be uploaded
    used         bigint,                                   -- when it was last downloaded
    downloads    bigint  NOT NULL DEFAULT 0,
    protected    boolean NOT NULL DEFAULT false            -- an administrator wants it neither in quarantine nor deleted for its age
);
CREATE INDEX media_by_digest ON media (digest);
CREATE INDEX media_of_users ON media (user_id, created);
CREATE INDEX media_pending ON media (expires) WHERE digest IS NULL;

CREATE TABLE thumbnails (
    media_id     text    NOT NULL,
    width        integer NOT NULL,
    height       integer NOT NULL,
    method       text    NOT NULL,
    animated     boolean NOT NULL,
    content_type text    NOT NULL,
    size         bigint  NOT NULL,
    digest       bytea   NOT NULL,
    PRIMARY KEY (media_id, width, height, method, animated)
);

-- ── rooms of other servers: handshakes ──

-- Rooms that we only know by an invite or a knock: their version, and a server through which they can be reached.
CREATE TABLE remote_rooms (
    room_id      text PRIMARY KEY,
    room_version text NOT NULL,
    server       text NOT NULL
);

-- Membership events of users of other servers that entered a room through us: it is for us to send them to the others.
CREATE TABLE relayed_events (
    event_id text PRIMARY KEY
);

-- Rooms that we have joined and whose members are still to come.
CREATE TABLE partial_rooms (
    room_id    text   PRIMARY KEY,
    join_event text   NOT NULL,                            -- the join by which we entered
    server     text   NOT NULL,                            -- which let us in, and knows the state before that
    servers    text[] NOT NULL,                            -- those in the room, as that one told us
    attempts   integer NOT NULL DEFAULT 0,                 -- that have failed
    lease      bigint NOT NULL DEFAULT 0                   -- until when (ms) somebody is fetching the rest
);

-- ── what state events rest on: for state resolution ──

-- One row for each state event, outliers too, whose auth events have rows. `arrived` grows along auth events: an event's is not less than
-- that of what it rests on, so that a walk down two auth chains knows when it is below all that tells them apart.
CREATE TABLE auth_chains (
    arrived     bigint NOT NULL,                           -- the journal's position, and a place in that change
    event_id    text   PRIMARY KEY,
    auth_events text[] NOT NULL
);
CREATE INDEX auth_chains_upwards ON auth_chains USING gin (auth_events) WITH (gin_pending_list_limit = 256);

-- ── what other servers ask of us, and what we keep of theirs ──

CREATE INDEX memberships_of_servers ON memberships (room_id, (substr(user_id, strpos(user_id, ':') + 1)), membership)
    WHERE NOT is_local;

-- Files of other servers, kept for a while; those that were used longest ago go first.
CREATE TABLE remote_media (
    origin       text   NOT NULL,
    media_id     text   NOT NULL,
    fetched      bigint NOT NULL,
    used         bigint NOT NULL,
    size         bigint NOT NULL,
    content_type text   NOT NULL,
    file_name    text,
    digest       bytea  NOT NULL,
    downloads    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (origin, media_id)
);
CREATE INDEX remote_media_by_use ON remote_media (used);
CREATE INDEX remote_media_by_digest ON remote_media (digest);
CREATE INDEX thumbnails_by_digest ON thumbnails (digest);

-- ── what other servers send us ──

-- Positions of history, from -1 downwards: what is fetched later is older.
CREATE SEQUENCE history INCREMENT BY -1 MAXVALUE -1 START -1;

-- PDUs that were taken over from a server (200) before they could be placed in their room; worked off in this order, room by room.
CREATE TABLE inbound_pdus (
    number   bigint GENERATED ALWAYS AS IDENTITY,
    room_id  text   NOT NULL,
    event_id text   NOT NULL,
    origin   text   NOT NULL,                              -- the server that sent it, which is asked for what is missing
    received bigint NOT NULL,
    json     bytea  NOT NULL,                              -- signatures and hash are checked; still without `unsigned`
    PRIMARY KEY (room_id, event_id)
);
CREATE INDEX inbound_pdus_by_time ON inbound_pdus (received);

-- What was answered to the transactions of the last days: the same again gets the same, and nothing is done twice.
CREATE TABLE inbound_transactions (
    origin   text   NOT NULL,
    txn_id   text   NOT NULL,
    received bigint NOT NULL,
    response bytea  NOT NULL,
    PRIMARY KEY (origin, txn_id)
);
CREATE INDEX inbound_transactions_by_time ON inbound_transactions USING brin (received);

-- ── what we owe other servers ──

-- The servers, other than ours, of the members of a room. Kept by the one statement that writes memberships.
CREATE TABLE room_servers (
    room_id  text    NOT NULL,
    server   text    NOT NULL,
    joined   integer NOT NULL,                             -- how many of its users are joined
    since    bigint  NOT NULL,                             -- the position at which the first of them joined
    until    bigint,                                       -- and at which the last one left; NULL while some are joined
    targeted bigint,                                       -- of the last leave or ban of one of its users, who need not have been in
    aside    integer NOT NULL DEFAULT 0,                   -- of `joined`, while nobody says whether they still are: we have come back
    PRIMARY KEY (server, room_id)
);
CREATE INDEX room_servers_of_room ON room_servers (room_id);

-- A server that we have, or had, something to tell: all that concerns it up to `position` has been delivered. Times in ms.
CREATE TABLE destinations (
    server        text   PRIMARY KEY,
    position      bigint NOT NULL,
    failing_since bigint,
    retry_at      bigint NOT NULL DEFAULT 0,
    retry_after   bigint NOT NULL DEFAULT 0,               -- how long the last pause is
    holder        text,                                    -- the process that delivers
    held_until    timestamptz                              -- by the clock of the database
) WITH (fillfactor = 70);
CREATE INDEX destinations_held ON destinations (held_until) WHERE holder IS NOT NULL;

-- Messages to devices of other servers' users, until the server has them.
CREATE TABLE outbox (
    position bigint NOT NULL,
    server   text   NOT NULL,
    part     integer NOT NULL,
    edu      bytea  NOT NULL,
    PRIMARY KEY (server, position, part)
);

-- The newest change of each device of our users (or, under the device ID '', of their cross-signing keys); `previous` is the
-- position of the change of the user's devices before it.
CREATE TABLE device_changes (
    position  bigint NOT NULL,
    previous  bigint,
    user_id   text   NOT NULL,
    device_id text   NOT NULL,
    PRIMARY KEY (user_id, device_id)
);
CREATE INDEX device_changes_by_position ON device_changes (position);

-- ── devices of other servers' users ──

-- Users with whom we share a room and of whose devices we have a copy, as it was at `position`. It is good as long as it is
-- not stale, and as we have shared a room ever since. `version` counts what was heard of the user meanwhile.
CREATE TABLE remote_device_lists (
    user_id     text    PRIMARY KEY,
    position    bigint  NOT NULL,
    stream_id   bigint,                                    -- of the last update; NULL: not known
    version     bigint  NOT NULL DEFAULT 0,
    stale       boolean NOT NULL,
    retry_at    bigint  NOT NULL DEFAULT 0,
    retry_after bigint  NOT NULL DEFAULT 0
);
CREATE INDEX remote_device_lists_stale ON remote_device_lists (retry_at) WHERE stale;

CREATE TABLE remote_devices (
    user_id      text NOT NULL,
    device_id    text NOT NULL,
    display_name text,
    json         bytea NOT NULL,                           -- its keys
    PRIMARY KEY (user_id, device_id)
);
CREATE INDEX memberships_of_remote_users ON memberships (user_id) WHERE NOT is_local AND membership = 'join';

-- ── the keys that other servers sign with ──

-- Every key that was ever seen, for events of all times; `json` is the signed object in which it was last published.
CREATE TABLE server_keys (
    server_name     text    NOT NULL,
    key_id          text    NOT NULL,
    key             text    NOT NULL,                      -- unpadded base64
    valid_until     bigint  NOT NULL,                      -- the latest origin_server_ts (ms) that it is good for
    is_current      boolean NOT NULL,                      -- not among the old ones
    fetched         bigint  NOT NULL,
    published_until bigint  NOT NULL,                      -- valid_until_ts of the object, at most seven days after `fetched`
    json            bytea   NOT NULL,
    PRIMARY KEY (server_name, key_id)
);

-- ── what clients ask of relations ──

-- Where each thread has its newest event, for the list of a room's threads.
CREATE INDEX relations_of_threads ON relations (room_id, position) WHERE rel_type = 'm.thread';

-- What users have told us of content, rooms and users, for the administrators.
CREATE TABLE reports (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received bigint NOT NULL,
    reporter text   NOT NULL,
    room_id  text,
    event_id text,
    user_id  text,                                         -- who is reported, or who sent the event
    reason   text
);

-- Everybody who is, or has been, in a room here, as the user directory searches them. It follows the memberships (followers:
-- user_directory), and is brought up to date by those who search.
CREATE TABLE user_directory (
    user_id      text   PRIMARY KEY,
    position     bigint NOT NULL,                          -- of the membership that it was made from
    display_name text,
    avatar_url   text,
    folded       text   NOT NULL                           -- the user ID and the name, without case and accents
);
CREATE INDEX memberships_joined ON memberships (position, room_id, user_id) WHERE membership = 'join';

-- ── events that are to be sent later (MSC4140) ──

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

-- ── server notices ──

CREATE TABLE server_notice_rooms (
    user_id text PRIMARY KEY,
    room_id text NOT NULL                                  -- in which this server speaks to the user
);

-- ── OAuth 2.0 ──

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

-- ── application services ──

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

-- ── gaps in the middle of rooms ──

-- Rooms whose history a process is fetching now: one at a time, or two would mix up its order.
CREATE TABLE backfills (
    room_id text   PRIMARY KEY,
    lease   bigint NOT NULL                                -- until when (ms) it is being done
);

-- ── devices that are kept here until their user wakes them (MSC3814) ──

-- A dehydrated device stands among the user's devices, with keys and messages, and has no token.
CREATE TABLE dehydrated_devices (
    user_id     text  PRIMARY KEY,
    device_id   text  NOT NULL,
    device_data bytea NOT NULL                             -- JSON: the device's private part, encrypted by the client
);

-- ── which threads users want to be told of (MSC4306) ──

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

-- ── full-text search: an index that follows the journal (followers: search) and can be made again from the events at any time ──

-- Lexemes of the index begin with the number of the room.
CREATE TABLE search_rooms (
    number  integer GENERATED ALWAYS AS IDENTITY,
    room_id text    PRIMARY KEY
);

-- One row an event that can be found; it says nothing of who may see it.
CREATE TABLE search_documents (
    position bigint   PRIMARY KEY,                         -- of the event
    at       bigint   NOT NULL,                            -- origin_server_ts, but not later than when it was indexed
    edit     bigint,                                       -- position of the edit whose text this is
    room     integer  NOT NULL,                            -- search_rooms.number
    words    tsvector NOT NULL
);
ALTER TABLE search_documents ALTER COLUMN words SET STATISTICS 0;
CREATE INDEX search_documents_by_time ON search_documents (room, at, position);
CREATE INDEX search_documents_by_edit ON search_documents (edit) WHERE edit IS NOT NULL;
CREATE INDEX search_documents_by_word ON search_documents USING gin (words) WITH (fastupdate = off);

-- Events to be indexed whose positions are not the journal's: history.
CREATE TABLE search_history (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text   NOT NULL
);

-- Every word of the index once, so that words can be found by a part of them; `parts` are its neighbouring triples of characters.
CREATE TABLE search_words (
    word  text   PRIMARY KEY,
    parts text[] NOT NULL
);
CREATE INDEX search_words_by_part ON search_words USING gin (parts);

-- ── what redacted events said, for the moderators of their room (MSC2815) ──

CREATE TABLE redacted_originals (
    event_id text        PRIMARY KEY,
    redacted timestamptz NOT NULL DEFAULT now(),
    json     bytea       NOT NULL
);
CREATE INDEX redacted_originals_by_time ON redacted_originals USING brin (redacted);

-- ── media: quarantine, and which events name which files (followers: media) ──

-- Files that nobody is given, of ours (origin: our name) and of others, whether they are here or not; nor files with equal bytes.
CREATE TABLE quarantined_media (
    origin         text   NOT NULL,
    media_id       text   NOT NULL,
    digest         bytea,
    quarantined_by text   NOT NULL,
    since          bigint NOT NULL,
    PRIMARY KEY (origin, media_id)
);
CREATE INDEX quarantined_digests ON quarantined_media (digest) WHERE digest IS NOT NULL;

-- Which events that we can read name which files.
CREATE TABLE media_in_events (
    origin   text   NOT NULL,
    media_id text   NOT NULL,
    event_id text   NOT NULL,
    room_id  text   NOT NULL,
    redacted bigint,                                       -- when we saw that what the event said is gone
    PRIMARY KEY (origin, media_id, event_id)
);
CREATE INDEX media_in_rooms ON media_in_events (room_id);
CREATE INDEX media_of_events ON media_in_events (event_id);
CREATE INDEX media_of_redacted ON media_in_events (redacted) WHERE redacted IS NOT NULL;

-- ── e-mails about missed messages: how long it is quiet about a room ──

CREATE TABLE push_mail_rooms (
    user_id  text   NOT NULL,
    address  text   NOT NULL,
    room_id  text   NOT NULL,
    position bigint NOT NULL,                              -- mails have told of it up to here
    sent     bigint NOT NULL,                              -- when one did so last
    pause    bigint NOT NULL,                              -- how long (ms) none does after that; it grows
    PRIMARY KEY (user_id, address, room_id)
);

-- ── users of the same push rules share one row of unread_exceptions an event: its user_id names their ruleset then ──

CREATE TABLE push_rulesets (
    user_id text   NOT NULL,
    since   bigint NOT NULL,                               -- events after this position are judged by it
    upto    bigint NOT NULL DEFAULT 9223372036854775807,   -- and none after this one: the user's rules are others since
    ruleset text   NOT NULL,                               -- '#' and a digest of what counts in the rules
    PRIMARY KEY (user_id, since)
);

-- ── logins by upstream providers: OpenID Connect, CAS, LDAP ──

-- Who the people of a provider are here.
CREATE TABLE upstream_links (
    provider text   NOT NULL,                              -- its ID in the configuration
    subject  text   NOT NULL,                              -- the provider's name for the person, which never changes
    user_id  text   NOT NULL,
    created  bigint NOT NULL,
    PRIMARY KEY (provider, subject)
);
CREATE INDEX upstream_links_of_user ON upstream_links (user_id);

-- Browsers that were sent to a provider and have not come back, or whose people are choosing a name.
CREATE TABLE upstream_attempts (
    state_id bytea  PRIMARY KEY,                           -- digest of the state that comes back
    browser  bytea  NOT NULL,                              -- digest of its cookie
    provider text   NOT NULL,
    content  bytea  NOT NULL,                              -- JSON
    expires  bigint NOT NULL
);
CREATE INDEX upstream_attempts_by_end ON upstream_attempts (expires);

-- ── media: previews of URLs, and what a virus scanner said ──

-- Pages as they were at a time. The picture is a file of ours, and goes with its preview.
CREATE TABLE url_previews (
    url       text   NOT NULL,
    languages text   NOT NULL,
    fetched   bigint NOT NULL,
    preview   bytea  NOT NULL,                             -- JSON: what the client gets
    media_id  text,
    PRIMARY KEY (url, languages, fetched)
);
CREATE INDEX url_previews_by_age ON url_previews (fetched);

-- Of bytes that were scanned: what was found in them (NULL: nothing).
CREATE TABLE scanned_files (
    digest  bytea  PRIMARY KEY,
    found   text,
    scanned bigint NOT NULL
);
