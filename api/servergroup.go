package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const (
	// maxApplications and maxIDs bound what one request for server groups of
	// several applications may have read.
	maxApplications = 25
	maxIDs          = 100
)

func (s *Server) listServerGroups(c *gin.Context) error {
	q := queryOf(c)
	filter := clusterFilter{provider: q.text("cloudProvider"), names: q.list("clusters"), anew: wantsAnew(c)}
	q.flag("expand", false)
	if err := q.err(); err != nil {
		return err
	}
	groups, err := s.observeServerGroups(c.Request.Context(), param(c, "app"), filter)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, groups)
}

// searchServerGroups lists the server groups of several applications, or those
// that are named as account:region:name. What is named and does not exist is left
// out, as in Gate.
func (s *Server) searchServerGroups(c *gin.Context) error {
	q := queryOf(c)
	applications, ids, provider := q.list("applications"), q.list("ids"), q.text("cloudProvider")
	wanted := parseGroupIDs(q, ids)
	switch {
	case (len(applications) == 0) == (len(ids) == 0):
		q.refuse("applications", "give either applications or ids")
	case len(applications) > maxApplications:
		q.refuse("applications", fmt.Sprintf("names more than %d", maxApplications))
	case len(ids) > maxIDs:
		q.refuse("ids", fmt.Sprintf("names more than %d", maxIDs))
	}
	if err := q.err(); err != nil {
		return err
	}
	for _, id := range wanted {
		applications = append(applications, id.moniker.App)
	}
	for _, name := range applications {
		if err := s.authorize(principalOf(c), read, resource{application: name}); err != nil {
			return err
		}
	}
	if len(wanted) > 0 {
		return s.renderNamedGroups(c, wanted, provider)
	}
	out := []v1.ServerGroup{}
	for _, name := range applications {
		groups, err := s.observeServerGroups(c.Request.Context(), name, clusterFilter{provider: provider, anew: wantsAnew(c)})
		if err != nil {
			return err
		}
		out = append(out, groups...)
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) renderNamedGroups(c *gin.Context, wanted []groupID, provider string) error {
	out := []v1.ServerGroup{}
	for _, id := range wanted {
		group, err := s.findServerGroup(c.Request.Context(), id.moniker.App, id, wantsAnew(c))
		if delivery.KindOf(err) == delivery.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if provider == "" || provider == group.CloudProvider {
			out = append(out, group)
		}
	}
	return render(c, http.StatusOK, out)
}

// groupID says where a server group is.
type groupID struct {
	account, region, name string
	moniker               delivery.Moniker
}

// parseGroupIDs reads account:region:name.
func parseGroupIDs(q *query, ids []string) []groupID {
	var out []groupID
	for _, id := range ids {
		parts := strings.Split(id, ":")
		if len(parts) != 3 {
			q.refuse("ids", fmt.Sprintf("%q is not account:region:name", id))
			continue
		}
		// A name without a number is none of ours and found nowhere.
		m, _, _ := delivery.ParseServerGroup(parts[2])
		out = append(out, groupID{parts[0], parts[1], parts[2], m})
	}
	return out
}

func (s *Server) getServerGroup(c *gin.Context) error {
	q := queryOf(c)
	q.flag("includeDetails", true)
	if err := q.err(); err != nil {
		return err
	}
	id := groupID{account: param(c, "account"), region: param(c, "region"), name: param(c, "serverGroup")}
	id.moniker, _, _ = delivery.ParseServerGroup(id.name)
	group, err := s.findServerGroup(c.Request.Context(), param(c, "app"), id, wantsAnew(c))
	if err != nil {
		return missing(err, "Server group", id.name)
	}
	return render(c, http.StatusOK, group)
}

// findServerGroup reads one cluster: the group's name says which. It returns
// NotFound for a group that does not exist or belongs to another application.
func (s *Server) findServerGroup(ctx context.Context, application string, id groupID, anew bool) (v1.ServerGroup, error) {
	if id.moniker.App == "" || !strings.EqualFold(id.moniker.App, application) {
		return v1.ServerGroup{}, delivery.Errorf(delivery.NotFound, "server group %s of application %s", id.name, application)
	}
	snapshots, err := s.clusterAt(ctx, delivery.Cluster{Account: id.account, Region: id.region, Moniker: id.moniker}, anew)
	if err != nil {
		return v1.ServerGroup{}, err
	}
	for _, seen := range snapshots {
		if group := seen.Group(id.name); group != nil {
			return presentServerGroup(seen, *group), nil
		}
	}
	return v1.ServerGroup{}, delivery.Errorf(delivery.NotFound, "server group %s in %s of account %s", id.name, id.region, id.account)
}

// listClusterServerGroups is 404 when the cluster has none.
func (s *Server) listClusterServerGroups(c *gin.Context) error {
	filter := clusterFilter{account: param(c, "account"), cluster: param(c, "cluster"), anew: wantsAnew(c)}
	groups, err := s.observeServerGroups(c.Request.Context(), param(c, "app"), filter)
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		return missing(delivery.Errorf(delivery.NotFound, "cluster"), "Cluster", filter.account+":"+filter.cluster)
	}
	return render(c, http.StatusOK, groups)
}

