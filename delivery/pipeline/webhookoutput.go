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

// maxWebhookBody is how much of an answer's body is kept, in bytes.
const maxWebhookBody = 64 << 10

// WebhookAnswer is an answer as a stage puts it out, with Spinnaker's names.
type WebhookAnswer struct {
	// StatusCode is the code's name, such as "NOT_FOUND".
	StatusCode      string `json:"statusCode"`
	StatusCodeValue int    `json:"statusCodeValue"`
	// Body is a JSON value; a text when the answer was no JSON or was cut.
	Body json.RawMessage `json:"body,omitempty"`
	// BodyTruncated is true when the body was larger than what is kept.
	BodyTruncated bool `json:"bodyTruncated,omitempty"`
	// Error says why this answer ended the stage; empty for success.
	Error string `json:"error,omitempty"`
}

// WebhookOutput is the output "webhook" of a stage.
type WebhookOutput struct {
	WebhookAnswer
	// StatusEndpoint is where the stage looked for the status; empty for nowhere.
	StatusEndpoint string `json:"statusEndpoint,omitempty"`
	// Monitor is the last look.
	Monitor *WebhookLook `json:"monitor,omitempty"`
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
	// BuildInfo is the body of the last answer, where pipelines of Spinnaker find it.
	BuildInfo json.RawMessage `json:"buildInfo,omitempty"`
}

// NewWebhookAnswer returns an answer in the form in which it is put out.
func NewWebhookAnswer(a delivery.HTTPAnswer, v WebhookVerdict) WebhookAnswer {
	out := WebhookAnswer{StatusCodeValue: a.StatusCode, StatusCode: statusName(a.StatusCode)}
	if v.Next == WebhookFailed || v.Next == WebhookCanceled {
		out.Error = v.Reason
	}
	if len(a.Body) == 0 {
		return out
	}
	var whole bytes.Buffer
	_, isJSON := decoded(a.Body)
	if out.BodyTruncated = len(a.Body) > maxWebhookBody; isJSON && !out.BodyTruncated && json.Compact(&whole, a.Body) == nil {
		out.Body = whole.Bytes()
	} else {
		out.Body = jsonText(a.Body[:min(len(a.Body), maxWebhookBody)])
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
// it has none.
func statusName(code int) string {
	text := http.StatusText(code)
	if text == "" {
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
