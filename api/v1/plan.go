package v1

// Plan is what a start of a pipeline would do to the clouds as they are now.
type Plan struct {
	// Hash is the same for the same intention from the same state. A trigger that
	// carries it as planHash is refused once it is another.
	Hash string `json:"hash"`
	// Stages are in the pipeline's order.
	Stages []PlannedStage `json:"stages"`
}

// PlannedStage is one stage of a plan.
type PlannedStage struct {
	RefID string `json:"refId"`
	Type  string `json:"type"`
	Name  string `json:"name"`
	// MaxAttempts is how often a stage that fails is tried, 0 for once. The rest is told
	// of one attempt.
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// WaitMs is how long a wait stage waits.
	WaitMs int64 `json:"waitMs,omitempty"`
	// Window is when the stage may begin, for people; absent when it may at any time.
	Window string `json:"window,omitempty"`
	// OnFailure is what a failure of the stage leads to, absent for haltPipeline, which
	// ends the execution: haltBranch, haltBranchThenFail or ignore.
	OnFailure string `json:"onFailure,omitempty"`
	// Skipped says why the stage is left out.
	Skipped string `json:"skipped,omitempty"`
	// Unplanned says why nothing can be said of the stage beforehand.
	Unplanned   string              `json:"unplanned,omitempty"`
	Deployments []PlannedDeployment `json:"deployments,omitempty"`
	// Images are those that a stage finds.
	Images []PlannedImage `json:"images,omitempty"`
}

// PlannedImage is an image that a stage finds.
type PlannedImage struct {
	CloudProvider string `json:"cloudProvider"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	ImageID       string `json:"imageId"`
	ImageName     string `json:"imageName"`
}

// PlannedDeployment is what a deploy stage would do to one cluster.
type PlannedDeployment struct {
	CloudProvider string `json:"cloudProvider"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	Cluster       string `json:"cluster"`
	// ServerGroup is the name that the new one will get if no other deployment
	// takes it before, or the one that an operation is about.
	ServerGroup string `json:"serverGroup"`
	// Strategy is the stage's type for an operation.
	Strategy string `json:"strategy"`
	// Checks say what is measured meanwhile, one line each.
	Checks []string `json:"checks,omitempty"`
	// Floor is the least number of healthy instances in rotation, Peak the most
	// instances at once; both are 0 where groups have no size.
	Floor int `json:"floor"`
	Peak  int `json:"peak"`
	// DurationMs is an estimate.
	DurationMs int64           `json:"durationMs"`
	Actions    []PlannedAction `json:"actions"`
	// Failure is why the deployment would not succeed.
	Failure *Failure `json:"failure,omitempty"`
	// Rollback is what a rollback on demand goes back to; absent for the others.
	Rollback *PlannedRollback `json:"rollback,omitempty"`
}

// PlannedRollback is what a rollback on demand undoes, and how.
type PlannedRollback struct {
	// Of is the deployment that is rolled back, and From the server group that loses
	// its traffic.
	Of   string `json:"of,omitempty"`
	From string `json:"from"`
	// Redeploys is the deployment whose version is deployed anew; absent when the
	// old server group is still there and takes its traffic back.
	Redeploys string `json:"redeploys,omitempty"`
	// Description is one line for people.
	Description string `json:"description"`
}

// PlannedAction is one change, wait or gate.
type PlannedAction struct {
	// Type is change, wait or gate.
	Type string `json:"type"`
	// AtMs is the estimated time from the beginning of the deployment.
	AtMs int64 `json:"atMs"`
	// Description is one line for people.
	Description string `json:"description"`
	// Change is the kind of a change, such as setRouting.
	Change      string    `json:"change,omitempty"`
	ServerGroup string    `json:"serverGroup,omitempty"`
	Capacity    *Capacity `json:"capacity,omitempty"`
	Weights     []Weight  `json:"weights,omitempty"`
	// TakesMs is how long a wait lasts; an estimate unless Exact.
	TakesMs int64 `json:"takesMs,omitempty"`
	Exact   bool  `json:"exact,omitempty"`
	// Pipeline is the id of the pipeline that a gate runs.
	Pipeline string `json:"pipeline,omitempty"`
	// Instructions are what a manual judgment says.
	Instructions string `json:"instructions,omitempty"`
	// TimeoutMs is how long a wait or a manual judgment may take, and OnTimeout what
	// follows then, rollback or continue, where the strategy says so.
	TimeoutMs int64  `json:"timeoutMs,omitempty"`
	OnTimeout string `json:"onTimeout,omitempty"`
}

// Weight is a server group's share of the traffic in percent.
type Weight struct {
	ServerGroup string `json:"serverGroup"`
	Percent     int    `json:"percent"`
}
