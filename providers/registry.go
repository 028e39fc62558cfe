package providers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Registry knows the targets of the configured accounts. It is fixed after New
// and safe for concurrent use.
type Registry struct {
	accounts []delivery.Account
	targets  map[place]delivery.Target
	listers  map[place]delivery.ClusterLister
	metrics  map[place]delivery.Metrics
}

var (
	_ delivery.Targets       = (*Registry)(nil)
	_ delivery.ClusterLister = (*Registry)(nil)
	_ delivery.Metrics       = (*Registry)(nil)
)

// place is where a target works, and as what. Account names are unique over all
// providers.
type place struct{ account, region, provider string }

// Opener makes the bare target of one region of an account.
type Opener func(region string) (delivery.Target, error)

// MetricsOpener makes the source that measures what a bare target, of the same
// provider and region, runs.
type MetricsOpener func(region string, bare delivery.Target) (delivery.Metrics, error)

// Registration is one account and how its targets are made.
type Registration struct {
	Account delivery.Account
	// Open has an opener for each cloudProvider that the account serves.
	Open map[string]Opener
	// Metrics has an opener for each cloudProvider whose groups are measured.
	Metrics map[string]MetricsOpener
	// Limit is the pace of calls per region, and of measurements beside them; the
	// zero value is the default.
	Limit Pace
}

// New opens every target kind in every region of every account. It returns
// Invalid for a name that is given twice and for an account without a region.
func New(registrations ...Registration) (*Registry, error) {
	r := &Registry{targets: map[place]delivery.Target{}, listers: map[place]delivery.ClusterLister{}, metrics: map[place]delivery.Metrics{}}
	for _, reg := range registrations {
		if err := r.add(reg); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(r.accounts, func(a, b delivery.Account) int { return cmp.Compare(a.Name, b.Name) })
	return r, nil
}

func (r *Registry) add(reg Registration) error {
	a := reg.Account
	if slices.ContainsFunc(r.accounts, func(o delivery.Account) bool { return o.Name == a.Name }) {
		return delivery.Errorf(delivery.Invalid, "account %s is configured twice", a.Name)
	}
	if len(a.Regions) == 0 {
		return delivery.Errorf(delivery.Invalid, "account %s has no region", a.Name)
	}
	for _, region := range a.Regions {
		for provider, open := range reg.Open {
			bare, err := open(region)
			if err != nil {
				return fmt.Errorf("open account %s in %s: %w", a.Name, region, err)
			}
			paced := limit(Guard(bare), bare, reg.Limit)
			at := place{a.Name, region, provider}
			r.targets[at], r.listers[at] = paced, paced
			measure, measured := reg.Metrics[provider]
			if !measured {
				continue
			}
			source, err := measure(region, bare)
			if err != nil {
				return fmt.Errorf("open the metrics of account %s in %s: %w", a.Name, region, err)
			}
			r.metrics[at] = limitMetrics(source, reg.Limit)
		}
	}
	r.accounts = append(r.accounts, a)
	return nil
}

// Accounts returns the configured accounts sorted by name.
func (r *Registry) Accounts() []delivery.Account { return slices.Clone(r.accounts) }

// Target returns the target of the cluster. The findings of its error name the
// field at fault: /account, /cloudProvider or /region.
func (r *Registry) Target(cluster delivery.Cluster) (delivery.Target, error) {
	at := slices.IndexFunc(r.accounts, func(a delivery.Account) bool { return a.Name == cluster.Account })
	if at < 0 {
		return nil, refusal("/account", "account %q is not configured; there is %s", cluster.Account, r.names())
	}
	account := r.accounts[at]
	if !account.Has(cluster.Provider) {
		return nil, refusal("/cloudProvider", "account %s is of provider %q, not %q", account.Name, account.Provider, cluster.Provider)
	}
	target, ok := r.targets[place{account.Name, cluster.Region, cluster.Provider}]
	if !ok {
		return nil, refusal("/region", "account %s is not configured for region %q; it has %s",
			account.Name, cluster.Region, strings.Join(account.Regions, ", "))
	}
	return target, nil
}

// Measure asks the source of the cluster's account and region. Invalid means
// that there is none.
func (r *Registry) Measure(ctx context.Context, request delivery.MetricRequest) (delivery.Series, error) {
	c := request.Cluster
	source, ok := r.metrics[place{c.Account, c.Region, c.Provider}]
	if !ok {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "clusters of provider %s of account %s in %s are not measured", c.Provider, c.Account, c.Region)
	}
	return source.Measure(ctx, request)
}

// Clusters returns the application's clusters of all accounts. When a region
// cannot be asked, the clusters of the others come together with the error.
func (r *Registry) Clusters(ctx context.Context, application string) ([]delivery.Cluster, error) {
	type answer struct {
		clusters []delivery.Cluster
		err      error
	}
	answers := make(chan answer, len(r.listers))
	for at, lister := range r.listers {
		go func() {
			clusters, err := lister.Clusters(ctx, application)
			if err != nil {
				err = fmt.Errorf("list clusters of provider %s of account %s in %s: %w", at.provider, at.account, at.region, err)
			}
			answers <- answer{clusters, err}
		}()
	}
	out := []delivery.Cluster{}
	var errs []error
	for range r.listers {
		a := <-answers
		out = append(out, a.clusters...)
		errs = append(errs, a.err)
	}
	slices.SortFunc(out, func(a, b delivery.Cluster) int {
		return cmp.Or(strings.Compare(a.Key(), b.Key()), strings.Compare(a.Provider, b.Provider))
	})
	return out, errors.Join(errs...)
}

func (r *Registry) names() string {
	if len(r.accounts) == 0 {
		return "none"
	}
	names := make([]string, len(r.accounts))
	for i, a := range r.accounts {
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

func refusal(pointer, format string, args ...any) error {
	return delivery.InvalidError("", []delivery.Finding{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}})
}
