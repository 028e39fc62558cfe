package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestListsUseIndexes reads SQLite's plans: no list of executions may sort or
// read the whole table.
func TestListsUseIndexes(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, filter := range map[string]delivery.ExecutionFilter{
		"all":                      {},
		"application":              {Application: "storefront"},
		"application and statuses": {Application: "storefront", Statuses: []delivery.Status{delivery.StatusRunning}},
		"pipeline":                 {PipelineConfigIDs: []string{"p"}},
		"status":                   {Statuses: []delivery.Status{delivery.StatusRunning}},
		"name":                     {Application: "storefront", Name: "rolling-aws", TriggerTypes: []string{"manual"}},
		"event":                    {EventID: "e"},
		"event in an application":  {Application: "storefront", EventID: "e"},
		"oldest first":             {Application: "storefront", OldestFirst: true},
	} {
		t.Run(name, func(t *testing.T) {
			where := whereExecutions(filter)
			plan, err := collect(t.Context(), s.reads, func(row scanner) (string, error) {
				var id, parent, unused int
				var detail string
				err := row.Scan(&id, &parent, &unused, &detail)
				return detail, err
			}, `EXPLAIN QUERY PLAN `+selectExecution+where.text()+orderOf(filter)+` LIMIT 10`, where.args...)
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(plan)
			if !strings.Contains(text, "USING INDEX executions_by_"+map[bool]string{true: "event"}[filter.EventID != ""]) || strings.Contains(text, "TEMP B-TREE") {
				t.Errorf("plan: %s", text)
			}
		})
	}
}

// TestPragmasAreReadBack breaks one setting of a connection and wants it noticed.
func TestPragmasAreReadBack(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, db := range []*sql.DB{s.writes, s.reads} {
		for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
				t.Errorf("pragma %s is %q, want %q (%v)", name, got, want, err)
			}
		}
	}
	for _, broken := range []string{"synchronous = normal", "busy_timeout = 0", "foreign_keys = off"} {
		if _, err := s.writes.ExecContext(t.Context(), "PRAGMA "+broken); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(broken, " ")
		if err := s.verifyPragmas(t.Context(), s.writes); delivery.KindOf(err) != delivery.Unavailable || !strings.Contains(err.Error(), name) {
			t.Errorf("after PRAGMA %s: error = %v", broken, err)
		}
		for _, p := range pragmas() {
			if _, err := s.writes.ExecContext(t.Context(), "PRAGMA "+p.name+" = "+p.value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.verifyPragmas(t.Context(), s.writes); err != nil {
		t.Error(err)
	}
}
