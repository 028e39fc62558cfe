package v1

// ProjectCluster is what a project's selection of clusters finds.
type ProjectCluster struct {
	Account        string               `json:"account"`
	Stack          string               `json:"stack"`
	Detail         string               `json:"detail"`
	Applications   []ProjectApplication `json:"applications"`
	InstanceCounts InstanceCounts       `json:"instanceCounts"`
}

// ProjectApplication is one application of a project's selection.
type ProjectApplication struct {
	Application string `json:"application"`
	// LastPush is when the newest server group was created; null for none.
	LastPush *Millis         `json:"lastPush"`
	Clusters []ProjectRegion `json:"clusters"`
}

// ProjectRegion is what the selected clusters of an application are in one region.
type ProjectRegion struct {
	Region         string         `json:"region"`
	LastPush       *Millis        `json:"lastPush"`
	InstanceCounts InstanceCounts `json:"instanceCounts"`
	Builds         []BuildInfo    `json:"builds"`
}
