package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func kinds() []delivery.Kind {
	return []delivery.Kind{delivery.Internal, delivery.Invalid, delivery.NotFound, delivery.Conflict, delivery.Denied,
		delivery.Throttled, delivery.Transient, delivery.NotReady, delivery.Quota, delivery.Fenced, delivery.Guarded, delivery.Unavailable}
}

func TestKindNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range kinds() {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d has the name %q, empty or taken", int(k), k)
		}
		seen[k.String()] = true
		if got := delivery.ParseKind(k.String()); got != k {
			t.Errorf("ParseKind(%q) = %v", k, got)
		}
	}
	for _, k := range []delivery.Kind{-1, delivery.Kind(len(kinds()))} {
		if k.String() != "internal" {
			t.Errorf("kind %d is named %q", int(k), k)
		}
	}
	if got := delivery.ParseKind("nonsense"); got != delivery.Internal {
		t.Errorf("an unknown name is %v", got)
	}
}

func TestRetryable(t *testing.T) {
	retryable := map[delivery.Kind]bool{delivery.Internal: true, delivery.Throttled: true, delivery.Transient: true,
		delivery.NotReady: true, delivery.Unavailable: true}
	for _, k := range kinds() {
		if k.Retryable() != retryable[k] {
			t.Errorf("%s: retryable is %v", k, k.Retryable())
		}
	}
}

func TestErrorf(t *testing.T) {
	origin := delivery.Errorf(delivery.Throttled, "call of %s: %w", "DescribeImages", context.DeadlineExceeded)
	wrapped := fmt.Errorf("observe cluster: %w", origin)
	again := delivery.Errorf(delivery.Unavailable, "plan: %w", wrapped)
	if got, want := again.Error(), "plan: observe cluster: call of DescribeImages: context deadline exceeded"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if !errors.Is(again, context.DeadlineExceeded) {
		t.Error("the first cause is not reachable")
	}
	if got := delivery.KindOf(wrapped); got != delivery.Throttled {
		t.Errorf("kind of the wrapped error is %s", got)
	}
	if got := delivery.KindOf(again); got != delivery.Unavailable {
		t.Errorf("the outer kind does not win: %s", got)
	}
	for _, err := range []error{nil, errors.New("plain")} {
		if got := delivery.KindOf(err); got != delivery.Internal {
			t.Errorf("kind of %v is %s", err, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	findings := []delivery.Finding{{Pointer: "/a", Message: "is wrong"}, {Message: "is odd"}}
	tests := map[string]struct {
		err  delivery.Error
		want string
	}{
		"message":              {delivery.Error{Message: "no"}, "no"},
		"findings":             {delivery.Error{Message: "pipeline", Findings: findings}, "pipeline: /a: is wrong; is odd"},
		"findings alone":       {delivery.Error{Findings: findings}, "/a: is wrong; is odd"},
		"cause":                {delivery.Error{Message: "call", Cause: errors.New("reset")}, "call: reset"},
		"what is for machines": {delivery.Error{Message: "slow", Code: "Throttling", RetryAfter: time.Second}, "slow"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInvalidError(t *testing.T) {
	warning := delivery.Finding{Pointer: "/w", Message: "is unusual", Warning: true}
	wrong := delivery.Finding{Pointer: "/a", Message: "is wrong"}
	if err := delivery.InvalidError("pipeline", nil); err != nil {
		t.Errorf("no findings give %v", err)
	}
	if err := delivery.InvalidError("pipeline", []delivery.Finding{warning}); err != nil {
		t.Errorf("a warning refuses: %v", err)
	}
	err := fmt.Errorf("save: %w", delivery.InvalidError("pipeline", []delivery.Finding{warning, wrong}))
	if got := delivery.KindOf(err); got != delivery.Invalid {
		t.Errorf("kind is %s", got)
	}
	if diff := cmp.Diff([]delivery.Finding{wrong}, delivery.FindingsOf(err)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestFindingsOf(t *testing.T) {
	inner := delivery.InvalidError("cluster", []delivery.Finding{{Pointer: "/a", Message: "is wrong"}})
	outer := delivery.Errorf(delivery.Denied, "stage: %w", fmt.Errorf("cluster 1: %w", inner))
	if diff := cmp.Diff([]delivery.Finding{{Pointer: "/a", Message: "is wrong"}}, delivery.FindingsOf(outer)); diff != "" {
		t.Errorf("findings below another error (-want +got):\n%s", diff)
	}
	for _, err := range []error{nil, errors.New("plain"), delivery.Errorf(delivery.Invalid, "no findings")} {
		if got := delivery.FindingsOf(err); got != nil {
			t.Errorf("findings of %v: %v", err, got)
		}
	}
}

func TestFailureOf(t *testing.T) {
	if got := delivery.FailureOf("step", nil); got != nil {
		t.Errorf("failure of nil is %v", got)
	}
	err := fmt.Errorf("parse: %w", delivery.InvalidError("stage", []delivery.Finding{{Pointer: "/x", Message: "is wrong"}}))
	want := &delivery.Failure{Kind: "invalid", Message: "parse: stage: /x: is wrong", Step: "read the stage",
		Findings: []delivery.Finding{{Pointer: "/x", Message: "is wrong"}}}
	got := delivery.FailureOf("read the stage", err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := got.Error(); text != "read the stage: parse: stage: /x: is wrong" {
		t.Errorf("text is %q", text)
	}
	if text := (&delivery.Failure{Message: "m"}).Error(); text != "m" {
		t.Errorf("text without step is %q", text)
	}
}

func TestErrorfKeepsEveryCause(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	err := delivery.Errorf(delivery.Transient, "both: %w and %w", first, second)
	if !errors.Is(err, first) || !errors.Is(err, second) || err.Error() != "both: first and second" {
		t.Errorf("%q loses a cause or says it twice", err)
	}
}
