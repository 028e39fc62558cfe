package delivery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	known := []string{"toInt", "toFloat", "stage", "stageExists", "deployedServerGroups"}
	for word, want := range map[string][]string{
		"toInnt": {"toInt"}, "TOINT": {"toInt"}, "stge": {"stage"}, "deployedServerGroup": {"deployedServerGroups"}, "elsewhere": nil, "": nil,
	} {
		if diff := cmp.Diff(want, Nearest(word, known)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", word, diff)
		}
	}
}
