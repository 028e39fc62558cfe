package pipeline

import (
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
)

// hidden stands for a credential where an execution is shown.
const hidden = "***"

// WithoutCredentials returns an evaluated stage's context in the form in which it is
// shown: the values of headers that are credentials are hidden.
func WithoutCredentials(stageType string, context json.RawMessage) json.RawMessage {
	if stageType != WebhookStageType {
		return context
	}
	var fields, headers map[string]json.RawMessage
	if json.Unmarshal(context, &fields) != nil || json.Unmarshal(fields["customHeaders"], &headers) != nil {
		return context
	}
	for name := range headers {
		if delivery.IsCredential(name) {
			headers[name] = json.RawMessage(`"` + hidden + `"`)
		}
	}
	shown, err := json.Marshal(headers)
	if err != nil {
		return nil
	}
	fields["customHeaders"] = shown
	out, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return out
}
