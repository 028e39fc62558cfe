package mig

import (
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
)

// The ownership tags: the keys of the JSON object that the description of every
// piece holds.
const (
	tagApplication = "slipway:application"
	tagCluster     = "slipway:cluster"
	tagServerGroup = "slipway:server-group"
	tagDeployment  = "slipway:deployment"
	tagChange      = "slipway:change"
	// tagImage and tagImageID save the look-up of the instance template's image.
	tagImage   = "slipway:image"
	tagImageID = "slipway:image-id"
	// tagLoadBalancer and tagAutoscaling tell which pieces a whole group has: the
	// name of the URL map, and the mode of the autoscaler once it is let go.
	tagLoadBalancer = "slipway:load-balancer"
	tagAutoscaling  = "slipway:autoscaling"
	tagPrefix       = "slipway:"
)

// tags are a description's keys and values.
type tags map[string]string

// tags returns the ownership tags of every piece of the change's group.
func (n *creation) tags() tags {
	c := n.change
	out := tags{
		tagApplication: c.Cluster.Moniker.App, tagCluster: c.Cluster.Name(), tagServerGroup: c.Group,
		tagDeployment: string(c.Deployment), tagChange: string(c.Key),
	}
	if n.settings.balancer() != "" {
		out[tagLoadBalancer] = n.settings.balancer()
	}
	if mode := n.mode(); mode != "" {
		out[tagAutoscaling] = mode
	}
	return out
}

// with returns the tags and one more.
func (t tags) with(key, value string) tags {
	out := make(tags, len(t)+1)
	for k, v := range t {
		out[k] = v
	}
	if value != "" {
		out[key] = value
	}
	return out
}

// description writes the tags, sorted by key.
func (t tags) description() string {
	text, err := json.Marshal(t)
	if err != nil {
		return "" // texts always marshal
	}
	return string(text)
}

// tagsIn reads a description; nil for one that a person wrote.
func tagsIn(description string) tags {
	var out tags
	if json.Unmarshal([]byte(description), &out) != nil {
		return nil
	}
	return out
}

// owned reports whether the tags say that Slipway made this piece of the group.
func (t tags) owned(cluster delivery.Cluster, group string) bool {
	return t[tagCluster] == cluster.Name() && t[tagServerGroup] == group
}
