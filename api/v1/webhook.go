package v1

// WebhookAnswer is the answer to an event.
type WebhookAnswer struct {
	EventProcessed bool `json:"eventProcessed"`
	// EventID finds the executions that the event started. It is the same for each
	// delivery of one event.
	EventID string `json:"eventId"`
}
