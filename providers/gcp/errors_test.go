package gcp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// item is an error in the format of Compute Engine.
func item(code int, reason, message string) error {
	return &googleapi.Error{Code: code, Message: message, Errors: []googleapi.ErrorItem{{Reason: reason, Message: message}}}
}

// document is an error in the format of Cloud Run, as the SDK wraps it.
func document(code int, status, details string) error {
	body := fmt.Sprintf(`{"error":{"code":%d,"message":"no","status":%q,"details":[%s]}}`, code, status, details)
	wrapped, _ := apierror.FromError(&googleapi.Error{Code: code, Message: "no", Body: body})
	return wrapped
}

func info(reason string) string {
	return fmt.Sprintf(`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":%q,"domain":"googleapis.com"}`, reason)
}

func TestClassify(t *testing.T) {
	limited, _ := status.New(codes.ResourceExhausted, "slow").WithDetails(&errdetails.ErrorInfo{Reason: "RATE_LIMIT_EXCEEDED"})
	for _, test := range []struct {
		name string
		err  error
		want delivery.Kind
	}{
		{"compute throttles with 403", item(403, "rateLimitExceeded", "Rate Limit Exceeded"), delivery.Throttled},
		{"a quota per minute", item(403, "quotaExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'"), delivery.Throttled},
		{"a quota of resources", item(403, "quotaExceeded", "Quota 'CPUS' exceeded. Limit: 24.0 in region us-central1."), delivery.Quota},
		{"concurrent operations", document(403, "PERMISSION_DENIED", info("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED")), delivery.Throttled},
		{"the telling reason beside the general one", &googleapi.Error{Code: 403, Errors: []googleapi.ErrorItem{{Reason: "forbidden"}},
			Body: `{"error":{"code":403,"details":[` + info("RATE_LIMIT_EXCEEDED") + `]}}`}, delivery.Throttled},
		{"denied", item(403, "forbidden", "Required 'compute.urlMaps.update' permission"), delivery.Denied},
		{"not logged in", item(401, "required", "Login Required."), delivery.Denied},
		{"not ready", item(400, "resourceNotReady", "The resource is not ready"), delivery.NotReady},
		{"in use", item(400, "resourceInUseByAnotherResource", "already being used"), delivery.NotReady},
		{"operation in progress", item(409, "operationInProgress", "in progress"), delivery.NotReady},
		{"fingerprint", item(412, "conditionNotMet", "Invalid fingerprint."), delivery.Conflict},
		{"exists", item(409, "alreadyExists", "already exists"), delivery.Conflict},
		{"not found", item(404, "notFound", "was not found"), delivery.NotFound},
		{"invalid", item(400, "invalid", "Invalid value for field"), delivery.Invalid},
		{"field missing", item(400, "required", "Required field"), delivery.Invalid},
		{"backend error", item(503, "backendError", ""), delivery.Transient},
		{"run: etag", document(409, "ABORTED", ""), delivery.Conflict},
		{"run: exists", document(409, "ALREADY_EXISTS", ""), delivery.Conflict},
		{"run: refused in this state", document(400, "FAILED_PRECONDITION", ""), delivery.Conflict},
		{"run: invalid", document(400, "INVALID_ARGUMENT", ""), delivery.Invalid},
		{"run: denied", document(403, "PERMISSION_DENIED", info("IAM_PERMISSION_DENIED")), delivery.Denied},
		{"run: not found", document(404, "NOT_FOUND", ""), delivery.NotFound},
		{"run: throttled", document(429, "RESOURCE_EXHAUSTED", ""), delivery.Throttled},
		{"run: a reason nobody knows", document(409, "ABORTED", info("STRANGE")), delivery.Conflict},
		{"run: a quota of resources", &googleapi.Error{Code: 429, Message: "Quota exceeded for total allowable CPU per project per region.",
			Body: `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}`}, delivery.Quota},
		{"run: unavailable", document(503, "UNAVAILABLE", ""), delivery.Transient},
		{"grpc: throttled", limited.Err(), delivery.Throttled},
		{"grpc: denied", status.Error(codes.PermissionDenied, ""), delivery.Denied},
		{"grpc: unavailable", status.Error(codes.Unavailable, ""), delivery.Transient},
		{"grpc: deadline", status.Error(codes.DeadlineExceeded, ""), delivery.Transient},
		{"grpc: not found", status.Error(codes.NotFound, ""), delivery.NotFound},
		{"operation: quota", &gcp.OperationError{Reason: "QUOTA_EXCEEDED", Message: "Quota 'CPUS' exceeded."}, delivery.Quota},
		{"operation: no machines", fmt.Errorf("operation: %w", &gcp.OperationError{Reason: "ZONE_RESOURCE_POOL_EXHAUSTED"}), delivery.Quota},
		{"operation: in use", &gcp.OperationError{Reason: "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"}, delivery.NotReady},
		{"operation: unknown", &gcp.OperationError{Reason: "STRANGE"}, delivery.Internal},
		{"no reason, 400", &googleapi.Error{Code: 400}, delivery.Invalid},
		{"no reason, 403", &googleapi.Error{Code: 403}, delivery.Denied},
		{"no reason, 404", &googleapi.Error{Code: 404}, delivery.NotFound},
		{"no reason, 408", &googleapi.Error{Code: 408}, delivery.Transient},
		{"no reason, 409", &googleapi.Error{Code: 409}, delivery.Conflict},
		{"no reason, 412", &googleapi.Error{Code: 412}, delivery.Conflict},
		{"no reason, 429", &googleapi.Error{Code: 429}, delivery.Throttled},
		{"no reason, 502", &googleapi.Error{Code: 502, Body: "<html>"}, delivery.Transient},
		{"deadline", fmt.Errorf("call: %w", context.DeadlineExceeded), delivery.Transient},
		{"canceled", context.Canceled, delivery.Transient},
		{"cut off", io.ErrUnexpectedEOF, delivery.Transient},
		{"connection", &url.Error{Op: "Get", URL: "http://x", Err: errors.New("connection reset by peer")}, delivery.Transient},
		{"no address", &url.Error{Op: "parse", URL: ":", Err: errors.New("missing protocol scheme")}, delivery.Internal},
		{"ours", delivery.Errorf(delivery.Guarded, "refused"), delivery.Guarded},
		{"something else", errors.New("what"), delivery.Internal},
	} {
		got := gcp.Classify(test.err, "do %s", "it")
		if delivery.KindOf(got) != test.want {
			t.Errorf("%s: %v; want %v", test.name, delivery.KindOf(got), test.want)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%s: the cause is lost", test.name)
		}
	}
	if gcp.Classify(nil, "do it") != nil {
		t.Error("nil became an error")
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"rateLimitExceeded": item(403, "rateLimitExceeded", ""),
		"conditionNotMet":   gcp.Classify(item(412, "conditionNotMet", ""), "patch it"),
		"ABORTED":           fmt.Errorf("call: %w", document(409, "ABORTED", "")),
		"STRANGE":           document(409, "ABORTED", info("STRANGE")),
		"forbidden":         item(403, "forbidden", ""),
		"UNAVAILABLE":       status.Error(codes.Unavailable, ""),
		"QUOTA_EXCEEDED":    &gcp.OperationError{Reason: "QUOTA_EXCEEDED"},
		"":                  errors.New("x"),
	} {
		if got := gcp.Reason(err); got != want {
			t.Errorf("%v: %q; want %q", err, got, want)
		}
	}
	if gcp.Reason(nil) != "" {
		t.Error("nil has a reason")
	}
}

