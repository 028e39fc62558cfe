package delivery

import (
	"fmt"
	"slices"
)

// Account is a named cloud account or project. It comes from the configuration
// and is never stored.
type Account struct {
	// Name is what pipelines call it, for example "aws-sim".
	Name string `json:"name"`
	// Provider is Spinnaker's type of the account: "aws", "gce" or "cloudrun".
	Provider string `json:"provider"`
	// Serves are the cloudProviders that clusters in the account may have; nil
	// means Provider alone. A Google Cloud project of type "gce" has "gce" and
	// "cloudrun".
	Serves []string `json:"serves,omitempty"`
	// AccountID is the cloud's own number of the account, or the project's id.
	AccountID   string   `json:"accountId"`
	Environment string   `json:"environment,omitempty"`
	Regions     []string `json:"regions"`
}

// Has reports whether clusters of this cloudProvider may be in the account.
func (a Account) Has(provider string) bool {
	return slices.Contains(a.Providers(), provider)
}

// Providers returns the cloudProviders that clusters in the account may have.
func (a Account) Providers() []string {
	if len(a.Serves) == 0 {
		return []string{a.Provider}
	}
	return slices.Clone(a.Serves)
}

// HasRegion reports whether the account is configured for the region.
func (a Account) HasRegion(region string) bool { return slices.Contains(a.Regions, region) }

// Cluster is one application's server groups of one stack and detail in one
// account and region. It is the unit of deployment and of locking.
type Cluster struct {
	// Provider selects the target kind: "aws" is an EC2 Auto Scaling group, "gce" a
	// managed instance group, "cloudrun" a Cloud Run service.
	Provider string  `json:"provider"`
	Account  string  `json:"account"`
	Region   string  `json:"region"`
	Moniker  Moniker `json:"moniker"`
}

// Name returns the cluster's name, for example "storefront-prod".
func (c Cluster) Name() string { return c.Moniker.Cluster() }

// Key returns "account/region/name", unique over all clusters. It is the id of
// the cluster's lock and of its sequence counter.
func (c Cluster) Key() string { return fmt.Sprintf("%s/%s/%s", c.Account, c.Region, c.Name()) }

// Owns reports whether a server group of this name belongs to the cluster. A
// look-alike of another cluster ("foo-bar-v001" for cluster "foo") does not.
func (c Cluster) Owns(serverGroup string) bool {
	m, _, ok := ParseServerGroup(serverGroup)
	return ok && m == c.Moniker
}
