package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
)

// listProjectClusters observes the clusters that the project selects, with one entry
// for each selection.
func (s *Server) listProjectClusters(c *gin.Context) error {
	_, config, err := s.projectOf(c)
	if err != nil {
		return err
	}
	out := []v1.ProjectCluster{}
	for _, selection := range config.Clusters {
		applications := selection.Applications
		if len(applications) == 0 {
			applications = config.Applications
		}
		entry := v1.ProjectCluster{Account: selection.Account, Stack: selection.Stack, Detail: selection.Detail, Applications: []v1.ProjectApplication{}}
		for _, name := range applications {
			if err := s.authorize(principalOf(c), read, resource{strings.ToLower(name)}); err != nil {
				continue // what the caller may not see is left out
			}
			one, err := s.projectApplication(c.Request.Context(), selection, name, wantsAnew(c))
			if err != nil {
				return err
			}
			for _, region := range one.Clusters {
				add(&entry.InstanceCounts, region.InstanceCounts)
			}
			entry.Applications = append(entry.Applications, one)
		}
		out = append(out, entry)
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) projectApplication(ctx context.Context, selection projectCluster, name string, anew bool) (v1.ProjectApplication, error) {
	out := v1.ProjectApplication{Application: name, Clusters: []v1.ProjectRegion{}}
	clusters, err := s.observeClusters(ctx, name, clusterFilter{account: selection.Account, anew: anew})
	if err != nil {
		return out, err
	}
	byRegion := map[string]*v1.ProjectRegion{}
	var regions []string
	for _, cluster := range clusters {
		if !selects(selection.Stack, cluster.Moniker.Stack) || !selects(selection.Detail, cluster.Moniker.Detail) {
			continue
		}
		for _, group := range cluster.ServerGroups {
			region := byRegion[group.Region]
			if region == nil {
				region = &v1.ProjectRegion{Region: group.Region, Builds: []v1.BuildInfo{}}
				byRegion[group.Region], regions = region, append(regions, group.Region)
			}
			add(&region.InstanceCounts, group.InstanceCounts)
			region.LastPush = later(region.LastPush, group.CreatedTime)
			if group.BuildInfo != nil {
				region.Builds = append(region.Builds, *group.BuildInfo)
			}
		}
	}
	slices.Sort(regions)
	for _, name := range regions {
		out.Clusters = append(out.Clusters, *byRegion[name])
		out.LastPush = later(out.LastPush, byRegion[name].LastPush)
	}
	return out, nil
}

// selects compares a part of a cluster's name; "*" selects any.
func selects(wanted, part string) bool { return wanted == "*" || wanted == part }

func later(a, b *v1.Millis) *v1.Millis {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func add(to *v1.InstanceCounts, more v1.InstanceCounts) {
	to.Total += more.Total
	to.Up += more.Up
	to.Down += more.Down
	to.Unknown += more.Unknown
	to.OutOfService += more.OutOfService
	to.Starting += more.Starting
}
