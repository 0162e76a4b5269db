-- ── gaps in the middle of rooms ──

-- Set where events were missing before this one when it came: they go at positions after this, and before the event (the lowest
-- bigint: before everything that the room has).
ALTER TABLE events ADD COLUMN gap bigint;

-- Rooms whose history a process is fetching now: one at a time, or two would mix up its order.
CREATE TABLE backfills (
    room_id text   PRIMARY KEY,
    lease   bigint NOT NULL                                -- until when (ms) it is being done
);
