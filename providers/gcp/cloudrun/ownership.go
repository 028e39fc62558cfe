package cloudrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// The ownership annotations of a revision, and of a service that a creation made.
const (
	noteApplication = "slipway.dev/application"
	noteCluster     = "slipway.dev/cluster"
	noteServerGroup = "slipway.dev/server-group"
	noteDeployment  = "slipway.dev/deployment"
	noteChange      = "slipway.dev/change"
	// noteCapacity is "min,max,desired": Cloud Run stores no desired size, and
	// takes a maximum of 0 for a hundred.
	noteCapacity = "slipway.dev/capacity"
	// noteImage is the image as the pipeline named it.
	noteImage = "slipway.dev/image"
	// noteRetired is on a service: the revisions, separated by commas, that were
	// destroyed as far as Cloud Run allows. They serve nothing and are not shown.
	noteRetired = "slipway.dev/retired"
	notePrefix  = "slipway.dev/"
)

// ownership returns the annotations of everything that belongs to the change's group.
func ownership(c delivery.Change) map[string]string {
	return map[string]string{
		noteApplication: c.Cluster.Moniker.App,
		noteCluster:     c.Cluster.Name(),
		noteServerGroup: c.Group,
		noteDeployment:  string(c.Deployment),
		noteChange:      string(c.Key),
	}
}

// owned reports whether the annotations say that Slipway made the group.
func owned(notes map[string]string, cluster delivery.Cluster, group string) bool {
	return group != "" && notes[noteCluster] == cluster.Name() && notes[noteServerGroup] == group
}

// own returns Conflict unless the annotations say that this very change made the
// revision.
func own(c delivery.Change, notes map[string]string) error {
	if owned(notes, c.Cluster, c.Group) && notes[noteChange] == string(c.Key) {
		return nil
	}
	return delivery.Errorf(delivery.Conflict, "revision %s exists and was made by %s, not by %s",
		c.Group, cmp.Or(notes[noteChange], "somebody else"), c.Key)
}

func writeCapacity(c delivery.Capacity) string {
	return fmt.Sprintf("%d,%d,%d", c.Min, c.Max, c.Desired)
}

// capacityOf returns what the group was created with. A revision of somebody else
// counts as wanting one instance at the least: it serves with none running.
func capacityOf(notes map[string]string, scaling *runpb.RevisionScaling) delivery.Capacity {
	var c delivery.Capacity
	if n, err := fmt.Sscanf(notes[noteCapacity], "%d,%d,%d", &c.Min, &c.Max, &c.Desired); err == nil && n == 3 {
		return c
	}
	c.Min = int(scaling.GetMinInstanceCount())
	c.Desired = max(c.Min, 1)
	c.Max = max(int(scaling.GetMaxInstanceCount()), c.Desired)
	return c
}

// retired returns the names in the service's annotation.
func retired(service *runpb.Service) []string {
	if list := service.GetAnnotations()[noteRetired]; list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// hidden reports whether the revision counts as destroyed. One that somebody gave
// traffic is shown again.
func hidden(service *runpb.Service, revision string) bool {
	return slices.Contains(retired(service), revision) && !routed(service, revision)
}
