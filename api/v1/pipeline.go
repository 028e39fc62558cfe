package v1

import "encoding/json"

// PipelineCheck is what is wrong with a pipeline, all of it at once.
type PipelineCheck struct {
	Valid bool `json:"valid"`
	// Errors are empty for a valid pipeline.
	Errors []FieldError `json:"errors"`
}

// BulkSave is the outcome of several saves, each of which was made or not.
type BulkSave struct {
	SuccessfulCount int `json:"successful_pipelines_count"`
	// Successful are the names of the pipelines that were saved.
	Successful  []string `json:"successful_pipelines"`
	FailedCount int      `json:"failed_pipelines_count"`
	// Failed are the others as they were sent, with the reason under "errorMsg".
	Failed []json.RawMessage `json:"failed_pipelines"`
}
