ALTER TABLE rooms ADD COLUMN whole_since bigint;
