-- +goose Up
-- save_key: what tells the save from every other, so that a repeat of it finds it; empty for none.
ALTER TABLE pipeline_revisions ADD COLUMN save_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX pipeline_revisions_by_key ON pipeline_revisions (save_key) WHERE save_key <> '';

-- +goose Down
DROP INDEX pipeline_revisions_by_key;
ALTER TABLE pipeline_revisions DROP COLUMN save_key;
