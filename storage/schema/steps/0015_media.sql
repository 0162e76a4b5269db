-- ── media: created before they are uploaded, counted, protected, put in quarantine; which events name them (followers: media) ──

ALTER TABLE media
    ADD COLUMN expires   bigint,                           -- until when one that was only created may be uploaded
    ADD COLUMN used      bigint,                           -- when it was last downloaded
    ADD COLUMN downloads bigint  NOT NULL DEFAULT 0,
    ADD COLUMN protected boolean NOT NULL DEFAULT false;   -- an administrator wants it neither in quarantine nor deleted for its age
CREATE INDEX media_of_users ON media (user_id, created);
CREATE INDEX media_pending ON media (expires) WHERE digest IS NULL;
ALTER TABLE remote_media ADD COLUMN downloads bigint NOT NULL DEFAULT 0;

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
