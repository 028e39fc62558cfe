package v1

// CanaryConfigSummary is a canary configuration in a list.
type CanaryConfigSummary struct {
	ID                  string   `json:"id"`
	Name                string   `json:"name"`
	UpdatedTimestamp    Millis   `json:"updatedTimestamp"`
	UpdatedTimestampISO string   `json:"updatedTimestampIso"`
	Applications        []string `json:"applications"`
}

// CanaryConfigID is the answer to a save of a canary configuration.
type CanaryConfigID struct {
	CanaryConfigID string `json:"canaryConfigId"`
}
