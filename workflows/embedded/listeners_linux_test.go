package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNothingElseListens reads from the kernel what this process listens on.
func TestNothingElseListens(t *testing.T) {
	s := startServer(t)
	want := []string{}
	for _, port := range s.ports {
		want = append(want, fmt.Sprintf("0100007F:%04X", port)) // 127.0.0.1 as the kernel writes it
	}
	slices.Sort(want)
	got := listeners(t)
	if !slices.Equal(got, want) {
		t.Errorf("listens on %v, want %v", got, want)
	}
}

// listeners returns the local addresses of this process's listening TCP sockets.
func listeners(t *testing.T) []string {
	t.Helper()
	ours := map[string]bool{}
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			ours[target] = true
		}
	}
	found := []string{}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			field := strings.Fields(line)
			const address, state, inode, listening = 1, 3, 9, "0A"
			if field[state] == listening && ours["socket:["+field[inode]+"]"] {
				found = append(found, field[address])
			}
		}
	}
	slices.Sort(found)
	return found
}
