-- Users of the same push rules share one row of unread_exceptions an event: its user_id names their ruleset then.
CREATE TABLE push_rulesets (
    user_id text   NOT NULL,
    since   bigint NOT NULL,                               -- events after this position are judged by it
    upto    bigint NOT NULL DEFAULT 9223372036854775807,   -- and none after this one: the user's rules are others since
    ruleset text   NOT NULL,                               -- '#' and a digest of what counts in the rules
    PRIMARY KEY (user_id, since)
);
-- Those who have the same rules already. Who looks for the own name is a case of its own.
INSERT INTO push_rulesets (user_id, since, ruleset)
SELECT p.user_id, j.position, '#' || left(encode(sha256(p.rules), 'hex'), 32) FROM push_rules AS p, journal AS j
WHERE p.special AND position('contains_display_name' IN convert_from(p.rules, 'UTF8')) = 0;
