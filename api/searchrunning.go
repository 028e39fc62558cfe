package api

import (
	"context"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// instanceID is the form of an id of EC2, old or new.
var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8}([0-9a-f]{9})?$`)

// snapshotsNamed reads the application whose name the text begins with; nothing
// when there is no such application.
func (s *Server) snapshotsNamed(c *gin.Context, text string) ([]delivery.Snapshot, error) {
	name, _, _ := strings.Cut(text, "-")
	app, err := s.store.Application(c.Request.Context(), name)
	if delivery.KindOf(err) == delivery.NotFound || err == nil && s.authorize(principalOf(c), read, resource{app.Name}) != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.snapshots(c.Request.Context(), app.Name, clusterFilter{anew: wantsAnew(c)})
}

func (s *Server) findServerGroups(c *gin.Context, text string) ([]object, error) {
	snapshots, err := s.snapshotsNamed(c, text)
	if err != nil {
		return nil, err
	}
	var out []object
	for _, seen := range snapshots {
		for _, g := range seen.Groups {
			if strings.Contains(g.Name, text) {
				one := found(groupFields(seen.Cluster, g.Name))
				one.set("sequence", g.Sequence)
				out = append(out, one)
			}
		}
	}
	return out, nil
}

func groupFields(of delivery.Cluster, group string) map[string]string {
	return map[string]string{"serverGroup": group, "name": group, "cluster": of.Name(), "application": of.Moniker.App, "account": of.Account,
		"region": of.Region, "provider": of.Provider, "stack": of.Moniker.Stack, "detail": of.Moniker.Detail}
}

// findInstances finds instances by the beginning of their name where that has the
// application's, as it does in Google Cloud, and in other clouds by their whole id:
// one call for each region of each account.
func (s *Server) findInstances(c *gin.Context, text string) ([]object, error) {
	snapshots, err := s.snapshotsNamed(c, text)
	if err != nil {
		return nil, err
	}
	var out []object
	add := func(of delivery.Cluster, group, id string) {
		one := found(groupFields(of, group))
		one.set("instanceId", id)
		one.set("name", id)
		out = append(out, one)
	}
	for _, seen := range snapshots {
		for _, g := range seen.Groups {
			for _, i := range g.Instances {
				if strings.Contains(strings.ToLower(i.ID), text) {
					add(seen.Cluster, g.Name, i.ID)
				}
			}
		}
	}
	if !instanceID.MatchString(text) {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), observeTimeout)
	defer cancel()
	is, err := s.memberAnywhere(ctx, text, wantsAnew(c))
	if err == nil && s.authorize(principalOf(c), read, resource{is.cluster.Moniker.App}) == nil {
		add(is.cluster, is.group, text)
	}
	if delivery.KindOf(err) == delivery.NotFound {
		err = nil
	}
	return out, err
}

// memberAnywhere asks the regions of all accounts, one after the other.
func (s *Server) memberAnywhere(ctx context.Context, id string, anew bool) (member, error) {
	for _, account := range s.targets.Accounts() {
		for _, region := range account.Regions {
			is, err := s.memberOf(ctx, account.Name, region, id, anew)
			if delivery.KindOf(err) != delivery.NotFound {
				return is, err
			}
		}
	}
	return member{}, delivery.Errorf(delivery.NotFound, "instance %s", id)
}
