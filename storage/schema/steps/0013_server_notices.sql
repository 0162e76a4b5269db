-- ── server notices ──

CREATE TABLE server_notice_rooms (
    user_id text PRIMARY KEY,
    room_id text NOT NULL                                  -- in which this server speaks to the user
);
