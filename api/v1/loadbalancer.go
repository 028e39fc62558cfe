package v1

// LoadBalancer is a router in front of clusters, as far as they use it.
type LoadBalancer struct {
	Name          string `json:"name"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	Type          string `json:"type"`
	CloudProvider string `json:"cloudProvider"`
	// ServerGroups are those of the application that the router knows, sorted by
	// name; one at weight 0 is disabled.
	ServerGroups   []LoadBalancerServerGroup `json:"serverGroups"`
	InstanceCounts InstanceCounts            `json:"instanceCounts"`
}

// LoadBalancerServerGroup is a server group behind a load balancer.
type LoadBalancerServerGroup struct {
	Name          string `json:"name"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	CloudProvider string `json:"cloudProvider"`
	Cluster       string `json:"cluster"`
	// IsDisabled is true when the group takes no traffic.
	IsDisabled     bool       `json:"isDisabled"`
	TrafficPercent int        `json:"trafficPercent"`
	Instances      []Instance `json:"instances"`
}
