package workflows

import "testing"

// TestEventKeysOfRuns: an attempt that one run has reset and a later one begins is told
// of anew.
func TestEventKeysOfRuns(t *testing.T) {
	seen := map[string]bool{}
	for run := range 3 {
		counts := told{}
		for _, h := range counts.keys(run, []happening{{about: "stage/B/2"}, {about: "stage/B/2"}, {}}) {
			if h.key == "" || seen[h.key] {
				t.Errorf("run %d: key %q", run, h.key)
			}
			seen[h.key] = true
		}
	}
}
