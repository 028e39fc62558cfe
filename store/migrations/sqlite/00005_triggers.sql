-- +goose Up
-- Which events may fire triggers of a pipeline: the enabled ones of its document.
CREATE TABLE pipeline_triggers (
    type        TEXT NOT NULL,
    source      TEXT NOT NULL,
    pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    PRIMARY KEY (type, source, pipeline_id)
) STRICT;
CREATE INDEX pipeline_triggers_by_pipeline ON pipeline_triggers (pipeline_id);

-- Pipelines that were saved before have their triggers taken from their documents.
INSERT OR IGNORE INTO pipeline_triggers (type, source, pipeline_id)
SELECT t.value ->> '$.type',
       CASE t.value ->> '$.type'
           WHEN 'webhook' THEN t.value ->> '$.source'
           WHEN 'git' THEN lower(t.value ->> '$.source')
           WHEN 'docker' THEN t.value ->> '$.account'
           WHEN 'pipeline' THEN t.value ->> '$.pipeline'
           ELSE t.value ->> '$.master'
       END AS source,
       p.id
FROM pipelines p, json_each(CASE WHEN json_type(p.document, '$.triggers') = 'array' THEN p.document -> '$.triggers' ELSE '[]' END) t
WHERE t.type = 'object'
  AND t.value ->> '$.type' IN ('webhook', 'git', 'docker', 'pipeline', 'jenkins', 'travis', 'concourse')
  AND coalesce(t.value ->> '$.enabled', 1) NOT IN (0, 'false')
  AND coalesce(source, '') <> '';

-- Executions that have ended and whose end may still have to start pipelines.
CREATE TABLE ended (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions (id) ON DELETE CASCADE
) STRICT;

-- +goose Down
DROP TABLE ended;
DROP TABLE pipeline_triggers;
