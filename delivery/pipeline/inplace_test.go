package pipeline

import (
	"encoding/json"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// TestInPlaceLeavesTheCapacity: without a capacity the group keeps its own, and one
// that is given is compared with it.
func TestInPlaceLeavesTheCapacity(t *testing.T) {
	seen := delivery.Snapshot{Groups: []delivery.ServerGroup{{Name: "shop-v000", Capacity: delivery.Pinned(3)}}}
	for fields, want := range map[string]delivery.Capacity{
		`"inPlace":true`: {},
		`"inPlace":true,"useSourceCapacity":true,"capacity":{"min":1,"max":2,"desired":1}`: {},
		`"inPlace":true,"capacity":{"min":1,"max":2,"desired":1}`:                          {Min: 1, Max: 2, Desired: 1},
		`"useSourceCapacity":true,"capacity":{"min":1,"max":2,"desired":1}`:                delivery.Pinned(3),
	} {
		text := `{"clusters":[{"account":"a","application":"shop","amiName":"new","region":"r","strategy":"rolling",` + fields + `}]}`
		stage, err := ParseDeploy(DeployType, json.RawMessage(text))
		if err != nil {
			t.Fatalf("%s: %v", fields, err)
		}
		if got := stage.Clusters[0].Input(seen, delivery.Capabilities{}).Spec.Capacity; got != want {
			t.Errorf("%s: capacity %+v; want %+v", fields, got, want)
		}
	}
}

// TestInPlaceByAnExpression: whether the capacity may be left out is not known yet.
func TestInPlaceByAnExpression(t *testing.T) {
	text := `{"refId":"1","type":"deploy","clusters":[{"account":"a","application":"shop","amiName":"new","region":"r","strategy":"rolling","inPlace":"${parameters.inPlace}"}]}`
	definition, err := Parse(json.RawMessage(`{"application":"shop","name":"p","stages":[` + text + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if c := Intended(definition.Stages[0]).Clusters; len(c) != 1 || c[0].Strategy.Kind != rollout.Rolling {
		t.Errorf("intended %+v", c)
	}
}