// getClusterServerGroup lists the groups of that name: one for each region, unless
// a region is asked for.
func (s *Server) getClusterServerGroup(c *gin.Context) error {
	q := queryOf(c)
	filter := clusterFilter{account: param(c, "account"), cluster: param(c, "cluster"), region: q.text("region"), anew: wantsAnew(c)}
	if err := q.err(); err != nil {
		return err
	}
	name := param(c, "serverGroup")
	groups, err := s.observeServerGroups(c.Request.Context(), param(c, "app"), filter)
	if err != nil {
		return err
	}
	groups = slices.DeleteFunc(groups, func(g v1.ServerGroup) bool { return g.Name != name })
	if len(groups) == 0 {
		return missing(delivery.Errorf(delivery.NotFound, "server group"), "Server group", name)
	}
	return render(c, http.StatusOK, groups)
}

// getTargetServerGroup answers with the one group of a cluster that is meant by
// its place among the others. The scope is a region, or a zone.
func (s *Server) getTargetServerGroup(c *gin.Context) error {
	q := queryOf(c)
	options := delivery.SelectOptions{OnlyEnabled: q.flag("onlyEnabled", false), LoneOldest: !q.flag("validateOldest", true)}
	if err := q.err(); err != nil {
		return err
	}
	word := param(c, "target")
	which, err := delivery.ParseSelection(word)
	if err != nil {
		return missing(delivery.Errorf(delivery.NotFound, "target"), "Target", word)
	}
	cluster := delivery.Cluster{Provider: param(c, "cloudProvider"), Account: param(c, "account")}
	cluster.Region, options.Zone = s.scope(cluster.Account, param(c, "scope"))
	cluster.Moniker, _, _ = delivery.ParseServerGroup(param(c, "cluster") + "-v000")
	seen := delivery.Snapshot{Cluster: cluster}
	if strings.EqualFold(cluster.Moniker.App, param(c, "app")) {
		snapshots, err := s.clusterAt(c.Request.Context(), cluster, wantsAnew(c))
		if err != nil {
			return err
		}
		if len(snapshots) > 0 && len(snapshots[0].Groups) > 0 {
			seen = snapshots[0]
		}
	}
	group, err := seen.Select(which, options)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentServerGroup(seen, group))
}

// scope reads the name of a region, or that of a zone, which begins with its
// region's. An unknown one is taken for a region in which nothing runs.
func (s *Server) scope(account, name string) (region, zone string) {
	for _, a := range s.targets.Accounts() {
		if a.Name != account || a.HasRegion(name) {
			continue
		}
		for _, r := range a.Regions {
			if len(r) > len(region) && strings.HasPrefix(name, r) {
				region, zone = r, name
			}
		}
	}
	if region == "" {
		return name, ""
	}
	return region, zone
}

// observeServerGroups returns the groups by account, cluster, region and number.
func (s *Server) observeServerGroups(ctx context.Context, application string, filter clusterFilter) ([]v1.ServerGroup, error) {
	clusters, err := s.observeClusters(ctx, application, filter)
	if err != nil {
		return nil, err
	}
	out := []v1.ServerGroup{}
	for _, cluster := range clusters {
		out = append(out, cluster.ServerGroups...)
	}
	return out, nil
}
