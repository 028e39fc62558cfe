package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEventsUseAnIndex: an event reads the pipelines that wait for it and no others,
// and sorts nothing.
func TestEventsUseAnIndex(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan, err := collect(t.Context(), s.reads, func(row scanner) (string, error) {
		var id, parent, unused int
		var detail string
		err := row.Scan(&id, &parent, &unused, &detail)
		return detail, err
	}, `EXPLAIN QUERY PLAN `+triggeredQuery, "webhook", "ci", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(plan); strings.Contains(text, "SCAN") || strings.Contains(text, "TEMP B-TREE") {
		t.Errorf("plan: %s", text)
	}
}

// TestTriggersOfOlderStores: pipelines that were saved before there was an index of
// triggers are found by it.
func TestTriggersOfOlderStores(t *testing.T) {
	ctx := t.Context()
	s, provider := storeOf(t, 2)
	for id, document := range map[string]string{
		"all": `{"triggers":[{"type":"webhook","source":"ci"},{"type":"webhook","source":"ci","enabled":true},{"type":"git","source":"GitHub"},{"type":"docker","account":"hub"},
			{"type":"pipeline","pipeline":"p"},{"type":"jenkins","master":"m"},{"type":"webhook","source":"off","enabled":false},{"type":"webhook","source":"no","enabled":"false"},
			{"type":"webhook","source":"yes","enabled":"true"},{"type":"webhook"},{"type":"cron","source":"x"},"text",null,[1]]}`,
		"none": `{"triggers":{"type":"webhook","source":"ci"}}`, "null": `{"triggers":null}`, "empty": `{}`,
	} {
		if _, err := s.writes.ExecContext(ctx, `INSERT INTO pipelines (id, application, name, name_key, position, disabled, document, revision, updated_us, last_modified_by)
			VALUES (?, 'a', ?, ?, 0, 0, ?, 1, 1, '')`, id, id, id, document); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := collect(ctx, s.reads, func(row scanner) (line string, err error) {
		var kind, source, id string
		err = row.Scan(&kind, &source, &id)
		return kind + " " + source + " " + id, err
	}, `SELECT type, source, pipeline_id FROM pipeline_triggers ORDER BY 1, 2, 3`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"docker hub all", "git github all", "jenkins m all", "pipeline p all", "webhook ci all", "webhook yes all"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
}

// TestEndsOfOlderStores: ends that nobody had followed before notes were of one end each
// are followed once, unless the execution runs again by now.
func TestEndsOfOlderStores(t *testing.T) {
	ctx := t.Context()
	s, provider := storeOf(t, 6)
	for _, e := range []struct{ id, status, document string }{
		{"first", "SUCCEEDED", `{"id":"first","status":"SUCCEEDED"}`}, {"again", "TERMINAL", `{"id":"again","status":"TERMINAL","restarts":2}`}, {"runs", "RUNNING", `{"id":"runs","status":"RUNNING","restarts":1}`},
	} {
		for _, statement := range []string{`INSERT INTO executions (id, type, application, name, pipeline_config_id, status, build_ms, version, document) VALUES (?, 'PIPELINE', 'a', 'p', '', ?, 1, 1, ?)`,
			`INSERT INTO ended (execution_id) VALUES (?)`} {
			if _, err := s.writes.ExecContext(ctx, statement, []any{e.id, e.status, e.document}[:strings.Count(statement, "?")]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	found, err := s.PendingEnds(ctx, 0, 0)
	if err != nil || len(found) != 2 || found[0].ID != "first" || found[0].Restarts != 0 || found[1].ID != "again" || found[1].Restarts != 2 {
		t.Errorf("%+v, %v", found, err)
	}
}
