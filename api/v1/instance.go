package v1

// InstanceDetail is one machine and the server group that it is in.
type InstanceDetail struct {
	// ID, Name and InstanceID are the same.
	ID               string `json:"id"`
	Name             string `json:"name"`
	InstanceID       string `json:"instanceId"`
	Account          string `json:"account"`
	Region           string `json:"region"`
	Zone             string `json:"zone"`
	AvailabilityZone string `json:"availabilityZone"`
	CloudProvider    string `json:"cloudProvider"`
	Provider         string `json:"provider"`
	Application      string `json:"application"`
	Cluster          string `json:"cluster"`
	ServerGroup      string `json:"serverGroup"`
	// LoadBalancers are those of the server group.
	LoadBalancers []string         `json:"loadBalancers"`
	LaunchTime    *Millis          `json:"launchTime"`
	HealthState   string           `json:"healthState"`
	Health        []InstanceHealth `json:"health"`
}
