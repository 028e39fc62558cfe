package v1

import "encoding/json"

// ApplicationDetail is one application with its clusters.
type ApplicationDetail struct {
	Name       string                            `json:"name"`
	Attributes json.RawMessage                   `json:"attributes"`
	Clusters   map[string][]ClusterOfApplication `json:"clusters"`
}

// ClusterOfApplication names a cluster's server groups, under the account it is in.
type ClusterOfApplication struct {
	Name          string   `json:"name"`
	LoadBalancers []string `json:"loadBalancers"`
	ServerGroups  []string `json:"serverGroups"`
	Provider      string   `json:"provider"`
}
