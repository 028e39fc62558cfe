package wirefaults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/slipway-cd/slipway/simcloud"
)

// control makes a call of the simulator's control API.
func (x *trial) control(method, path string, body any) {
	x.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		x.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	request, err := http.NewRequestWithContext(x.Context(), method, x.sim.Endpoints().Control+path, bytes.NewReader(data))
	if err != nil {
		x.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		x.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		text, _ := io.ReadAll(answer.Body)
		x.Fatalf("%s %s: %s %s", method, path, answer.Status, text)
	}
}

// faultBody is a fault as the control API reads it: durations are strings.
type faultBody struct {
	ID     string         `json:"id,omitempty"`
	Match  simcloud.Match `json:"match"`
	Effect effectBody     `json:"effect"`
	Times  int            `json:"times,omitempty"`
}

type effectBody struct {
	Kind     simcloud.EffectKind `json:"kind"`
	Status   int                 `json:"status,omitempty"`
	Duration string              `json:"duration,omitempty"`
	Reads    int                 `json:"reads,omitempty"`
}

func faultJSON(f simcloud.Fault) faultBody {
	out := faultBody{ID: f.ID, Match: f.Match, Times: f.Times,
		Effect: effectBody{Kind: f.Effect.Kind, Status: f.Effect.Status, Reads: f.Effect.Reads}}
	if f.Effect.Duration > 0 {
		out.Effect.Duration = f.Effect.Duration.String()
	}
	return out
}
