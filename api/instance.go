package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// member is the server group that an instance is in.
type member struct {
	cluster delivery.Cluster
	group   string
}

// getInstance finds the group of the instance and reads its cluster: an instance
// is healthy by what its group and its load balancer say.
func (s *Server) getInstance(c *gin.Context) error {
	account, region, id := param(c, "account"), param(c, "region"), param(c, "instance")
	is, err := s.memberOf(c.Request.Context(), account, region, id, wantsAnew(c))
	if err != nil {
		return missing(err, "Instance", id)
	}
	if err := s.authorize(principalOf(c), read, resource{application: is.cluster.Moniker.App}); err != nil {
		return err
	}
	snapshots, err := s.clusterAt(c.Request.Context(), is.cluster, wantsAnew(c))
	if err != nil {
		return err
	}
	for _, seen := range snapshots {
		if out := presentMember(seen, is.group, id); out != nil {
			return render(c, http.StatusOK, out)
		}
	}
	return missing(delivery.Errorf(delivery.NotFound, "instance"), "Instance", id)
}

// memberOf asks each provider that the account serves, in their order.
func (s *Server) memberOf(ctx context.Context, account, region, id string, anew bool) (member, error) {
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	accounts := s.targets.Accounts()
	at := slices.IndexFunc(accounts, func(a delivery.Account) bool { return a.Name == account && a.HasRegion(region) })
	if at < 0 {
		return member{}, delivery.Errorf(delivery.NotFound, "region %s of account %s", region, account)
	}
	for _, provider := range accounts[at].Providers() {
		target, err := s.targets.Target(delivery.Cluster{Provider: provider, Account: account, Region: region})
		if err != nil {
			return member{}, err
		}
		finder, ok := target.(delivery.InstanceFinder)
		if !ok {
			continue
		}
		key := strings.Join([]string{provider, account, region, id}, " ")
		is, err := s.seenMembers.get(ctx, key, anew, func(ctx context.Context) (member, error) {
			cluster, group, err := finder.GroupOf(ctx, id)
			return member{cluster, group}, err
		})
		if delivery.KindOf(err) != delivery.NotFound {
			return is, refusal(err, "find instance "+id)
		}
	}
	return member{}, delivery.Errorf(delivery.NotFound, "instance %s", id)
}

// presentMember returns nil when the instance is not in the group.
func presentMember(seen delivery.Snapshot, name, id string) *v1.InstanceDetail {
	group := seen.Group(name)
	if group == nil {
		return nil
	}
	at := slices.IndexFunc(group.Instances, func(i delivery.Instance) bool { return i.ID == id })
	if at < 0 {
		return nil
	}
	i, shown := presentInstance(group.Instances[at], group.HealthSources), presentServerGroup(seen, *group)
	return &v1.InstanceDetail{
		ID: i.ID, Name: i.Name, InstanceID: i.ID, Account: shown.Account, Region: shown.Region, Zone: i.Zone, AvailabilityZone: i.AvailabilityZone,
		CloudProvider: shown.CloudProvider, Provider: shown.CloudProvider, Application: shown.Application, Cluster: shown.Cluster,
		ServerGroup: shown.Name, LoadBalancers: shown.LoadBalancers, LaunchTime: i.LaunchTime, HealthState: i.HealthState, Health: i.Health,
	}
}
