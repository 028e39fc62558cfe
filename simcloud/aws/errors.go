package aws

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
)

// apiError is an answer that says no, with the code and status AWS uses.
type apiError struct {
	status  int
	code    string
	message string
}

// Error returns code and message.
func (e *apiError) Error() string { return e.code + ": " + e.message }

func errf(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// refuse is a 400 with a code.
func refuse(code, format string, args ...any) *apiError {
	return errf(http.StatusBadRequest, code, format, args...)
}

// asAPIError turns any error of a handler into an answer.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return errf(http.StatusInternalServerError, "InternalFailure", "%s", err)
}

// unsimulated answers a request that uses a member the simulator accepts on the
// wire and does not simulate. AWS has no such answer.
func unsimulated(action, member string) *apiError {
	return refuse("UnsupportedOperation", "simulator: member %s of %s is not simulated", member, action)
}

// missing is the answer to a required member that is absent. EC2's form is in
// its error reference (MissingParameter); the query services answer as in
// "1 validation error detected: Value null at 'x' failed to satisfy constraint".
func (s *service) missing(member string) *apiError {
	if s.protocol == ec2Query {
		return refuse("MissingParameter", "The request must contain the parameter %s", member)
	}
	return refuse(s.validation, "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null",
		lowerFirst(member))
}

// unknown refuses a member that the action does not have. EC2 answers so; the
// query services ignore such members, which would hide a client's mistake here.
func (s *service) unknown(member string) *apiError {
	if s.protocol == ec2Query {
		return refuse("UnknownParameter", "The parameter %s is not recognized", member)
	}
	return refuse(s.validation, "simulator: the member %s does not exist", member)
}

func (s *service) malformed(member, value string, want reflect.Kind) *apiError {
	if s.protocol == ec2Query {
		return refuse("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, member)
	}
	return refuse("MalformedInput", "The value %q of %s is no %s", value, member, want)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]|0x20) + s[1:]
}
