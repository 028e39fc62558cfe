package refusals

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clone is a stage that clones the newest server group; changes are those of changed.
func clone(refID, requisites string, changes ...string) string {
	return changed(map[string]json.RawMessage{
		"refId": json.RawMessage(`"` + refID + `"`), "requisiteStageRefIds": json.RawMessage(requisites), "type": json.RawMessage(`"cloneServerGroup"`),
		"credentials": json.RawMessage(`"aws-sim"`), "region": json.RawMessage(`"us-east-1"`),
		"targetCluster": json.RawMessage(`"storefront-prod"`), "target": json.RawMessage(`"current_asg_dynamic"`),
	}, changes...)
}

// TestBadClonesAreRefused: what a clone is to be like is looked up before its
// execution is recorded, unless an earlier stage may bring it about.
func TestBadClonesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	const absent = `{"asgName":"storefront-prod-v009"}`
	for i, test := range []struct{ name, stage, pointer string }{
		{"a source that is not there", clone("1", "[]", "target", "", "source", absent), "/stages/0/source"},
		{"a source that is not there, with a capacity", clone("1", "[]", "target", "", "source", absent, "capacity", `{"min":1,"max":1,"desired":1}`), "/stages/0/source"},
		{"the group before the only one", clone("1", "[]", "target", `"ancestor"`), "/stages/0/target"},
		{"an image that is not there", clone("1", "[]", "amiName", `"storefront-9"`), "/stages/0/amiName"},
		{"an unknown account", clone("1", "[]", "credentials", `"aws-prod"`), "/stages/0/credentials"},
		{"an unknown region", clone("1", "[]", "region", `"eu-north-1"`), "/stages/0/region"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("clone-%d", i)
			if status, p := w.post(t, "/pipelines", document(name, test.stage)); status != 200 {
				t.Fatalf("save: %d %+v", status, p)
			}
			before := w.traces(t)
			if status, p := w.post(t, "/pipelines/storefront/"+name, nothing); status != 400 || !p.names(test.pointer) {
				t.Errorf("%d %+v, want 400 at %q", status, p, test.pointer)
			}
			if diff := cmp.Diff(before, w.traces(t)); diff != "" {
				t.Errorf("something was made (-before +after):\n%s", diff)
			}
		})
	}
	later := `{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1},` + clone("2", `["1"]`, "target", `"ancestor"`)
	if status, p := w.post(t, "/pipelines", document("later", later)); status != 200 {
		t.Fatalf("save: %d %+v", status, p)
	}
	if status, p := w.post(t, "/pipelines/storefront/later", nothing); status != 202 {
		t.Errorf("a clone of what an earlier stage may make: %d %+v", status, p)
	}
}
