package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

// refused opens the store and wants Unavailable with every one of the words.
func refused(t *testing.T, path string, words ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: path})
	if err == nil {
		t.Fatal(errors.Join(errors.New("the store was opened"), s.Close()))
	}
	if delivery.KindOf(err) != delivery.Unavailable {
		t.Fatalf("error %v is of kind %v, want unavailable", err, delivery.KindOf(err))
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	for _, row := range []struct {
		name   string
		damage func(t *testing.T, path string, content []byte)
	}{
		{"not a database", func(t *testing.T, path string, content []byte) {
			write(t, path, bytes.Repeat([]byte("garbage "), 1000))
		}},
		{"header overwritten", func(t *testing.T, path string, content []byte) {
			copy(content, bytes.Repeat([]byte{0xff}, 64))
			write(t, path, content)
		}},
		{"pages overwritten", func(t *testing.T, path string, content []byte) {
			copy(content[len(content)/2:], bytes.Repeat([]byte{0x5a}, 3*4096))
			write(t, path, content)
		}},
		{"cut off", func(t *testing.T, path string, content []byte) {
			write(t, path, content[:len(content)/2])
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "slipway.db")
			filled(t, path)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			row.damage(t, path, content)
			refused(t, path, path, "damaged", "restore it from a backup")
		})
	}
}

// filled leaves a closed store with some pages at the path.
func filled(t *testing.T, path string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		p := delivery.Pipeline{Application: "storefront", Name: name, Document: []byte(`"` + strings.Repeat(name, 8000) + `"`)}
		if _, err := s.SavePipeline(t.Context(), p, delivery.PipelineExpectation{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesUnusableFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, nil)
	refused(t, filepath.Join(file, "slipway.db"), file, "choose another")
	refused(t, filepath.Join("/proc", "slipway.db"), "/proc", "cannot be written", "choose another")
	folder := filepath.Join(dir, "folder.db")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, folder, folder)
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	filled(t, path)
	raw(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	refused(t, path, path, "99999", "newer")
}

// raw runs a statement beside the store.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data with ? and #")
	path := filepath.Join(dir, "slipway.db")
	s := open(t, path)
	if err := s.SaveApplication(t.Context(), delivery.Application{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "slipway.db": 0o600, "slipway.db-wal": 0o600, "slipway.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	filled(t, path)
	s := open(t, path)
	all, err := s.Pipelines(t.Context(), "storefront")
	if err != nil || len(all) != 4 {
		t.Fatalf("%d pipelines and error %v, want 4", len(all), err)
	}
}

func TestCanceledContextWritesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "slipway.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SaveApplication(ctx, delivery.Application{Name: "a"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error = %v, want context.Canceled", err)
	}
	if err := s.SaveApplication(t.Context(), delivery.Application{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	all, err := s.Applications(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("applications = %v, error = %v; want b alone", all, err)
	}
}
