package delivery_test

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// uuid8 is the form of a version 8 UUID of the RFC 9562 variant.
var uuid8 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestChangeKeyToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := delivery.ChangeKey(rapid.String().Draw(t, "a"))
		b := delivery.ChangeKey(rapid.String().Draw(t, "b"))
		if !uuid8.MatchString(a.Token()) {
			t.Fatalf("token %s of %q has not the form of a UUID", a.Token(), a)
		}
		if (a.Token() == b.Token()) != (a == b) {
			t.Fatalf("tokens of %q and %q: %s and %s", a, b, a.Token(), b.Token())
		}
	})
}

// The token is written into clouds: it must be the same in every version of Slipway.
func TestChangeKeyTokenIsStable(t *testing.T) {
	key := delivery.ChangeKey("01JD3Z8Q6V5T0H3W4M8N7K2RXA/1/aws-sim/us-east-1/storefront-prod#create")
	if got, want := key.Token(), "69342fdd-0b32-85fa-8cb7-e4ead33dfbb1"; got != want {
		t.Errorf("token is %s, want %s", got, want)
	}
}

func TestChangeString(t *testing.T) {
	capacity := delivery.Capacity{Min: 1, Max: 3, Desired: 2}
	tests := []struct {
		change delivery.Change
		want   string
	}{
		{delivery.Change{Kind: delivery.CreateGroup, Group: "a-v001"}, "create server group a-v001"},
		{delivery.Change{Kind: delivery.ResizeGroup, Group: "a-v001", Capacity: &capacity}, "resize server group a-v001 to min 1, desired 2, max 3"},
		{delivery.Change{Kind: delivery.DestroyGroup, Group: "a-v001"}, "destroy server group a-v001"},
		{delivery.Change{Kind: delivery.SetRouting, Weights: []delivery.Weight{{ServerGroup: "a-v001", Percent: 25}, {ServerGroup: "a-v002", Percent: 75}}},
			"set routing to a-v001 25 %, a-v002 75 %"},
		{delivery.Change{Kind: delivery.UpdateGroup, Group: "a-v001", Spec: &delivery.GroupSpec{Image: "app-2"}, Update: &delivery.Update{Surge: 1}},
			"update server group a-v001 in place to app-2, at most 1 more and 0 fewer instances at a time"},
		{delivery.Change{Kind: delivery.UpdateGroup, Group: "a-v001", Update: &delivery.Update{Version: "lt:1", Unavailable: 2}},
			"update server group a-v001 in place to the version it had before, at most 0 more and 2 fewer instances at a time"},
		{delivery.Change{Kind: delivery.PruneGroup, Group: "a-v001"}, "remove the versions that server group a-v001 no longer uses"},
		{delivery.Change{Kind: "other"}, "other"},
	}
	for _, tt := range tests {
		if got := tt.change.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
