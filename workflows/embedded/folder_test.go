package embedded

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/server/common/primitives"

	"github.com/slipway-cd/slipway/delivery"
)

// olderFolder makes a folder as another version of the server leaves it, with
// the given states of workflows by namespace.
func olderFolder(t *testing.T, states map[string][]int) string {
	t.Helper()
	f := &folder{dir: t.TempDir()}
	for _, path := range f.databases() {
		if err := createDatabase(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.writeStamp(stamp{Server: "1.29.1", Schema: "0123456789abcdef"}); err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(f.defaultDB())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for namespace, of := range states {
		for i, state := range of {
			if _, err := db.ExecContext(t.Context(), `INSERT INTO current_executions
				(shard_id, namespace_id, workflow_id, run_id, create_request_id, state, status, last_write_version, data)
				VALUES (1, ?, ?, ?, 'r', ?, 1, 0, '')`, []byte(primitives.MustParseUUID(namespace)), i, []byte(primitives.NewUUID()), state); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f.dir
}

func tryFolder(t *testing.T, dir string) error {
	t.Helper()
	f, err := openFolder(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return f.close()
}

func asides(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "aside-*", "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const (
	created, running, completed = 1, 2, 3
)

func TestOpenWorkflowsOfAnotherVersionAreKept(t *testing.T) {
	dir := olderFolder(t, map[string][]int{primitives.NewUUID().String(): {created, running, running, completed}})
	before, err := os.ReadFile(filepath.Join(dir, "temporal.db"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := tryFolder(t, dir)
		if delivery.KindOf(err) != delivery.Unavailable {
			t.Fatalf("error = %v, want unavailable", err)
		}
		for _, word := range []string{dir, "1.29.1", "3 open workflows", "run the version"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q does not say %q", err, word)
			}
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, "temporal.db"))
	if err != nil || string(after) != string(before) || len(asides(t, dir)) > 0 {
		t.Errorf("the files were touched: %v", err)
	}
}

func TestFinishedFilesOfAnotherVersionAreMovedAside(t *testing.T) {
	dir := olderFolder(t, map[string][]int{primitives.NewUUID().String(): {completed}, primitives.SystemNamespaceID: {running}})
	// Killed while an earlier start moved the files: one is aside already.
	if err := os.Rename(filepath.Join(dir, "visibility.db"), filepath.Join(t.TempDir(), "visibility.db")); err != nil {
		t.Fatal(err)
	}
	if err := tryFolder(t, dir); err != nil {
		t.Fatal(err)
	}
	if got := asides(t, dir); len(got) != 1 || filepath.Base(got[0]) != "temporal.db" {
		t.Errorf("aside: %v, want temporal.db", got)
	}
	ours, err := currentStamp()
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: dir}
	if got, err := f.readStamp(); err != nil || got != ours {
		t.Errorf("stamp is %v (%v), want %v", got, err, ours)
	}
	if open, err := openWorkflows(t.Context(), f.defaultDB()); err != nil || open != 0 {
		t.Errorf("new file has %d open workflows, error = %v", open, err)
	}
}

func TestFilesWithoutSoundStampAreOfAnotherVersion(t *testing.T) {
	for name, content := range map[string]string{"none": "", "damaged": "{"} {
		t.Run(name, func(t *testing.T) {
			dir := olderFolder(t, map[string][]int{primitives.NewUUID().String(): {running}})
			path := filepath.Join(dir, "temporal.stamp.json")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if content != "" {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := tryFolder(t, dir); err == nil || !strings.Contains(err.Error(), "unknown version") {
				t.Errorf("error = %v, want a refusal", err)
			}
		})
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for _, name := range []string{"temporal.db", "visibility.db"} {
		t.Run(name, func(t *testing.T) {
			f := &folder{dir: t.TempDir()}
			ours, err := currentStamp()
			if err != nil {
				t.Fatal(err)
			}
			if err := f.writeStamp(ours); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(f.dir, name)
			if err := createDatabase(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(content[len(content)/2:], strings.Repeat("garbage ", 4096))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			err = tryFolder(t, f.dir)
			if delivery.KindOf(err) != delivery.Unavailable {
				t.Fatalf("error = %v, want unavailable", err)
			}
			for _, word := range []string{path, "damaged", "backup"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
		})
	}
}

// A process may be killed after it created a file and before it made the schema.
func TestEmptyFileGetsItsSchema(t *testing.T) {
	dir := t.TempDir()
	ours, err := currentStamp()
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: dir}
	if err := f.writeStamp(ours); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.defaultDB(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time everything is there
		if err := tryFolder(t, dir); err != nil {
			t.Fatal(err)
		}
	}
	if open, err := openWorkflows(t.Context(), f.defaultDB()); err != nil || open != 0 {
		t.Errorf("%d open workflows, error = %v", open, err)
	}
}

func TestStampNamesServerAndSchema(t *testing.T) {
	one, err := currentStamp()
	if err != nil {
		t.Fatal(err)
	}
	two, err := currentStamp()
	if err != nil || one != two || one.Server == "" || len(one.Schema) != 64 {
		t.Errorf("stamps %v and %v, error = %v", one, two, err)
	}
}
