// Package golden compares what a test produced with a file that people read.
// Run the test with -update to write the file anew:
//
//	go test ./delivery -run TestStatesDocument -update
package golden

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// Compare fails the test when the file at path does not hold exactly got.
func Compare(t testing.TB, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is not up to date; write it anew with -update (-file +now):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
