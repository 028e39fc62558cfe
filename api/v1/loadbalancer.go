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

// NamedLoadBalancer is a load balancer that pipelines name, wherever they do.
type NamedLoadBalancer struct {
	Name     string                `json:"name"`
	Accounts []LoadBalancerAccount `json:"accounts"`
}

// LoadBalancerAccount is an account in which pipelines name a load balancer.
type LoadBalancerAccount struct {
	Name    string               `json:"name"`
	Regions []LoadBalancerRegion `json:"regions"`
}

// LoadBalancerRegion is a region in which pipelines name a load balancer.
type LoadBalancerRegion struct {
	Name          string            `json:"name"`
	LoadBalancers []LoadBalancerKey `json:"loadBalancers"`
}

// LoadBalancerKey tells one load balancer from the others.
type LoadBalancerKey struct {
	Name    string `json:"name"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Type is the cloudProvider.
	Type string `json:"type"`
}
