package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// WebhookNext is what an answer means for a webhook stage.
type WebhookNext string

// What may follow an answer.
const (
	WebhookSucceeded WebhookNext = "succeeded"
	WebhookFailed    WebhookNext = "failed"
	// WebhookCanceled is a status among the canceledStatuses.
	WebhookCanceled WebhookNext = "canceled"
	// WebhookAgain is to make the same call once more, a while later.
	WebhookAgain WebhookNext = "again"
	// WebhookMonitored is to look at StatusURL until the system is done.
	WebhookMonitored WebhookNext = "monitored"
)

// FailureWebhook is the kind of the failure of a stage whose call was answered.
const FailureWebhook = "webhook"

// WebhookVerdict is what an answer, or its absence, means.
type WebhookVerdict struct {
	Next WebhookNext `json:"next"`
	// Kind is the kind of the failure when the stage failed.
	Kind string `json:"kind,omitempty"`
	// Final is true when the author of the stage wants it to fail and not to be tried again.
	Final bool `json:"final,omitempty"`
	// Reason says in words for people why the stage failed, was canceled or goes on.
	Reason string `json:"reason,omitempty"`
	// StatusURL is set when the stage is to be monitored.
	StatusURL string `json:"statusUrl,omitempty"`
	// Percent is the status where it is a number, and Progress the text at
	// ProgressPath.
	Percent  *float64 `json:"percent,omitempty"`
	Progress string   `json:"progress,omitempty"`
	// After is the pause that the other side asked for; zero when it did not.
	After time.Duration `json:"after,omitempty"`
}

// Called says what the answer to the stage's call means.
func (w Webhook) Called(a delivery.HTTPAnswer) WebhookVerdict {
	switch {
	case slices.Contains(w.FailFast, a.StatusCode):
		verdict := failed("%s, after which the stage fails", status(a))
		verdict.Final = true
		return verdict
	case succeeds(a.StatusCode) && w.Monitor == nil:
		return WebhookVerdict{Next: WebhookSucceeded}
	case succeeds(a.StatusCode):
		return w.monitored(a)
	case w.repeated(a.StatusCode):
		return again(a)
	default:
		return failed("%s", status(a))
	}
}

// repeated reports whether the call is repeated after an answer with an error. One
// that may have had an effect is repeated only where the answer says that it had none.
func (w Webhook) repeated(code int) bool {
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable || slices.Contains(w.Retry, code) {
		return true
	}
	return code >= 500 && w.Request.idempotent()
}

// idempotent reports whether two calls have the effect of one (RFC 9110 section 9.2.2).
func (r WebhookRequest) idempotent() bool { return r.Method != "POST" && r.Method != "PATCH" }

// Uncalled says what it means that the stage's call has no answer.
func (w Webhook) Uncalled(err error) WebhookVerdict {
	var e *delivery.Error
	switch kind := delivery.KindOf(err); {
	case !kind.Retryable():
		return refused(err)
	case errors.As(err, &e) && e.Code == delivery.CodeNotSent, w.Request.idempotent():
		return WebhookVerdict{Next: WebhookAgain, Reason: err.Error()}
	default:
		verdict := refused(err)
		verdict.Reason += "; whether the call had an effect is not known"
		return verdict
	}
}

// monitored finds the URL that tells the status.
func (w Webhook) monitored(a delivery.HTTPAnswer) WebhookVerdict {
	var found, missing string
	switch w.Monitor.Where {
	case StatusURLFromLocation:
		found, missing = http.Header(a.Header).Get("Location"), "the answer has no header Location"
	case StatusURLFromAnswer:
		missing = fmt.Sprintf("the answer has no text at %s", w.Monitor.URLPath)
		if document, ok := decoded(a.Body); ok {
			value, _ := w.Monitor.URLPath.Find(document)
			found, _ = value.(string)
		}
	default:
		found = w.Request.URL
	}
	base, err := url.Parse(w.Request.URL)
	if err != nil || found == "" {
		return failed("the URL of the status is not known: %s", missing)
	}
	// A Location may be relative to what was called (RFC 9110 section 10.2.2).
	to, err := base.Parse(found)
	if err == nil {
		_, err = delivery.ParseHTTPURL(to.String())
	}
	if err != nil {
		return failed("the URL of the status is not valid: %v", err)
	}
	return WebhookVerdict{Next: WebhookMonitored, StatusURL: to.String()}
}

