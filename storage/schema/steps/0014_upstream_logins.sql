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
