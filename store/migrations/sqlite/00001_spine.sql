-- Times are integers: *_ms milliseconds and *_us microseconds since 1970, UTC; 0 is "not set".
-- Documents are JSON text. application columns are lower-case.

-- +goose Up
CREATE TABLE applications (
    name             TEXT    NOT NULL PRIMARY KEY,
    attributes       TEXT    NOT NULL,
    created_us       INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    last_modified_by TEXT    NOT NULL
) STRICT;

CREATE TABLE pipelines (
    id               TEXT    NOT NULL PRIMARY KEY,
    application      TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    name_key         TEXT    NOT NULL, -- the name in lower case
    position         INTEGER NOT NULL,
    disabled         INTEGER NOT NULL,
    document         TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    last_modified_by TEXT    NOT NULL,
    UNIQUE (application, name_key)
) STRICT;

-- Every save, the newest included. Outlives the pipeline.
CREATE TABLE pipeline_revisions (
    pipeline_id      TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    application      TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    position         INTEGER NOT NULL,
    disabled         INTEGER NOT NULL,
    document         TEXT    NOT NULL,
    updated_us       INTEGER NOT NULL,
    last_modified_by TEXT    NOT NULL,
    PRIMARY KEY (pipeline_id, revision)
) STRICT;

CREATE TABLE executions (
    id                 TEXT    NOT NULL PRIMARY KEY,
    type               TEXT    NOT NULL,
    application        TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    pipeline_config_id TEXT    NOT NULL,
    status             TEXT    NOT NULL,
    build_ms           INTEGER NOT NULL,
    version            INTEGER NOT NULL,
    document           TEXT    NOT NULL
) STRICT;
CREATE INDEX executions_by_application ON executions (application, build_ms DESC, id DESC);
CREATE INDEX executions_by_pipeline ON executions (pipeline_config_id, build_ms DESC, id DESC);
CREATE INDEX executions_by_application_pipeline ON executions (application, pipeline_config_id);
CREATE INDEX executions_by_status ON executions (status, build_ms DESC, id DESC);
CREATE INDEX executions_by_time ON executions (build_ms DESC, id DESC);

-- Written once; apart from executions, so that projections do not rewrite it.
CREATE TABLE execution_definitions (
    execution_id TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    document     TEXT NOT NULL
) STRICT;

CREATE TABLE execution_keys (
    scope        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL,
    execution_id TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    request_hash TEXT NOT NULL,
    PRIMARY KEY (scope, kind, key)
) STRICT;
CREATE INDEX execution_keys_by_execution ON execution_keys (execution_id);

-- Executions that were accepted and whose workflow was not started yet.
CREATE TABLE outbox (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE deployments (
    id           TEXT    NOT NULL PRIMARY KEY,
    execution_id TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    cluster_key  TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    document     TEXT    NOT NULL
) STRICT;
CREATE INDEX deployments_by_execution ON deployments (execution_id, id);

CREATE TABLE events (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    key          TEXT    NOT NULL,
    at_us        INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    data         TEXT    NOT NULL,
    UNIQUE (execution_id, key)
) STRICT;
CREATE INDEX events_by_execution ON events (execution_id, id);

-- ordinal counts on for ever; the number in a server group's name is ordinal modulo 1000.
CREATE TABLE sequences (
    cluster_key TEXT    NOT NULL,
    deployment  TEXT    NOT NULL,
    ordinal     INTEGER NOT NULL,
    PRIMARY KEY (cluster_key, deployment),
    UNIQUE (cluster_key, ordinal)
) STRICT;

CREATE TABLE fences (
    cluster_key TEXT    NOT NULL,
    holder      TEXT    NOT NULL,
    fence       INTEGER NOT NULL,
    PRIMARY KEY (cluster_key, holder),
    UNIQUE (cluster_key, fence)
) STRICT;

CREATE TABLE responses (
    scope        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    request_hash TEXT    NOT NULL,
    status       INTEGER NOT NULL,
    body         BLOB    NOT NULL,
    created_us   INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX responses_by_age ON responses (created_us);

-- +goose Down
DROP TABLE responses;
DROP TABLE fences;
DROP TABLE sequences;
DROP TABLE events;
DROP TABLE deployments;
DROP TABLE outbox;
DROP TABLE execution_keys;
DROP TABLE execution_definitions;
DROP TABLE executions;
DROP TABLE pipeline_revisions;
DROP TABLE pipelines;
DROP TABLE applications;
