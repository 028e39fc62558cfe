package delivery_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestMonikerNames(t *testing.T) {
	tests := map[string]struct {
		moniker         delivery.Moniker
		sequence        int
		cluster, server string
	}{
		"app":                  {delivery.Moniker{App: "storefront"}, 0, "storefront", "storefront-v000"},
		"stack":                {delivery.Moniker{App: "storefront", Stack: "prod"}, 7, "storefront-prod", "storefront-prod-v007"},
		"detail":               {delivery.Moniker{App: "storefront", Stack: "prod", Detail: "eu-west"}, 123, "storefront-prod-eu-west", "storefront-prod-eu-west-v123"},
		"detail without stack": {delivery.Moniker{App: "storefront", Detail: "canary"}, 999, "storefront--canary", "storefront--canary-v999"},
		"numbers start again":  {delivery.Moniker{App: "storefront"}, 1000, "storefront", "storefront-v000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.moniker.Cluster(); got != tt.cluster {
				t.Errorf("cluster is %s, want %s", got, tt.cluster)
			}
			if got := tt.moniker.ServerGroup(tt.sequence); got != tt.server {
				t.Errorf("server group is %s, want %s", got, tt.server)
			}
		})
	}
}

func TestParseServerGroupRefuses(t *testing.T) {
	for _, name := range []string{"", "storefront", "storefront-v1", "storefront-v1234", "storefront-v00x", "-v001", "v001", "storefront_v001"} {
		if m, sequence, ok := delivery.ParseServerGroup(name); ok {
			t.Errorf("%q is read as %v, %d", name, m, sequence)
		}
	}
}

func drawMoniker(t *rapid.T, label string) delivery.Moniker {
	return delivery.Moniker{
		App:    rapid.StringMatching(`[a-z0-9_.]{1,5}`).Draw(t, label+" app"),
		Stack:  rapid.StringMatching(`([a-z0-9_.]{1,4})?|v[0-9]{3}`).Draw(t, label+" stack"),
		Detail: rapid.StringMatching(`([a-z0-9_.][a-z0-9_.-]{0,5})?|x-v[0-9]{3}`).Draw(t, label+" detail"),
	}
}

// A name says which cluster a server group belongs to, and only that one owns it.
func TestServerGroupNamesAreUnambiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, other := drawMoniker(t, "one"), drawMoniker(t, "other")
		sequence := rapid.IntRange(0, delivery.MaxSequence).Draw(t, "sequence")
		if findings := m.Validate(); len(findings) != 0 {
			t.Fatalf("%v is refused: %v", m, findings)
		}
		name := m.ServerGroup(sequence)
		got, n, ok := delivery.ParseServerGroup(name)
		if !ok || got != m || n != sequence {
			t.Fatalf("%s is read as %v, %d, %v; want %v, %d", name, got, n, ok, m, sequence)
		}
		if !(delivery.Cluster{Moniker: m}).Owns(name) {
			t.Fatalf("%v does not own %s", m, name)
		}
		if owns := (delivery.Cluster{Moniker: other}).Owns(name); owns != (other == m) {
			t.Fatalf("%v owns %s of %v", other, name, m)
		}
	})
}

func TestMonikerValidate(t *testing.T) {
	tests := map[string]struct {
		moniker delivery.Moniker
		want    []string
	}{
		"good":             {delivery.Moniker{App: "a_1.b", Stack: "s", Detail: "d-e"}, nil},
		"empty app":        {delivery.Moniker{}, []string{"/application"}},
		"dash in app":      {delivery.Moniker{App: "a-b"}, []string{"/application"}},
		"everything wrong": {delivery.Moniker{App: "a b", Stack: "s-t", Detail: "-d"}, []string{"/application", "/stack", "/freeFormDetails"}},
		"line end":         {delivery.Moniker{App: "a\n", Stack: "s\n", Detail: "d\n"}, []string{"/application", "/stack", "/freeFormDetails"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range tt.moniker.Validate() {
				got = append(got, f.Pointer)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("pointers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClusterNames(t *testing.T) {
	c := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	if got := c.Key(); got != "aws-sim/us-east-1/storefront-prod" {
		t.Errorf("key is %s", got)
	}
	id := delivery.NewDeploymentID("01JD", "1", c)
	if got := id.WorkflowID(); got != "deployment/01JD/1/aws-sim/us-east-1/storefront-prod" {
		t.Errorf("workflow id is %s", got)
	}
	if got := delivery.ExecutionID("01JD").WorkflowID(); got != "execution/01JD" {
		t.Errorf("workflow id is %s", got)
	}
	account := delivery.Account{Regions: []string{"us-east-1"}}
	if !account.HasRegion("us-east-1") || account.HasRegion("us-east-2") {
		t.Error("HasRegion is wrong")
	}
}
