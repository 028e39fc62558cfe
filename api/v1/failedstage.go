package v1

// FailedStage is a stage that failed, with the execution it belongs to. The parent
// is set when another execution started that one; the child, when the stage ran a
// pipeline whose own failed stages are not told.
type FailedStage struct {
	PipelineExecutionID   string `json:"pipelineExecutionId"`
	PipelineExecutionName string `json:"pipelineExecutionName"`
	PipelineApplication   string `json:"pipelineApplication"`
	PipelineExecutionURL  string `json:"pipelineExecutionUrl"`
	StageID               string `json:"stageId"`
	StageName             string `json:"stageName"`
	StageType             string `json:"stageType"`
	StageStatus           string `json:"stageStatus"`
	// StageException is why it failed; empty when nobody said.
	StageException string `json:"stageException"`

	ParentPipelineExecutionID   string `json:"parentPipelineExecutionId,omitempty"`
	ParentPipelineExecutionName string `json:"parentPipelineExecutionName,omitempty"`
	ParentPipelineApplication   string `json:"parentPipelineApplication,omitempty"`
	ParentPipelineExecutionURL  string `json:"parentPipelineExecutionUrl,omitempty"`
	ChildPipelineExecutionID    string `json:"childPipelineExecutionId,omitempty"`
	ChildPipelineExecutionName  string `json:"childPipelineExecutionName,omitempty"`
	ChildPipelineApplication    string `json:"childPipelineApplication,omitempty"`
	ChildPipelineExecutionURL   string `json:"childPipelineExecutionUrl,omitempty"`
}
