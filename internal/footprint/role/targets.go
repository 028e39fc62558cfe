package role

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// Account is what every role knows of an account: where it is, and not how to
// get in.
type Account struct {
	Name        string   `yaml:"name"`
	Provider    string   `yaml:"provider"`
	AccountID   string   `yaml:"accountId"`
	Project     string   `yaml:"project"`
	Environment string   `yaml:"environment"`
	Regions     []string `yaml:"regions"`
	Endpoint    string   `yaml:"endpoint"`
}

// Opener makes the target of one region.
type Opener func(region string) (delivery.Target, error)

// Targets is a registry that links no cloud by itself, where the one of package
// providers links all of them. It does not guard and does not limit.
type Targets struct {
	accounts []delivery.Account
	targets  map[site]delivery.Target
}

type site struct{ account, provider, region string }

var (
	_ delivery.Targets       = (*Targets)(nil)
	_ delivery.ClusterLister = (*Targets)(nil)
)

// Add adds an account with an opener for each cloudProvider that it serves.
func (t *Targets) Add(a Account, open map[string]Opener) error {
	if t.targets == nil {
		t.targets = map[site]delivery.Target{}
	}
	account := delivery.Account{Name: a.Name, Provider: a.Provider, AccountID: cmp.Or(a.AccountID, a.Project), Environment: a.Environment, Regions: a.Regions}
	for _, provider := range slices.Sorted(maps.Keys(open)) {
		account.Serves = append(account.Serves, provider)
		for _, region := range a.Regions {
			target, err := open[provider](region)
			if err != nil {
				return fmt.Errorf("open account %s in %s: %w", a.Name, region, err)
			}
			t.targets[site{a.Name, provider, region}] = target
		}
	}
	t.accounts = append(t.accounts, account)
	return nil
}

// Accounts returns the accounts in the order of the file.
func (t *Targets) Accounts() []delivery.Account { return t.accounts }

// Target returns what was opened for the cluster's place.
func (t *Targets) Target(c delivery.Cluster) (delivery.Target, error) {
	target, ok := t.targets[site{c.Account, c.Provider, c.Region}]
	if !ok {
		return nil, delivery.Errorf(delivery.Invalid, "account %s is not configured for provider %s in %s", c.Account, c.Provider, c.Region)
	}
	return target, nil
}

// Clusters is Unavailable: nothing that is measured lists clusters.
func (t *Targets) Clusters(context.Context, string) ([]delivery.Cluster, error) {
	return nil, elsewhere("list clusters")
}

// Elsewhere opens the accounts without a way to their clouds: what the API role
// alone can know. A place that is not configured is refused with its reason;
// whatever else the API asks of a cloud is Unavailable, and the API then accepts a
// deployment without having validated it. Validation is the worker's, which does
// it again in any case before the first change.
func Elsewhere(accounts []Account) (*Targets, error) {
	t := &Targets{}
	for _, a := range accounts {
		open := map[string]Opener{}
		for _, provider := range serves(a.Provider) {
			open[provider] = func(string) (delivery.Target, error) { return remote{}, nil }
		}
		if err := t.Add(a, open); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// serves are the cloudProviders of an account, which its type alone decides.
func serves(provider string) []string {
	if provider == "gce" {
		return []string{"gce", "cloudrun"}
	}
	return []string{provider}
}

// remote is a target that another process can reach and this one cannot.
type remote struct{}

var _ delivery.Target = remote{}

func elsewhere(doing string) error {
	return delivery.Errorf(delivery.Unavailable, "%s: this process has no way to the clouds; a worker has", doing)
}

// Describe returns nothing: kinds are described by the code that knows them.
func (remote) Describe() delivery.Descriptor { return delivery.Descriptor{} }

// Validate is Unavailable.
func (remote) Validate(context.Context, delivery.Cluster, delivery.GroupSpec) ([]delivery.Finding, error) {
	return nil, elsewhere("validate")
}

// Observe is Unavailable.
func (remote) Observe(context.Context, delivery.Cluster, string) (delivery.Snapshot, error) {
	return delivery.Snapshot{}, elsewhere("observe")
}

// Apply is Unavailable.
func (remote) Apply(context.Context, delivery.Change) (delivery.Receipt, error) {
	return delivery.Receipt{}, elsewhere("apply")
}
