package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a testing.TB that remembers failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestCompare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	Compare(r, path, []byte("one\n"))
	if len(r.failures) != 0 {
		t.Errorf("an equal file fails: %v", r.failures)
	}
	Compare(r, path, []byte("two\n"))
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "-update") {
		t.Errorf("a different file gives %v", r.failures)
	}
}
