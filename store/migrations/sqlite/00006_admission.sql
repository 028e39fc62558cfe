-- +goose Up
-- waiting: the execution waits until others of its pipeline have ended; it is not to be started yet.
ALTER TABLE outbox ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
CREATE INDEX executions_open ON executions (pipeline_config_id) WHERE status IN ('NOT_STARTED', 'RUNNING', 'PAUSED');

-- +goose Down
DROP INDEX executions_open;
ALTER TABLE outbox DROP COLUMN waiting;
