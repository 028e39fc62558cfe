package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// listNamedLoadBalancers lists those that pipelines name. No cloud is asked: to
// list an account's own would take as many calls as it has.
func (s *Server) listNamedLoadBalancers(c *gin.Context) error {
	q := queryOf(c)
	provider := q.text("provider")
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.namedPlaces(c, func(p place) bool { return provider == "" || p.cluster.Provider == provider })
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentNamed(found))
}

// getNamedLoadBalancer answers with no accounts for a name that no pipeline has.
func (s *Server) getNamedLoadBalancer(c *gin.Context) error {
	q := queryOf(c)
	provider, name := q.text("provider"), param(c, "name")
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.namedPlaces(c, func(p place) bool {
		return p.loadBalancer == name && (provider == "" || p.cluster.Provider == provider)
	})
	if err != nil {
		return err
	}
	out := v1.NamedLoadBalancer{Name: name, Accounts: []v1.LoadBalancerAccount{}}
	for _, one := range presentNamed(found) {
		out = one
	}
	return render(c, http.StatusOK, out)
}

// getLoadBalancer reads the clusters behind one load balancer, as a list of one; an
// empty list when no pipeline names it.
func (s *Server) getLoadBalancer(c *gin.Context) error {
	q := queryOf(c)
	provider := q.text("provider")
	if err := q.err(); err != nil {
		return err
	}
	account, region, name := param(c, "account"), param(c, "region"), param(c, "name")
	found, err := s.namedPlaces(c, func(p place) bool {
		return p.loadBalancer == name && p.cluster.Account == account && p.cluster.Region == region && (provider == "" || p.cluster.Provider == provider)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), observeTimeout)
	defer cancel()
	snapshots, err := s.observePlaces(ctx, found, wantsAnew(c))
	if err != nil {
		return err
	}
	shown := presentLoadBalancers(snapshots)
	return render(c, http.StatusOK, slices.DeleteFunc(shown, func(b v1.LoadBalancer) bool { return b.Name != name }))
}

// namedPlaces returns where pipelines that the caller may see deploy behind a load
// balancer, each once and sorted.
func (s *Server) namedPlaces(c *gin.Context, keeps func(place) bool) ([]place, error) {
	all, err := s.seenPlaces(c)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p place) bool { return p.loadBalancer == "" || !keeps(p) })
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(strings.Compare(a.loadBalancer, b.loadBalancer), strings.Compare(a.key(), b.key()))
	})
	return slices.CompactFunc(all, func(a, b place) bool { return a.key() == b.key() }), nil
}

// seenPlaces returns where the pipelines that the caller may see deploy to.
func (s *Server) seenPlaces(c *gin.Context) ([]place, error) {
	pipelines, err := s.store.Pipelines(c.Request.Context(), "")
	if err != nil {
		return nil, err
	}
	may := map[string]bool{}
	var out []place
	for _, p := range pipelines {
		allowed, known := may[p.Application]
		if !known {
			allowed = s.authorize(principalOf(c), read, resource{p.Application}) == nil
			may[p.Application] = allowed
		}
		if allowed {
			out = append(out, placesOf(p)...)
		}
	}
	return out, nil
}

// presentNamed joins places by load balancer, account and region; they are sorted
// by load balancer and by account and region.
func presentNamed(places []place) []v1.NamedLoadBalancer {
	out := []v1.NamedLoadBalancer{}
	for _, p := range places {
		if len(out) == 0 || out[len(out)-1].Name != p.loadBalancer {
			out = append(out, v1.NamedLoadBalancer{Name: p.loadBalancer})
		}
		addPlace(&out[len(out)-1], p.cluster)
	}
	return out
}

func addPlace(to *v1.NamedLoadBalancer, of delivery.Cluster) {
	a := slices.IndexFunc(to.Accounts, func(a v1.LoadBalancerAccount) bool { return a.Name == of.Account })
	if a < 0 {
		a = len(to.Accounts)
		to.Accounts = append(to.Accounts, v1.LoadBalancerAccount{Name: of.Account})
	}
	account := &to.Accounts[a]
	r := slices.IndexFunc(account.Regions, func(r v1.LoadBalancerRegion) bool { return r.Name == of.Region })
	if r < 0 {
		r = len(account.Regions)
		account.Regions = append(account.Regions, v1.LoadBalancerRegion{Name: of.Region})
	}
	key := v1.LoadBalancerKey{Name: to.Name, Account: of.Account, Region: of.Region, Type: of.Provider}
	if region := &account.Regions[r]; !slices.Contains(region.LoadBalancers, key) {
		region.LoadBalancers = append(region.LoadBalancers, key)
	}
}
