package store

import (
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store/migrations"
)

// storeOf opens a store with the schema of an older version. The provider brings it up.
func storeOf(t *testing.T, version int64) (*Store, *goose.Provider) {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	files, err := migrations.SQLite()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.writes, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return s, provider
}

// TestTriggerTypesOfOlderStores: executions that were recorded before there was a
// column for it are found by the type of their trigger.
func TestTriggerTypesOfOlderStores(t *testing.T) {
	ctx := t.Context()
	s, provider := storeOf(t, 2)
	for id, document := range map[string]string{
		"cron": `{"id":"cron","trigger":{"type":"cron","user":"x"}}`, "old": `{"id":"old","status":"SUCCEEDED"}`,
	} {
		if _, err := s.writes.ExecContext(ctx, `INSERT INTO executions (id, type, application, name, pipeline_config_id, status, build_ms, version, document)
			VALUES (?, 'PIPELINE', 'a', 'p', '', 'SUCCEEDED', 1, 1, ?)`, id, document); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := s.Executions(ctx, delivery.ExecutionFilter{TriggerTypes: []string{"cron"}})
	if err != nil || len(got) != 1 || got[0].ID != "cron" {
		t.Errorf("by the type of their trigger: %v, %v", got, err)
	}
	if got, err = s.Executions(ctx, delivery.ExecutionFilter{}); err != nil || len(got) != 2 {
		t.Errorf("all: %v, %v", got, err)
	}
	if err := s.DeleteExecution(ctx, "old"); err != nil {
		t.Error(err)
	}
}
