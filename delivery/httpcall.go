package delivery

import (
	"context"
	"time"
)

// HTTPRequest is one call of a system that is no cloud.
type HTTPRequest struct {
	// Method is in capitals; empty is GET.
	Method string
	URL    string
	// Header has each name with its values. It may hold credentials.
	Header map[string][]string
	Body   []byte
	// Timeout is for everything up to the last byte of the answer, redirects
	// included; zero is the caller's default.
	Timeout time.Duration
	// MaxAnswer is how many bytes the answer's body may have; zero is the caller's
	// default.
	MaxAnswer int
	// Redirects is how many redirects of a GET or HEAD are followed. The answer to
	// the last request is returned as it is, a further redirect too.
	Redirects int
}

// HTTPAnswer is what the other side answered, whatever its status.
type HTTPAnswer struct {
	StatusCode int
	// Header has canonical names, such as "Content-Type".
	Header map[string][]string
	Body   []byte
	// RetryAfter is the pause that the other side asked for; zero when it did not.
	RetryAfter time.Duration
}

// CodeNotSent is the code of an error of an HTTPCaller that came before a byte of
// the request was sent: the call had no effect.
const CodeNotSent = "not_sent"

// HTTPCaller calls systems that are no clouds. One call is one request, redirects
// apart: it is never repeated by the caller itself. It returns an error only when
// there is no whole answer: Invalid for a request that cannot be sent or an answer that
// is too large, Denied where policy forbids the address, Transient when the answer did
// not come or is not whole. Whether a Transient call had an effect is unknown, unless
// its error has the code CodeNotSent.
type HTTPCaller interface {
	Call(ctx context.Context, r HTTPRequest) (HTTPAnswer, error)
}
