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

// listClusters answers with the names of the clusters by account.
func (s *Server) listClusters(c *gin.Context) error {
	clusters, err := s.observeClusters(c.Request.Context(), param(c, "app"), clusterFilter{anew: wantsAnew(c)})
	if err != nil {
		return err
	}
	out := map[string][]string{}
	for _, cluster := range clusters {
		out[cluster.Account] = append(out[cluster.Account], cluster.Name)
	}
	return render(c, http.StatusOK, out)
}

// listAccountClusters is 404 when the application has no cluster in the account.
func (s *Server) listAccountClusters(c *gin.Context) error {
	account := param(c, "account")
	clusters, err := s.observeClusters(c.Request.Context(), param(c, "app"), clusterFilter{account: account, anew: wantsAnew(c)})
	if err != nil {
		return err
	}
	if len(clusters) == 0 {
		return missing(delivery.Errorf(delivery.NotFound, "account"), "Account's clusters", account)
	}
	return render(c, http.StatusOK, clusters)
}

// getCluster answers {} for a cluster that has no server groups, as Gate does.
func (s *Server) getCluster(c *gin.Context) error {
	filter := clusterFilter{account: param(c, "account"), cluster: param(c, "cluster"), anew: wantsAnew(c)}
	clusters, err := s.observeClusters(c.Request.Context(), param(c, "app"), filter)
	if err != nil {
		return err
	}
	if len(clusters) == 0 {
		return render(c, http.StatusOK, object{})
	}
	return render(c, http.StatusOK, clusters[0])
}

// presentClusters joins the snapshots of a cluster's regions. Clusters without
// server groups are left out; the rest is sorted by account and name.
func presentClusters(snapshots []delivery.Snapshot) []v1.Cluster {
	type key struct{ account, name string }
	byKey := make(map[key]*v1.Cluster)
	var keys []key
	for _, seen := range snapshots {
		if len(seen.Groups) == 0 {
			continue
		}
		k := key{seen.Cluster.Account, seen.Cluster.Name()}
		cluster := byKey[k]
		if cluster == nil {
			cluster = &v1.Cluster{Name: k.name, Account: k.account, CloudProvider: seen.Cluster.Provider,
				Moniker: presentMoniker(seen.Cluster.Moniker), LoadBalancers: []string{}}
			byKey[k], keys = cluster, append(keys, k)
		}
		if seen.Routing != nil && !slices.Contains(cluster.LoadBalancers, seen.Routing.LoadBalancer) {
			cluster.LoadBalancers = append(cluster.LoadBalancers, seen.Routing.LoadBalancer)
		}
		for _, group := range seen.Groups {
			cluster.ServerGroups = append(cluster.ServerGroups, presentServerGroup(seen, group))
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.name, b.name))
	})
	out := []v1.Cluster{}
	for _, k := range keys {
		out = append(out, *byKey[k])
	}
	return out
}

func presentMoniker(m delivery.Moniker) v1.Moniker {
	return v1.Moniker{App: m.App, Stack: m.Stack, Detail: m.Detail, Cluster: m.Cluster()}
}

func presentServerGroup(seen delivery.Snapshot, g delivery.ServerGroup) v1.ServerGroup {
	out := v1.ServerGroup{
		Name: g.Name, Account: seen.Cluster.Account, Region: seen.Cluster.Region, Zones: []string{},
		Cluster: seen.Cluster.Name(), Application: seen.Cluster.Moniker.App,
		Type: seen.Cluster.Provider, CloudProvider: seen.Cluster.Provider,
		IsDisabled: !seen.Serving(g.Name), Disabled: !seen.Serving(g.Name), Moniker: presentMoniker(seen.Cluster.Moniker),
		CreatedTime: v1.MillisOf(g.CreatedAt), Image: g.Image, ImageID: g.ImageID,
		Capacity:      v1.Capacity{Min: g.Capacity.Min, Max: g.Capacity.Max, Desired: g.Capacity.Desired},
		Instances:     []v1.Instance{},
		LoadBalancers: []string{}, TargetGroups: []string{}, SecurityGroups: []string{},
		Managed: g.Managed, Deployment: string(g.Deployment), Deleting: g.Deleting,
	}
	out.Moniker.Sequence = &g.Sequence
	if g.Image != "" {
		out.BuildInfo = &v1.BuildInfo{Images: []string{g.Image}}
	}
	if seen.Routing != nil {
		percent := seen.Routing.Percent(g.Name)
		out.TrafficPercent, out.LoadBalancers = &percent, []string{seen.Routing.LoadBalancer}
	}
	for _, i := range g.Instances {
		instance := presentInstance(i, g.HealthSources)
		count(&out.InstanceCounts, instance.HealthState)
		out.Instances = append(out.Instances, instance)
		if i.Zone != "" && !slices.Contains(out.Zones, i.Zone) {
			out.Zones = append(out.Zones, i.Zone)
		}
	}
	slices.Sort(out.Zones)
	return out
}

func presentInstance(i delivery.Instance, sources []string) v1.Instance {
	out := v1.Instance{ID: i.ID, Name: i.ID, Zone: i.Zone, AvailabilityZone: i.Zone,
		LaunchTime: v1.MillisOf(i.LaunchedAt), HealthState: healthState(i, sources), Health: []v1.InstanceHealth{}}
	for _, h := range i.Health {
		out.Health = append(out.Health, v1.InstanceHealth{Type: h.Source, State: wordOf(h.State), Reason: h.Reason})
	}
	return out
}

// healthState is the worst word of the sources; Up only when all of them say so.
func healthState(i delivery.Instance, sources []string) string {
	if i.Healthy(sources) {
		return string(delivery.HealthUp)
	}
	worst := [...]delivery.HealthState{delivery.HealthDraining, delivery.HealthDown, delivery.HealthOutOfService, delivery.HealthStarting}
	for _, state := range worst {
		if slices.ContainsFunc(i.Health, func(h delivery.Health) bool { return h.State == state }) {
			return string(state)
		}
	}
	return wordOf(delivery.HealthUnknown)
}

func wordOf(state delivery.HealthState) string {
	if state == delivery.HealthUnknown {
		return "Unknown"
	}
	return string(state)
}

func count(counts *v1.InstanceCounts, state string) {
	counts.Total++
	switch delivery.HealthState(state) {
	case delivery.HealthUp:
		counts.Up++
	case delivery.HealthDown:
		counts.Down++
	case delivery.HealthStarting:
		counts.Starting++
	case delivery.HealthOutOfService, delivery.HealthDraining:
		counts.OutOfService++
	default:
		counts.Unknown++
	}
}
