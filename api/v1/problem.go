package v1

// Problem is the one shape of every error answer: Spring's four fields, which
// Spinnaker's clients know, together with those of RFC 9457.
type Problem struct {
	// Timestamp is RFC 3339 in UTC.
	Timestamp string `json:"timestamp"`
	// Status is the HTTP status, the same as in the status line.
	Status int `json:"status"`
	// Error is the status in words, for example "Bad Request".
	Error string `json:"error"`
	// Message is what went wrong, for people.
	Message string `json:"message"`

	// Type is a URI reference that names the kind of problem:
	// "/docs/api.md#" and the code.
	Type string `json:"type"`
	// Title is the same for every problem of one code.
	Title string `json:"title"`
	// Detail equals Message.
	Detail string `json:"detail"`
	// Instance is the path that was asked for.
	Instance string `json:"instance"`

	// Code is stable and meant for programs, for example "not_found".
	Code string `json:"code"`
	// RequestID finds the request in the log.
	RequestID string `json:"requestId,omitempty"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
	// Errors name the fields at fault.
	Errors []FieldError `json:"errors,omitempty"`
}

// FieldError is one thing wrong with one field of the request.
type FieldError struct {
	// Pointer is an RFC 6901 JSON pointer into the body that is at fault: the
	// request's own, or the pipeline's when a saved pipeline is started. It is
	// "?name" for a query parameter and empty for the whole document.
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}
