package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind classifies an error by what its receiver can do about it. Decisions use
// the kind, never the text: one table maps kinds to retries, one to HTTP
// statuses, one to exit codes.
type Kind int

const (
	// Internal is the zero value: an error nobody classified. It is retried
	// within the bounds of the caller and shown to clients without its text.
	Internal Kind = iota
	// Invalid means that the request itself is wrong; repeating it is useless.
	Invalid
	// NotFound means that the named thing does not exist.
	NotFound
	// Conflict means that the state moved under the caller: read again, decide again.
	Conflict
	// Denied means that credentials or policy forbid it.
	Denied
	// Throttled means that the other side asks for a slower pace.
	Throttled
	// Transient means that the same call may succeed a moment later. Whether it
	// had an effect is unknown.
	Transient
	// NotReady means that something this work created is not visible everywhere
	// yet; it passes within minutes.
	NotReady
	// Quota means that a limit or a lack of capacity on the other side forbids it.
	Quota
	// Fenced means that a newer holder owns the cluster: the caller must stop
	// writing for ever.
	Fenced
	// Guarded means that the traffic guard refused to remove serving capacity.
	Guarded
	// Unavailable means that a part of Slipway itself cannot serve now.
	Unavailable
)

var kindNames = [...]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not_found", Conflict: "conflict",
	Denied: "denied", Throttled: "throttled", Transient: "transient", NotReady: "not_ready",
	Quota: "quota", Fenced: "fenced", Guarded: "guarded", Unavailable: "unavailable",
}

// String returns the stable lower-case name used in logs and in the "code" of
// error documents.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Internal]
	}
	return kindNames[k]
}

// ParseKind is the inverse of Kind.String; an unknown name is Internal.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Internal
}

// Retryable reports whether the same call may succeed later without anybody
// changing anything.
func (k Kind) Retryable() bool {
	switch k {
	case Internal, Throttled, Transient, NotReady, Unavailable:
		return true
	default:
		return false
	}
}

// Finding is one thing wrong (or worth a warning) with an input.
type Finding struct {
	// Pointer is the RFC 6901 JSON pointer of the field, for example
	// "/stages/0/clusters/0/account". Empty means the whole document.
	Pointer string `json:"pointer,omitempty"`
	Message string `json:"message"`
	// Warning findings do not refuse the input.
	Warning bool `json:"warning,omitempty"`
}

// Error is an error with a kind. Create it with Errorf where the error
// originates; wrap it with fmt.Errorf and %w on its way.
type Error struct {
	Kind    Kind
	Message string
	// Code is the foreign error code, for example "ThrottlingException"; empty
	// when Slipway itself is the origin.
	Code string
	// Findings name the fields of an Invalid input.
	Findings []Finding
	// RetryAfter is the pause the other side asked for; zero when it did not.
	RetryAfter time.Duration
	Cause      error
}

// Error returns the message, the findings' fields and texts, and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for i, f := range e.Findings {
		if i == 0 && e.Message != "" {
			b.WriteString(": ")
		} else if i > 0 {
			b.WriteString("; ")
		}
		if f.Pointer != "" {
			b.WriteString(f.Pointer + ": ")
		}
		b.WriteString(f.Message)
	}
	if e.Cause != nil {
		if text := e.Cause.Error(); text != "" {
			b.WriteString(": " + text)
		}
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error of a kind. Every %w verb keeps its error reachable.
func Errorf(kind Kind, format string, args ...any) error {
	made := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Message: made.Error()}
	switch made.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		e.Cause = silent{made}
	}
	return e
}

// silent keeps causes reachable by errors.Is and errors.As without printing them
// a second time: their texts already stand in the message.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// InvalidError makes an Invalid error from findings, or nil when none of them
// refuses the input.
func InvalidError(what string, findings []Finding) error {
	refusing := make([]Finding, 0, len(findings))
	for _, f := range findings {
		if !f.Warning {
			refusing = append(refusing, f)
		}
	}
	if len(refusing) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Message: what, Findings: refusing}
}

// KindOf returns the kind of the first Error in err's chain; Internal when there
// is none or err is nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// FindingsOf returns the findings of the first Error in err's chain that has any.
func FindingsOf(err error) []Finding {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return nil
		}
		if len(e.Findings) > 0 {
			return e.Findings
		}
		err = e.Cause
	}
	return nil
}

// Under returns the findings with a prefix before their pointers.
func Under(prefix string, findings []Finding) []Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Pointer = prefix + out[i].Pointer
	}
	return out
}

// InOrder sorts findings by field, in place, and drops repetitions.
func InOrder(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}
