package pipeline

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway-cd/slipway/delivery"
)

// What is kept of the bodies of answers, in bytes: the stage's outputs stand in every
// projection of its execution.
const (
	maxWebhookBody = 64 << 10
	// maxMonitoredBody is for each of the two bodies of a stage that waits.
	maxMonitoredBody = 32 << 10
	// maxBuildInfo is for the copy in buildInfo.
	maxBuildInfo = 16 << 10
)

// WebhookAnswer is an answer as a stage puts it out, with Spinnaker's names.
type WebhookAnswer struct {
	// StatusCode is the code's name, such as "NOT_FOUND"; empty, as the value is zero,
	// without an answer.
	StatusCode      string `json:"statusCode,omitempty"`
	StatusCodeValue int    `json:"statusCodeValue,omitempty"`
	// Body is a JSON value; a text when the answer was no JSON or was cut.
	Body json.RawMessage `json:"body,omitempty"`
	// BodyTruncated is true when the body was larger than what is kept, or left out
	// because the execution has no room for it.
	BodyTruncated bool `json:"bodyTruncated,omitempty"`
	// Error says why the stage is over without success; empty otherwise.
	Error string `json:"error,omitempty"`
}

// WebhookOutput is the output "webhook" of a stage.
type WebhookOutput struct {
	WebhookAnswer
	// StatusEndpoint is where the stage looks for the status; empty for nowhere.
	StatusEndpoint string `json:"statusEndpoint,omitempty"`
	// Monitor is the last look that is known.
	Monitor *WebhookLook `json:"monitor,omitempty"`
	// Cancellation is the answer to the call of cancelEndpoint.
	Cancellation *WebhookAnswer `json:"cancellation,omitempty"`
}

// WebhookLook is a look at the status.
type WebhookLook struct {
	WebhookAnswer
	PercentComplete *float64 `json:"percentComplete,omitempty"`
	ProgressMessage string   `json:"progressMessage,omitempty"`
}

// WebhookOutputs are all outputs of a webhook stage.
type WebhookOutputs struct {
	Webhook WebhookOutput `json:"webhook"`
	// BuildInfo is the body of the last answer, where pipelines of Spinnaker find it;
	// left out when it is large.
	BuildInfo json.RawMessage `json:"buildInfo,omitempty"`
}

// NewWebhookOutputs returns the outputs of a stage whose call had this answer.
func (w Webhook) NewWebhookOutputs(a delivery.HTTPAnswer, v WebhookVerdict) WebhookOutputs {
	out := WebhookOutputs{Webhook: WebhookOutput{WebhookAnswer: w.answer(a, v), StatusEndpoint: v.StatusURL}}
	out.BuildInfo = buildInfo(out.Webhook.WebhookAnswer)
	return out
}

// NewWebhookLook returns what is put out of a look with this answer.
func (w Webhook) NewWebhookLook(a delivery.HTTPAnswer, v WebhookVerdict) WebhookLook {
	return WebhookLook{WebhookAnswer: w.answer(a, v), PercentComplete: v.Percent, ProgressMessage: clipped(v.Progress)}
}

// WithLook returns the outputs with another last look.
func (o WebhookOutputs) WithLook(look WebhookLook) WebhookOutputs {
	o.Webhook.Monitor, o.BuildInfo = &look, buildInfo(look.WebhookAnswer)
	return o
}

// Within returns the outputs in at most room bytes of JSON: without the body where they
// are larger. What is left without it is small, and kept whatever the room.
func (o WebhookOutputs) Within(room int) WebhookOutputs {
	if !o.larger(room) {
		return o
	}
	o.Webhook.WebhookAnswer, o.BuildInfo = o.Webhook.withoutBody(), nil
	return o
}

// LookWithin returns the look as it is put out beside o in at most room bytes of JSON:
// without its body where that is more.
func (o WebhookOutputs) LookWithin(look WebhookLook, room int) WebhookLook {
	if o.WithLook(look).larger(room) {
		look.WebhookAnswer = look.withoutBody()
	}
	return look
}

// CancellationWithin does for the answer to a cancel what LookWithin does for a look.
func (o WebhookOutputs) CancellationWithin(answer WebhookAnswer, room int) WebhookAnswer {
	if o.WithCancellation(answer).larger(room) {
		return answer.withoutBody()
	}
	return answer
}

// WithCancellation returns the outputs with the answer to the call of cancelEndpoint.
func (o WebhookOutputs) WithCancellation(answer WebhookAnswer) WebhookOutputs {
	o.Webhook.Cancellation = &answer
	return o
}

// larger reports whether the outputs are recorded in more bytes than that.
func (o WebhookOutputs) larger(room int) bool {
	raw, err := json.Marshal(o)
	return err != nil || len(raw) > room
}

func (a WebhookAnswer) withoutBody() WebhookAnswer {
	a.BodyTruncated = a.BodyTruncated || len(a.Body) > 0
	a.Body = nil
	return a
}

// NewCancellation returns what is put out of the answer to the call of cancelEndpoint.
func (w Webhook) NewCancellation(a delivery.HTTPAnswer) WebhookAnswer {
	var v WebhookVerdict
	if !succeeds(a.StatusCode) {
		v = failed("%s", status(a))
	}
	if len(a.Body) > maxBuildInfo {
		a.Body = nil
	}
	return w.answer(a, v)
}

func buildInfo(a WebhookAnswer) json.RawMessage {
	if len(a.Body) > maxBuildInfo {
		return nil
	}
	return a.Body
}

func (w Webhook) answer(a delivery.HTTPAnswer, v WebhookVerdict) WebhookAnswer {
	out := WebhookAnswer{StatusCodeValue: a.StatusCode, StatusCode: statusName(a.StatusCode)}
	if v.Next == WebhookFailed || v.Next == WebhookCanceled {
		out.Error = v.Reason
	}
	limit := maxWebhookBody
	if w.Monitor != nil {
		limit = maxMonitoredBody
	}
	if len(a.Body) == 0 {
		return out
	}
	var whole bytes.Buffer
	_, isJSON := decoded(a.Body)
	if out.BodyTruncated = len(a.Body) > limit; isJSON && !out.BodyTruncated && json.Compact(&whole, a.Body) == nil {
		out.Body = whole.Bytes()
	} else {
		out.Body = jsonText(a.Body[:min(len(a.Body), limit)])
	}
	return out
}

// jsonText is a text as JSON, without what is no text: bytes that are not UTF-8 and
// control characters other than those of lines.
func jsonText(raw []byte) json.RawMessage {
	text := strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(raw), ""))
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // it makes six bytes of one
	if encoder.Encode(text) != nil {
		return nil
	}
	return bytes.TrimSpace(out.Bytes())
}

// statusName is the name of a status code in Spinnaker's form; the code itself when
// it has none, and empty for no answer.
func statusName(code int) string {
	text := http.StatusText(code)
	if text == "" && code != 0 {
		return strconv.Itoa(code)
	}
	return strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_", "'", "").Replace(text))
}

// decoded reads a whole body as one JSON value, with numbers as they are written.
func decoded(body []byte) (any, bool) {
	if !utf8.Valid(body) {
		return nil, false
	}
	var out any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&out) != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return out, err == io.EOF
}
