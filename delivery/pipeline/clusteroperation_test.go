package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func TestParseClusterOperations(t *testing.T) {
	none := &delivery.Capacity{}
	for _, test := range []struct {
		kind, fields string
		want         rollout.Operation
	}{
		{"shrinkCluster", ``, rollout.Operation{Keep: &rollout.Keep{Groups: 1}}},
		{"shrinkCluster", `,"shrinkToSize":0`, rollout.Operation{Keep: &rollout.Keep{}}},
		{"shrinkCluster", `,"shrinkToSize":"2","allowDeleteActive":true,"retainLargerOverNewer":"true"`, rollout.Operation{Keep: &rollout.Keep{Groups: 2, Active: true, Larger: true}}},
		{"scaleDownCluster", ``, rollout.Operation{Capacity: none, Keep: &rollout.Keep{Groups: 1}}},
		{"scaleDownCluster", `,"remainingFullSizeServerGroups":2,"preferLargerOverNewer":true,"allowScaleDownActive":true`,
			rollout.Operation{Capacity: none, Keep: &rollout.Keep{Groups: 2, Active: true, Larger: true}}},
		{"disableCluster", `,"remainingEnabledServerGroups":3,"preferLargerOverNewer":true`, rollout.Operation{Keep: &rollout.Keep{Groups: 3, Larger: true}}},
	} {
		got, err := ParseOperate(test.kind, json.RawMessage(operate(test.kind, test.fields)))
		if err != nil || len(got.Clusters) != 1 || got.Clusters[0].Group != "" || got.Clusters[0].Cluster.Name() != "storefront-prod" {
			t.Fatalf("%s%s: %+v, %v", test.kind, test.fields, got, err)
		}
		test.want.Kind = rollout.OperationKind(test.kind)
		if diff := cmp.Diff(test.want, got.Clusters[0].Operation); diff != "" {
			t.Errorf("%s%s: %s", test.kind, test.fields, diff)
		}
	}
}

// TestWrongClusterOperations are refused when the pipeline is saved.
func TestWrongClusterOperations(t *testing.T) {
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"fewer than none", operate("shrinkCluster", `,"shrinkToSize":-1`), "/shrinkToSize", "at least 0"},
		{"nothing left", operate("shrinkCluster", `,"shrinkToSize":0,"allowDeleteActive":true`), "/shrinkToSize", "at least 1"},
		{"a size in words", operate("shrinkCluster", `,"shrinkToSize":"one"`), "/shrinkToSize", "whole number"},
		{"a flag in words", operate("shrinkCluster", `,"allowDeleteActive":"maybe"`), "/allowDeleteActive", "boolean"},
		{"a group", operate("shrinkCluster", `,"serverGroupName":"storefront-prod-v001"`), "/serverGroupName", "whole cluster"},
		{"a target", operate("disableCluster", `,"target":"current"`), "/target", "whole cluster"},
		{"none enabled", operate("disableCluster", `,"remainingEnabledServerGroups":0`), "/remainingEnabledServerGroups", "at least 1"},
		{"by half", operate("disableCluster", `,"desiredPercentage":50`), "/desiredPercentage", "as a whole"},
		{"no cluster", strings.Replace(operate("scaleDownCluster", ``), `"cluster":"storefront-prod"`, `"x":1`, 1), "/cluster", "is required"},
		{"no account", strings.Replace(operate("scaleDownCluster", ``), `"credentials":"aws-sim"`, `"x":1`, 1), "/credentials", "is required"},
		{"revisions", strings.Replace(operate("scaleDownCluster", ``), `"aws"`, `"cloudrun"`, 1), "/cloudProvider", "cannot be changed"},
	} {
		_, err := Parse(json.RawMessage(`{"stages":[` + test.stage + `]}`))
		found := false
		for _, f := range delivery.FindingsOf(err) {
			found = found || f.Pointer == "/stages/0"+test.pointer && strings.Contains(f.Message, test.message)
		}
		if !found {
			t.Errorf("%s: %v", test.name, delivery.FindingsOf(err))
		}
	}
	if _, err := Parse(json.RawMessage(`{"stages":[` + operate("shrinkCluster", `,"shrinkToSize":"${n}","allowDeleteActive":"${f}"`) + `]}`)); err != nil {
		t.Errorf("expressions: %v", err)
	}
}