func TestClassifyKeepsCodeAndPause(t *testing.T) {
	for name, err := range map[string]error{
		"header": &googleapi.Error{Code: 503, Header: http.Header{"Retry-After": {"7"}}, Errors: []googleapi.ErrorItem{{Reason: "backendError"}}},
		"detail": func() error {
			s, _ := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
			return s.Err()
		}(),
	} {
		var got *delivery.Error
		if !errors.As(gcp.Classify(err, "get %s", "x"), &got) {
			t.Fatal("no delivery.Error")
		}
		if got.Code == "" || got.RetryAfter != 7*time.Second || got.Message != "get x" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestThroughTheClients lets a server answer the real clients.
func TestThroughTheClients(t *testing.T) {
	answers := make(chan func(http.ResponseWriter), 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { (<-answers)(w) }))
	t.Cleanup(server.Close)
	session, err := gcp.Open(t.Context(), gcp.Options{Account: "sim", Project: "p", Endpoint: server.URL, AccessToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	maps, err := compute.NewRegionUrlMapsRESTClient(t.Context(), session.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	services, err := run.NewServicesRESTClient(t.Context(), session.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	say := func(code int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	for _, test := range []struct {
		name         string
		answer       func(http.ResponseWriter)
		compute, run delivery.Kind
	}{
		{"throttled", say(403, `{"error":{"code":403,"message":"Rate Limit Exceeded","errors":[{"reason":"rateLimitExceeded","domain":"usageLimits","message":"Rate Limit Exceeded"}]}}`), delivery.Throttled, delivery.Throttled},
		{"aborted", say(409, `{"error":{"code":409,"message":"Conflict for resource","status":"ABORTED"}}`), delivery.Conflict, delivery.Conflict},
		{"failed precondition", say(400, `{"error":{"code":400,"message":"no","status":"FAILED_PRECONDITION"}}`), delivery.Conflict, delivery.Conflict},
		{"a proxy's page", say(502, `<html>bad gateway</html>`), delivery.Transient, delivery.Transient},
		{"half a document", say(200, `{"name":`), delivery.Transient, delivery.Transient},
		{"a broken connection", func(w http.ResponseWriter) {
			c, _, _ := http.NewResponseController(w).Hijack()
			c.Close()
		}, delivery.Transient, delivery.Transient},
		{"a body cut off", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"name":`)
		}, delivery.Transient, delivery.Transient},
	} {
		answers <- test.answer
		_, err := maps.Patch(t.Context(), &computepb.PatchRegionUrlMapRequest{Project: "p", Region: "r", UrlMap: "m", UrlMapResource: &computepb.UrlMap{}})
		if got := delivery.KindOf(gcp.Classify(err, "patch it")); err == nil || got != test.compute {
			t.Errorf("compute, %s: %v (%v)", test.name, got, err)
		}
		answers <- test.answer
		_, err = services.GetService(t.Context(), &runpb.GetServiceRequest{Name: "projects/p/locations/r/services/s"})
		if got := delivery.KindOf(gcp.Classify(err, "get it")); err == nil || got != test.run {
			t.Errorf("run, %s: %v (%v)", test.name, got, err)
		}
	}
}
