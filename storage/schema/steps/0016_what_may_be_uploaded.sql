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
