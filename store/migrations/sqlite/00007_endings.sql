-- +goose Up
-- An execution that is restarted ends again: restarts tells its ends apart, and document is
-- the execution as it ended then.
CREATE TABLE endings (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    restarts     INTEGER NOT NULL,
    document     TEXT    NOT NULL,
    UNIQUE (execution_id, restarts)
) STRICT;
INSERT INTO endings (execution_id, restarts, document)
    SELECT e.id, coalesce(json_extract(e.document, '$.restarts'), 0), e.document FROM ended JOIN executions e ON e.id = ended.execution_id
    WHERE e.status NOT IN ('NOT_STARTED', 'RUNNING', 'PAUSED') ORDER BY ended.position;
DROP TABLE ended;

-- +goose Down
CREATE TABLE ended (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions (id) ON DELETE CASCADE
) STRICT;
INSERT INTO ended (execution_id) SELECT DISTINCT execution_id FROM endings;
DROP TABLE endings;
