package simcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// ControlOptions connect the control API with the process that serves it.
type ControlOptions struct {
	// Audit is what GET /audit judges by.
	Audit AuditConfig
	// Heartbeat is called for POST /heartbeat, Stop for POST /stop just before it is answered. Either may be nil.
	Heartbeat, Stop func()
}

// controlBodyLimit bounds the bodies that the control API reads.
const controlBodyLimit = 1 << 20

// waitLimit bounds how long GET /log waits for events, in real time.
const waitLimit = time.Minute

// Control returns the handler of the control API of a world. It changes the world for whoever can reach it, so serve it on
// loopback only; requests that a browser sends for another site are refused.
func Control(world *World, options ControlOptions) http.Handler {
	c := &control{world: world, options: options}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (int, any, error){
		"GET /faults":                 c.listFaults,
		"POST /faults":                c.addFault,
		"DELETE /faults":              c.clearFaults,
		"DELETE /faults/{id}":         c.removeFault,
		"GET /instances":              c.listInstances,
		"POST /instances/{id}/kill":   c.killInstance,
		"POST /instances/{id}/crash":  c.crashInstance,
		"POST /instances/{id}/health": c.setHealth,
		"GET /images":                 c.listImages,
		"POST /images":                c.publishImage,
		"GET /clock":                  c.showClock,
		"POST /clock/advance":         c.advanceClock,
		"GET /log":                    c.showLog,
		"GET /audit":                  c.audit,
		"POST /audit":                 c.auditBy,
		"POST /audit/terminal":        c.endDeployment,
		"GET /state":                  c.showState,
		"POST /heartbeat":             c.heartbeat,
		"POST /stop":                  c.stop,
	} {
		mux.HandleFunc(pattern, c.answer(handle))
	}
	return guard(mux)
}

type control struct {
	world   *World
	options ControlOptions
}

// badRequest is an error of the client; its text names the field.
type badRequest struct{ text string }

func (e badRequest) Error() string { return e.text }

// notFound is an error about something that does not exist.
type notFound struct{ text string }

func (e notFound) Error() string { return e.text }

// problem is the body of an error.
type problem struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// guard refuses requests that a web page of another site could make a browser send.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip := net.ParseIP(host)
		if r.Header.Get("Origin") != "" || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			reply(w, http.StatusForbidden, problem{http.StatusForbidden, "the control API answers local clients only, no web pages"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *control) answer(handle func(*http.Request) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, body, err := handle(r)
		var bad badRequest
		var missing notFound
		switch {
		case err == nil:
		case errors.As(err, &bad):
			status, body = http.StatusBadRequest, problem{http.StatusBadRequest, err.Error()}
		case errors.As(err, &missing):
			status, body = http.StatusNotFound, problem{http.StatusNotFound, err.Error()}
		default:
			status, body = http.StatusInternalServerError, problem{http.StatusInternalServerError, err.Error()}
		}
		reply(w, status, body)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body)
}

// bind reads a JSON body strictly; an empty body leaves into as it is.
func bind(r *http.Request, into any) error {
	decoder := json.NewDecoder(io.LimitReader(r.Body, controlBodyLimit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &mismatch):
		return badRequest{fmt.Sprintf("%s: must be %s, not %s", mismatch.Field, mismatch.Type, mismatch.Value)}
	default:
		return badRequest{"body: " + err.Error()}
	}
}

// span is a duration on the wire: a string such as "1m30s".
type span time.Duration

func (s span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).String()) }

func (s *span) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration must be a string such as \"1m30s\", not %s", data)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"1m30s\"", text)
	}
	*s = span(d)
	return nil
}

type clockBody struct {
	Now   time.Time `json:"now"`
	Scale float64   `json:"scale"`
}

func (c *control) showClock(*http.Request) (int, any, error) {
	return http.StatusOK, clockBody{c.world.Clock.Now(), c.world.Clock.Scale()}, nil
}

func (c *control) advanceClock(r *http.Request) (int, any, error) {
	var body struct {
		By span `json:"by"`
	}
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	if body.By <= 0 {
		return 0, nil, badRequest{"by: must be a positive duration such as \"10m\""}
	}
	c.world.Clock.Advance(time.Duration(body.By))
	return c.showClock(r)
}

type logBody struct {
	Events  []Event `json:"events"`
	Last    int64   `json:"last"`
	Dropped int64   `json:"dropped"`
}

// showLog answers events above ?after=, at most ?limit= (1000), waiting for the first for at most ?wait= of real time.
func (c *control) showLog(r *http.Request) (int, any, error) {
	after, err := number(r, "after", 0)
	if err != nil {
		return 0, nil, err
	}
	limit, err := number(r, "limit", 1000)
	if err != nil {
		return 0, nil, err
	}
	var wait time.Duration
	if text := r.URL.Query().Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil {
			return 0, nil, badRequest{fmt.Sprintf("wait: %q is not a duration such as \"10s\"", text)}
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, waitLimit))
	defer cancel()
	events := c.world.Log.After(after, int(limit))
	if len(events) == 0 && wait > 0 {
		stop := context.AfterFunc(c.world.life, cancel)
		defer stop()
		events, _ = c.world.Log.Wait(ctx, after, int(limit)) // an end of the wait is an empty answer
	}
	if events == nil {
		events = []Event{}
	}
	return http.StatusOK, logBody{events, c.world.Log.Last(), c.world.Log.Dropped()}, nil
}

func number(r *http.Request, name string, otherwise int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest{fmt.Sprintf("%s: %q is not a number from 0", name, text)}
	}
	return n, nil
}

func (c *control) heartbeat(*http.Request) (int, any, error) {
	if c.options.Heartbeat != nil {
		c.options.Heartbeat()
	}
	return http.StatusNoContent, nil, nil
}

func (c *control) stop(*http.Request) (int, any, error) {
	if c.options.Stop != nil {
		c.options.Stop()
	}
	return http.StatusAccepted, struct {
		Message string `json:"message"`
	}{"stopping"}, nil
}
