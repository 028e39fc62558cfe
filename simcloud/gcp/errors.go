package gcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/genproto/googleapis/rpc/code"
)

// apiError is an answer that is none: what Google's APIs send in place of a result.
type apiError struct {
	status int
	// reason is Compute's word, such as "notFound"; empty where the API has none.
	reason string
	// domain goes with reason; "global" when empty.
	domain string
	// grpc is the canonical code, such as "NOT_FOUND"; by the status when empty.
	grpc    string
	message string
	// errorInfo is the reason of a google.rpc.ErrorInfo detail; empty for none.
	errorInfo string
}

func (e *apiError) Error() string { return e.message }

// name is what events call the error: Compute's reason, the code of the newer APIs.
func (e *apiError) name(service string) string {
	if e.reason != "" && service == serviceCompute {
		return e.reason
	}
	return e.canonical()
}

func (e *apiError) canonical() string {
	if e.grpc != "" {
		return e.grpc
	}
	switch e.status {
	case http.StatusBadRequest:
		return "INVALID_ARGUMENT"
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusConflict:
		return "ALREADY_EXISTS"
	case http.StatusPreconditionFailed:
		return "FAILED_PRECONDITION"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusNotImplemented:
		return "UNIMPLEMENTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	default:
		return "INTERNAL"
	}
}

// isCanonical tells whether a text is the name of a canonical code (google.rpc.Code).
func isCanonical(text string) bool {
	_, ok := code.Code_value[text]
	return ok
}

func badRequest(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: "badRequest", message: fmt.Sprintf(format, args...)}
}

// invalidValue is Compute's refusal of a field.
func invalidValue(path, value, why string) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: "invalid", message: fmt.Sprintf("Invalid value for field '%s': '%s'. %s", path, value, why)}
}

// notFound is Compute's answer for what does not exist. path is without the host.
func notFound(path string) *apiError {
	return &apiError{status: http.StatusNotFound, reason: "notFound", message: fmt.Sprintf("The resource '%s' was not found", path)}
}

func alreadyExists(path string) *apiError {
	return &apiError{status: http.StatusConflict, reason: "alreadyExists", message: fmt.Sprintf("The resource '%s' already exists", path)}
}

// asAPIError makes anything that a handler returned an answer.
func asAPIError(err error) *apiError {
	var refusal *apiError
	if errors.As(err, &refusal) {
		return refusal
	}
	return &apiError{status: http.StatusInternalServerError, reason: "internalError", message: err.Error()}
}

// Bodies of errors: Compute lists errors with reason and domain, newer APIs have a status and typed details
// (cloud.google.com/apis/design/errors). What Compute's front end refuses has all of them (recorded in trailofbits/algo issue
// 14854).
type errorBody struct {
	Error errorValue `json:"error"`
}

type errorValue struct {
	Code    int           `json:"code"`
	Message string        `json:"message"`
	Errors  []errorItem   `json:"errors,omitempty"`
	Status  string        `json:"status,omitempty"`
	Details []errorDetail `json:"details,omitempty"`
}

type errorItem struct {
	Message string `json:"message"`
	Domain  string `json:"domain"`
	Reason  string `json:"reason"`
}

type errorDetail struct {
	Type   string `json:"@type"`
	Reason string `json:"reason"`
	Domain string `json:"domain"`
}

func writeError(w http.ResponseWriter, service string, e *apiError) error {
	body := errorBody{errorValue{Code: e.status, Message: e.message}}
	if service == serviceCompute {
		domain, reason := e.domain, e.reason
		if domain == "" {
			domain = "global"
		}
		if reason == "" {
			reason = "backendError"
		}
		body.Error.Errors = []errorItem{{e.message, domain, reason}}
	}
	if service != serviceCompute || e.errorInfo != "" {
		body.Error.Status = e.canonical()
	}
	if e.errorInfo != "" {
		body.Error.Details = []errorDetail{{"type.googleapis.com/google.rpc.ErrorInfo", e.errorInfo, service + ".googleapis.com"}}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(e.status)
	_, err = w.Write(data)
	return err
}
