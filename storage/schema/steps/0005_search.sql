-- Full-text search: an index that follows the journal (followers: search) and can be made again from the events at any time.

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
INSERT INTO search_history (event_id) SELECT event_id FROM events WHERE standing = 1 ORDER BY position DESC;

-- Every word of the index once, so that words can be found by a part of them; `parts` are its neighbouring triples of characters.
CREATE TABLE search_words (
    word  text   PRIMARY KEY,
    parts text[] NOT NULL
);
CREATE INDEX search_words_by_part ON search_words USING gin (parts);
