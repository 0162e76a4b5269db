ALTER TABLE room_servers ADD COLUMN aside integer NOT NULL DEFAULT 0;