// Looked says what the answer to a look at the status means.
func (w Webhook) Looked(a delivery.HTTPAnswer) WebhookVerdict {
	m := w.Monitor
	switch {
	case a.StatusCode >= 500, a.StatusCode == http.StatusTooManyRequests, slices.Contains(w.Retry, a.StatusCode):
		return again(a)
	case !succeeds(a.StatusCode):
		return failed("the look at the status failed: %s", status(a))
	case m.StatusPath == nil:
		return WebhookVerdict{Next: WebhookSucceeded}
	}
	document, ok := decoded(a.Body)
	if !ok {
		return failed("the status is not known: the answer is not JSON")
	}
	value, ok := m.StatusPath.Find(document)
	if !ok {
		return failed("the status is not known: the answer has nothing at %s", m.StatusPath)
	}
	verdict := m.meaning(value)
	verdict.After = a.RetryAfter
	if m.ProgressPath != nil {
		progress, _ := m.ProgressPath.Find(document)
		verdict.Progress, _ = wordOf(progress)
	}
	return verdict
}

// meaning says what a status means. A number is a percentage, of which 100 is the end.
func (m *WebhookMonitor) meaning(value any) WebhookVerdict {
	word, ok := wordOf(value)
	if !ok {
		return failed("the status is not known: the value at %s is neither a text nor a number", m.StatusPath)
	}
	verdict := WebhookVerdict{Next: WebhookAgain, Reason: "the status is " + clipped(word)}
	number, isNumber := value.(json.Number)
	if isNumber {
		if percent, err := number.Float64(); err == nil {
			verdict.Percent = &percent
		}
	}
	switch upper := strings.ToUpper(strings.TrimSpace(word)); {
	case slices.Contains(m.Success, upper), verdict.Percent != nil && *verdict.Percent == 100:
		verdict.Next, verdict.Reason = WebhookSucceeded, ""
	case slices.Contains(m.Canceled, upper):
		verdict.Next = WebhookCanceled
	case slices.Contains(m.Terminal, upper):
		verdict.Next, verdict.Kind = WebhookFailed, FailureWebhook
	}
	return verdict
}

// Unlooked says what it means that a look has no answer: the next one may have one.
func (w Webhook) Unlooked(err error) WebhookVerdict {
	if !delivery.KindOf(err).Retryable() {
		return refused(err)
	}
	return WebhookVerdict{Next: WebhookAgain, Reason: err.Error()}
}

// refused is a failure without an answer.
func refused(err error) WebhookVerdict {
	return WebhookVerdict{Next: WebhookFailed, Kind: delivery.KindOf(err).String(), Reason: err.Error()}
}

func failed(format string, args ...any) WebhookVerdict {
	return WebhookVerdict{Next: WebhookFailed, Kind: FailureWebhook, Reason: fmt.Sprintf(format, args...)}
}

func again(a delivery.HTTPAnswer) WebhookVerdict {
	return WebhookVerdict{Next: WebhookAgain, Reason: status(a), After: a.RetryAfter}
}

// succeeds counts a redirect that nobody follows as success, as Spinnaker does.
func succeeds(code int) bool { return code >= 200 && code < 400 }

// status is an answer's status for people.
func status(a delivery.HTTPAnswer) string {
	return strings.TrimSpace("the answer is " + strconv.Itoa(a.StatusCode) + " " + http.StatusText(a.StatusCode))
}

// wordOf is the text of a text, a number or a boolean.
func wordOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// maxWord is how much of a foreign text an error shows, in bytes.
const maxWord = 200

func clipped(text string) string {
	if len(text) <= maxWord {
		return text
	}
	return strings.ToValidUTF8(text[:maxWord], "") + "..."
}

// Standing is how far the other system has come, for telling whether that changed;
// empty when it does not say.
func (v WebhookVerdict) Standing() string {
	if v.Percent == nil && v.Progress == "" {
		return ""
	}
	percent := ""
	if v.Percent != nil {
		percent = strconv.FormatFloat(*v.Percent, 'g', -1, 64)
	}
	return percent + " " + clipped(v.Progress)
}
