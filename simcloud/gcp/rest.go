package gcp

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// ServeHTTP answers one request of any of the APIs that speak REST.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := time.Now()
	e := &exchange{cloud: c, path: withoutVersion(r.URL.Path)}
	output, refusal := e.answer(r)
	e.record(refusal)
	if !wait(r.Context(), c.options.Latency-time.Since(asked)) || e.broken {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	if err := e.write(w, output, refusal); err != nil {
		c.options.Logger.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

// withoutVersion is the name of the resource in a path of any API.
func withoutVersion(path string) string {
	for _, prefix := range []string{"/compute/v1/", "/v1/", "/v2/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return rest
		}
	}
	return strings.TrimPrefix(path, "/")
}

// wait lets real time pass, and reports false when the context ends before.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *exchange) answer(r *http.Request) (proto.Message, *apiError) {
	route, variables := e.cloud.router.find(r.Method, r.URL.EscapedPath())
	if route == nil {
		return nil, &apiError{status: http.StatusNotFound, reason: "notFound", message: "The requested URL " + r.URL.Path + " was not found on this server."}
	}
	e.method = route.method
	if refusal := e.authenticate(r.Header.Get("Authorization")); refusal != nil {
		return nil, refusal
	}
	var refusal *apiError
	if e.request, refusal = route.decode(r, variables); refusal != nil {
		return nil, refusal
	}
	if refusal = e.request.check(); refusal != nil {
		return nil, refusal
	}
	return e.carryOut(r.Context())
}

func (e *exchange) write(w http.ResponseWriter, output proto.Message, refusal *apiError) error {
	if refusal != nil {
		service := serviceCompute
		if e.method != nil {
			service = e.method.service
		}
		return writeError(w, service, refusal)
	}
	data, err := e.request.encode(output)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, err = w.Write(data)
	return err
}
