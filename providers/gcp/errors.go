package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// OperationError is the failure of an operation that was begun with success: it
// stands in the operation, not in the answer to the call.
type OperationError struct {
	// Reason is its code, for example "QUOTA_EXCEEDED".
	Reason  string
	Message string
}

// Error returns the reason and the message.
func (e *OperationError) Error() string { return e.Reason + ": " + e.Message }

// Classify gives an error of the SDK its kind: by reason first, by message only
// for reasons that cover two kinds, then by HTTP status. doing is verb and
// object, for example "create backend service shop-v001". nil stays nil.
func Classify(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return &delivery.Error{
		Kind: kindOf(err), Message: fmt.Sprintf(doing, args...), Code: Reason(err), RetryAfter: retryAfter(err), Cause: err,
	}
}

// Reason returns the most telling reason in err's chain, for example
// "rateLimitExceeded" or "ABORTED"; empty for none.
func Reason(err error) string {
	var own *delivery.Error
	if errors.As(err, &own) {
		return own.Code
	}
	found := reasons(err)
	for _, reason := range found {
		if !slices.Contains(general[:], reason) {
			return reason
		}
	}
	if len(found) > 0 {
		return found[0]
	}
	return ""
}

// general are the reasons that a more telling one may stand beside.
var general = [...]string{"badRequest", "conflict", "forbidden", "invalid", "backendError"}

// reasons returns all reasons in err's chain, in the order of their worth: the
// items of Google's old error format, the ErrorInfo of the new one, the status.
// The old one has no status, the new one no items, and some answers have all.
func reasons(err error) []string {
	var out []string
	add := func(reason string) {
		if reason != "" {
			out = append(out, reason)
		}
	}
	var operation *OperationError
	if errors.As(err, &operation) {
		add(operation.Reason)
	}
	var answer *googleapi.Error
	isHTTP := errors.As(err, &answer)
	if isHTTP {
		for _, item := range answer.Errors {
			add(item.Reason)
		}
	}
	if api := parsed(err); api != nil {
		add(api.Reason())
	}
	if isHTTP {
		add(statusOfBody(answer.Body))
	} else if s, ok := status.FromError(err); ok {
		add(statusNames[s.Code()])
	}
	return out
}

// parsed returns the details of an answer; nil for none. The SDK's own wrapping
// has them; parsing it again would lose those of an HTTP answer.
func parsed(err error) *apierror.APIError {
	var api *apierror.APIError
	if errors.As(err, &api) {
		return api
	}
	api, _ = apierror.ParseError(err, false)
	return api
}

// statusOfBody reads the status of an error document, which the SDK drops; empty
// for another document.
func statusOfBody(body string) string {
	var document struct {
		Error struct {
			Status string `json:"status"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(body), &document) != nil {
		return ""
	}
	return document.Error.Status
}

func kindOf(err error) delivery.Kind {
	var own *delivery.Error
	if errors.As(err, &own) {
		return own.Kind
	}
	var answer *googleapi.Error
	isHTTP := errors.As(err, &answer)
	if isHTTP && answer.Code == http.StatusUnauthorized {
		return delivery.Denied // its reason is "required": a login is, no field
	}
	if kind, ok := kindOfReasons(reasons(err), err.Error()); ok {
		return kind
	}
	switch {
	case isHTTP:
		return kindOfStatus(answer.Code)
	case isOperation(err):
		return delivery.Internal
	case unreachable(err), errors.Is(err, proto.Error):
		// The latter is a broken document under a 200: whether the call had its
		// effect is unknown.
		return delivery.Transient
	default:
		return delivery.Internal
	}
}

// kindOfReasons returns the kind of the first telling reason that the table
// knows, else that of the first general one.
func kindOfReasons(found []string, text string) (kind delivery.Kind, ok bool) {
	for _, reason := range found {
		if kind, ok := kindOfText(reason, text); ok {
			return kind, true
		}
		known, listed := kinds[reason]
		if listed && !slices.Contains(general[:], reason) {
			return known, true
		}
		if listed && !ok {
			kind, ok = known, true
		}
	}
	return kind, ok
}

func isOperation(err error) bool {
	var operation *OperationError
	return errors.As(err, &operation)
}

// unreachable reports whether no whole answer came, so that nothing is known
// about the call's effect.
func unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		return sent.Op != "parse"
	}
	// Every errno is a net.Error, a missing file's too.
	var operation *net.OpError
	var network net.Error
	return errors.As(err, &operation) || errors.As(err, &network) && network.Timeout()
}

func kindOfStatus(status int) delivery.Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return delivery.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return delivery.Denied
	case status == http.StatusNotFound:
		return delivery.NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return delivery.Conflict
	case status == http.StatusRequestTimeout, status >= 500:
		return delivery.Transient
	case status >= 400:
		return delivery.Invalid
	default:
		return delivery.Transient
	}
}

// retryAfter reads the Retry-After header in its form of seconds, or a RetryInfo;
// zero when the other side sent neither.
func retryAfter(err error) time.Duration {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		if seconds, parseErr := strconv.Atoi(answer.Header.Get("Retry-After")); parseErr == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
	}
	if api := parsed(err); api != nil && api.Details().RetryInfo != nil {
		return max(api.Details().RetryInfo.GetRetryDelay().AsDuration(), 0)
	}
	return 0
}

// kindOfText decides the reasons that cover two kinds.
func kindOfText(reason, text string) (delivery.Kind, bool) {
	if !slices.Contains([]string{"quotaExceeded", "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "forbidden"}, reason) {
		return 0, false
	}
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "quota exceeded for quota metric") && strings.Contains(lower, "per minute"):
		return delivery.Throttled, true
	case strings.Contains(lower, "total allowable"): // Cloud Run: "Quota exceeded for total allowable CPU per project per region."
		return delivery.Quota, true
	default:
		return 0, false
	}
}

// statusNames are the names of gRPC codes in error documents
// (google/rpc/code.proto).
var statusNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}
