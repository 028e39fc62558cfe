package role

import (
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestElsewhere holds what the API may promise without a cloud: it refuses what
// the configuration alone shows to be wrong, and says of everything else that it
// cannot tell.
func TestElsewhere(t *testing.T) {
	targets, err := Elsewhere([]Account{{Name: "prod", Provider: "aws", Regions: []string{"us-east-1"}}, {Name: "shop", Provider: "gce", Regions: []string{"us-central1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		account, provider, region string
		want                      bool
	}{
		{"prod", "aws", "us-east-1", true}, {"shop", "gce", "us-central1", true}, {"shop", "cloudrun", "us-central1", true},
		{"prod", "aws", "us-central1", false}, {"prod", "gce", "us-east-1", false}, {"other", "aws", "us-east-1", false},
	} {
		cluster := delivery.Cluster{Account: row.account, Provider: row.provider, Region: row.region}
		target, err := targets.Target(cluster)
		if !row.want {
			if delivery.KindOf(err) != delivery.Invalid {
				t.Errorf("target of %+v: error %v, want Invalid", row, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("target of %+v: %v", row, err)
			continue
		}
		if findings, err := target.Validate(t.Context(), cluster, delivery.GroupSpec{}); findings != nil || delivery.KindOf(err) != delivery.Unavailable {
			t.Errorf("validate %+v: %v, %v; want Unavailable", row, findings, err)
		}
	}
	if _, err := targets.Clusters(t.Context(), "storefront"); delivery.KindOf(err) != delivery.Unavailable {
		t.Errorf("clusters: error %v, want Unavailable", err)
	}
	for _, a := range targets.Accounts() {
		if !a.Has(a.Provider) || !a.HasRegion(a.Regions[0]) {
			t.Errorf("account %+v does not have its own provider and region", a)
		}
	}
}
