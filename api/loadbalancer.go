package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func (s *Server) listLoadBalancers(c *gin.Context) error {
	return s.renderLoadBalancers(c, clusterFilter{})
}

func (s *Server) listClusterLoadBalancers(c *gin.Context) error {
	return s.renderLoadBalancers(c, clusterFilter{account: param(c, "account"), cluster: param(c, "cluster"), provider: param(c, "cloudProvider")})
}

func (s *Server) renderLoadBalancers(c *gin.Context, filter clusterFilter) error {
	filter.anew = wantsAnew(c)
	snapshots, err := s.snapshots(c.Request.Context(), param(c, "app"), filter)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentLoadBalancers(snapshots))
}

// presentLoadBalancers joins the clusters that share a load balancer, sorted by
// account, region and name.
func presentLoadBalancers(snapshots []delivery.Snapshot) []v1.LoadBalancer {
	out := []v1.LoadBalancer{}
	for _, seen := range snapshots {
		if seen.Routing == nil {
			continue
		}
		at := slices.IndexFunc(out, func(b v1.LoadBalancer) bool {
			return b.Name == seen.Routing.LoadBalancer && b.Account == seen.Cluster.Account && b.Region == seen.Cluster.Region && b.Type == seen.Cluster.Provider
		})
		if at < 0 {
			at = len(out)
			out = append(out, v1.LoadBalancer{Name: seen.Routing.LoadBalancer, Account: seen.Cluster.Account, Region: seen.Cluster.Region,
				Type: seen.Cluster.Provider, CloudProvider: seen.Cluster.Provider, ServerGroups: []v1.LoadBalancerServerGroup{}})
		}
		addBehind(&out[at], seen)
	}
	slices.SortStableFunc(out, func(a, b v1.LoadBalancer) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.Name, b.Name))
	})
	return out
}

// addBehind adds the groups of a cluster that its router knows.
func addBehind(to *v1.LoadBalancer, seen delivery.Snapshot) {
	for _, weight := range seen.Routing.Weights {
		group := seen.Group(weight.ServerGroup)
		if group == nil {
			continue
		}
		shown := presentServerGroup(seen, *group)
		to.ServerGroups = append(to.ServerGroups, v1.LoadBalancerServerGroup{Name: shown.Name, Account: shown.Account, Region: shown.Region,
			CloudProvider: shown.CloudProvider, Cluster: shown.Cluster, IsDisabled: shown.IsDisabled, TrafficPercent: weight.Percent, Instances: shown.Instances})
		for _, i := range shown.Instances {
			count(&to.InstanceCounts, i.HealthState)
		}
	}
	slices.SortFunc(to.ServerGroups, func(a, b v1.LoadBalancerServerGroup) int { return strings.Compare(a.Name, b.Name) })
}
