package v1

// Judgment is a question that a deployment asks people while it is open.
type Judgment struct {
	// Deployment is the id of the deployment that waits.
	Deployment string `json:"deployment"`
	// Step says which of the deployment's steps it is about.
	Step         string `json:"step"`
	Instructions string `json:"instructions,omitempty"`
	// Since is when the question was asked, and Until when OnTimeout, rollback or
	// continue, takes the answer's place.
	Since     *Millis `json:"since"`
	Until     *Millis `json:"until"`
	OnTimeout string  `json:"onTimeout"`
}
