-- +goose Up
CREATE INDEX pipelines_by_save ON pipelines (updated_us);

-- +goose Down
DROP INDEX pipelines_by_save;
