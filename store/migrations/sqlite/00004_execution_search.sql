-- trigger_type and event_id are what the execution's trigger says; deleted is 1 once
-- somebody took the execution out of the lists.

-- +goose Up
ALTER TABLE executions ADD COLUMN trigger_type TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN event_id TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
UPDATE executions SET trigger_type = coalesce(json_extract(document, '$.trigger.type'), '');
CREATE INDEX executions_by_name ON executions (application, name, build_ms DESC, id DESC);
CREATE INDEX executions_by_event ON executions (event_id, build_ms DESC, id DESC) WHERE event_id <> '';

-- +goose Down
DROP INDEX executions_by_event;
DROP INDEX executions_by_name;
ALTER TABLE executions DROP COLUMN deleted;
ALTER TABLE executions DROP COLUMN event_id;
ALTER TABLE executions DROP COLUMN trigger_type;
