package v1

// Cluster is the server groups of one stack and detail in one account, over all regions.
type Cluster struct {
	Name          string   `json:"name"`
	Account       string   `json:"account"`
	CloudProvider string   `json:"cloudProvider"`
	Moniker       Moniker  `json:"moniker"`
	LoadBalancers []string `json:"loadBalancers"`
	// ServerGroups are sorted by region and sequence.
	ServerGroups []ServerGroup `json:"serverGroups"`
}

// Moniker is a cluster's or server group's name in its parts.
type Moniker struct {
	App     string `json:"app"`
	Stack   string `json:"stack"`
	Detail  string `json:"detail"`
	Cluster string `json:"cluster"`
	// Sequence is absent for a cluster.
	Sequence *int `json:"sequence,omitempty"`
}

// ServerGroup is one deployed version of a cluster, as observed.
type ServerGroup struct {
	Name          string   `json:"name"`
	Account       string   `json:"account"`
	Region        string   `json:"region"`
	Zones         []string `json:"zones"`
	Cluster       string   `json:"cluster"`
	Application   string   `json:"application"`
	Type          string   `json:"type"`
	CloudProvider string   `json:"cloudProvider"`
	// IsDisabled is true when the group takes no traffic. Disabled is the same under
	// the name that Spinnaker's single server group has.
	IsDisabled  bool    `json:"isDisabled"`
	Disabled    bool    `json:"disabled"`
	Moniker     Moniker `json:"moniker"`
	CreatedTime *Millis `json:"createdTime"`
	Image       string  `json:"image"`
	ImageID     string  `json:"imageId"`
	// BuildInfo is null when the image is not known.
	BuildInfo      *BuildInfo     `json:"buildInfo"`
	Capacity       Capacity       `json:"capacity"`
	Instances      []Instance     `json:"instances"`
	InstanceCounts InstanceCounts `json:"instanceCounts"`
	LoadBalancers  []string       `json:"loadBalancers"`
	TargetGroups   []string       `json:"targetGroups"`
	SecurityGroups []string       `json:"securityGroups"`

	// TrafficPercent is the group's share of its load balancer's traffic; null
	// when the cluster is behind none.
	TrafficPercent *int `json:"trafficPercent"`
	// Managed is true when Slipway created the group.
	Managed bool `json:"managed"`
	// Deployment is the id of the deployment that created it.
	Deployment string `json:"deployment,omitempty"`
	// Deleting is true once its deletion began.
	Deleting bool `json:"deleting"`
}

// BuildInfo says what a server group runs.
type BuildInfo struct {
	// Images has the image's name where known, else its id.
	Images []string `json:"images"`
}

// Capacity is a size in instances.
type Capacity struct {
	Min     int `json:"min"`
	Max     int `json:"max"`
	Desired int `json:"desired"`
}

// Instance is one machine of a server group.
type Instance struct {
	ID               string  `json:"id"`
	Name             string  `json:"name"`
	Zone             string  `json:"zone"`
	AvailabilityZone string  `json:"availabilityZone"`
	LaunchTime       *Millis `json:"launchTime"`
	// HealthState is Up, Down, OutOfService, Starting, Draining or Unknown.
	HealthState string           `json:"healthState"`
	Health      []InstanceHealth `json:"health"`
}

// InstanceCounts counts a group's instances by health.
type InstanceCounts struct {
	Total        int `json:"total"`
	Up           int `json:"up"`
	Down         int `json:"down"`
	Unknown      int `json:"unknown"`
	OutOfService int `json:"outOfService"`
	Starting     int `json:"starting"`
}

// InstanceHealth is what one source says of an instance.
type InstanceHealth struct {
	// Type is the source, for example "Amazon" or "TargetGroup".
	Type   string `json:"type"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}
