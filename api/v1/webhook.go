package v1

// EventRef is the answer to a start that is an event.
type EventRef struct {
	EventID string `json:"eventId"`
	// Ref is, for example, "/pipelines/01JD3Z8Q6V5T0H3W4M8N7K2RXA".
	Ref string `json:"ref"`
}

// WebhookAnswer is the answer to an event.
type WebhookAnswer struct {
	EventProcessed bool `json:"eventProcessed"`
	// EventID finds the executions that the event started. It is the same for each
	// delivery of one event.
	EventID string `json:"eventId"`
}
