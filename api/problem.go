package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// problemOf is the one table from kinds of error to HTTP. The code is the
// kind's name.
var problemOf = map[delivery.Kind]struct {
	status int
	title  string
}{
	delivery.Internal:    {http.StatusInternalServerError, "Internal error"},
	delivery.Invalid:     {http.StatusBadRequest, "The request is not valid"},
	delivery.NotFound:    {http.StatusNotFound, "Not found"},
	delivery.Conflict:    {http.StatusConflict, "The state does not allow it"},
	delivery.Denied:      {http.StatusForbidden, "Access is denied"},
	delivery.Throttled:   {http.StatusTooManyRequests, "Too many requests"},
	delivery.Transient:   {http.StatusServiceUnavailable, "Try again"},
	delivery.NotReady:    {http.StatusServiceUnavailable, "Not ready yet"},
	delivery.Quota:       {http.StatusConflict, "A limit is reached"},
	delivery.Fenced:      {http.StatusConflict, "Another deployment owns the cluster"},
	delivery.Guarded:     {http.StatusConflict, "Refused by the traffic guard"},
	delivery.Unavailable: {http.StatusServiceUnavailable, "Not available"},
}

// failure is an error whose status and code its kind does not say.
type failure struct {
	status   int
	code     string
	title    string
	message  string
	hint     string
	findings []delivery.Finding
}

func (f *failure) Error() string { return f.message }

// missing turns a NotFound into Spinnaker's text, and leaves other errors alone.
func missing(err error, what, id string) error {
	if err == nil || delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return &failure{status: http.StatusNotFound, code: delivery.NotFound.String(), title: problemOf[delivery.NotFound].title,
		message: what + " not found (id: " + id + ")"}
}

// invalid is an Invalid error about one place of the request, which its text names.
func invalid(pointer, message string) error {
	return &delivery.Error{Kind: delivery.Invalid, Findings: []delivery.Finding{{Pointer: pointer, Message: message}}}
}

// describe turns any error into the document that clients see.
func describe(err error) v1.Problem {
	var f *failure
	if errors.As(err, &f) {
		return v1.Problem{Status: f.status, Code: f.code, Title: f.title, Message: f.message, Hint: f.hint, Errors: fieldErrors(f.findings)}
	}
	kind := delivery.KindOf(err)
	row := problemOf[kind]
	p := v1.Problem{Status: row.status, Code: kind.String(), Title: row.title, Message: row.title, Errors: fieldErrors(delivery.FindingsOf(err))}
	switch kind {
	case delivery.Internal:
		p.Message, p.Errors = "Internal error", nil
		p.Hint = "the log has the reason under this requestId"
	case delivery.Denied:
		p.Errors = nil
	default:
		var e *delivery.Error
		if errors.As(err, &e) {
			p.Message = e.Error()
		}
		if row.status == http.StatusServiceUnavailable {
			p.Hint = "the same request may succeed a moment later"
		}
	}
	return p
}

func fieldErrors(findings []delivery.Finding) []v1.FieldError {
	if len(findings) == 0 {
		return nil
	}
	out := make([]v1.FieldError, len(findings))
	for i, f := range findings {
		out[i] = v1.FieldError{Pointer: f.Pointer, Message: f.Message}
	}
	return out
}

// renderProblem answers with the error's document.
func (s *Server) renderProblem(c *gin.Context, err error) {
	p := describe(err)
	p.Timestamp = s.now().UTC().Format(time.RFC3339Nano)
	p.Error = http.StatusText(p.Status)
	p.Type = "urn:slipway:problem:" + p.Code
	p.Detail = p.Message
	p.Instance = c.Request.URL.EscapedPath()
	p.RequestID = requestID(c)
	if wait := retryAfter(err); wait > 0 && p.Status != http.StatusInternalServerError {
		c.Header("Retry-After", strconv.Itoa(wait))
	}
	body, encodeErr := json.Marshal(p)
	if encodeErr != nil {
		body = []byte(`{"status":500,"error":"Internal Server Error","message":"Internal error","code":"internal"}`)
	}
	c.Data(p.Status, jsonType, body)
	c.Abort()
}

// retryAfter returns the seconds a client should wait; zero when nobody said.
func retryAfter(err error) int {
	var e *delivery.Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 {
		return 0
	}
	return int((e.RetryAfter + time.Second - 1) / time.Second)
}
