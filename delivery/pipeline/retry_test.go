package pipeline

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestReadRetry(t *testing.T) {
	const at = "/stages/0/retry"
	for _, test := range []struct {
		retry    string
		want     Retry
		findings []delivery.Finding
	}{
		{`null`, Retry{}, nil},
		{`{"maxAttempts":3}`, Retry{3, 30 * time.Second, 1, 24 * time.Hour}, nil},
		{`{"maxAttempts":"10","backoffSec":0,"backoffMultiplier":"2","maxBackoffSec":600}`, Retry{10, 0, 2, 10 * time.Minute}, nil},
		{`{"maxAttempts":2,"backoffSec":86400,"backoffMultiplier":10,"maxBackoffSec":86400}`, Retry{2, 24 * time.Hour, 10, 24 * time.Hour}, nil},
		{`{}`, Retry{}, []delivery.Finding{{Pointer: at + "/maxAttempts", Message: "is required"}}},
		{`{"maxAttempts":1,"backoffSec":-1,"backoffMultiplier":0,"maxBackoffSec":0}`, Retry{}, []delivery.Finding{
			{Pointer: at + "/maxAttempts", Message: "is 1; must be from 2 to 10"},
			{Pointer: at + "/backoffSec", Message: "is -1; must be from 0 to 86400"},
			{Pointer: at + "/backoffMultiplier", Message: "is 0; must be from 1 to 10"},
			{Pointer: at + "/maxBackoffSec", Message: "is 0; must be from 1 to 86400"}}},
		{`{"maxAttempts":11,"backoffSec":86401,"backoffMultiplier":1.5,"maxBackoffSec":true}`, Retry{}, []delivery.Finding{
			{Pointer: at + "/maxAttempts", Message: "is 11; must be from 2 to 10"},
			{Pointer: at + "/backoffSec", Message: "is 86401; must be from 0 to 86400"},
			{Pointer: at + "/backoffMultiplier", Message: "must be a whole number, not 1.5"},
			{Pointer: at + "/maxBackoffSec", Message: "must be a whole number, not a boolean"}}},
		{`{"maxAttempts":3,"backoffSec":60,"maxBackoffSec":30}`, Retry{}, []delivery.Finding{{Pointer: at + "/maxBackoffSec", Message: "is 30; must not be below backoffSec, 60"}}},
		{`{"maxAttempts":"${parameters.n}","limit":3}`, Retry{}, []delivery.Finding{
			{Pointer: at + "/limit", Message: "is not known; known are maxAttempts, backoffSec, backoffMultiplier, maxBackoffSec"},
			{Pointer: at + "/maxAttempts", Message: "must not be an expression"}}},
		{`"${parameters.retry}"`, Retry{}, []delivery.Finding{{Pointer: at, Message: "must not be an expression"}}},
		{`3`, Retry{}, []delivery.Finding{{Pointer: at, Message: "must be an object, not a number"}}},
	} {
		d, err := Parse(stages(`{"type":"noop","retry":` + test.retry + `}`))
		if diff := cmp.Diff(test.findings, delivery.FindingsOf(err)); diff != "" {
			t.Errorf("%s: %s", test.retry, diff)
		}
		if err == nil && d.Stages[0].Retry != test.want {
			t.Errorf("%s is %+v, want %+v", test.retry, d.Stages[0].Retry, test.want)
		}
	}
}

// TestRetries: however its attempts fail, a stage has no more than it may have, waits
// between them as it says, keeps every failure, and counts on after a restart.
func TestRetries(t *testing.T) {
	lasting := []string{"invalid", "denied", "fenced", "canceled", "judgment"}
	rapid.Check(t, func(rt *rapid.T) {
		seconds := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, name)) * time.Second
		}
		r := Retry{MaxAttempts: rapid.IntRange(2, maxAttempts).Draw(rt, "attempts"), Backoff: seconds("backoff", 0, maxBackoff), Multiplier: rapid.IntRange(1, maxMultiplier).Draw(rt, "multiplier")}
		r.MaxBackoff = max(r.Backoff, seconds("most", 1, maxBackoff))
		if rapid.IntRange(0, 9).Draw(rt, "none") == 0 {
			r = Retry{}
		}
		now := time.Unix(1_795_000_000, 0)
		earlier := rapid.IntRange(0, 3).Draw(rt, "earlier")
		s := delivery.Stage{ID: "id", RefID: "1", Type: WaitType, Status: delivery.StatusRunning, StartTime: now, Attempt: earlier, Context: json.RawMessage(`{}`)}
		want := r.Backoff
		for tries := 1; ; tries++ {
			f := delivery.Failure{Kind: rapid.SampledFrom(append(lasting, "timeout", "unhealthy", "transient", "not_found", "conflict", "quota", "guarded", "internal", "webhook")).Draw(rt, "kind"), Message: "boom"}
			s.Deployments, s.Deadline, s.Outputs = []delivery.DeploymentID{"d"}, now, json.RawMessage(`{"a":1}`)
			was := s
			now = now.Add(seconds("takes", 0, 1000))
			waiting, again := r.Again(s, f, now)
			if more := tries < r.MaxAttempts && !slices.Contains(lasting, f.Kind); again != more {
				rt.Fatalf("after %d tries of %d that ended %s: again is %v", tries, r.MaxAttempts, f.Kind, again)
			}
			if !again {
				if diff := cmp.Diff(was, waiting); diff != "" || waiting.AwaitsRetry() {
					rt.Fatalf("the stage became %s", diff)
				}
				break
			}
			if pause := waiting.ScheduledTime.Sub(now); pause != min(want, r.MaxBackoff) {
				rt.Fatalf("it waits for %s after %d failures, want %s", pause, tries, min(want, r.MaxBackoff))
			}
			last := waiting.Attempts[len(waiting.Attempts)-1]
			if diff := cmp.Diff(delivery.Attempt{Number: max(was.Attempt, 1), StartTime: was.StartTime, EndTime: now, Failure: f, Deployments: was.Deployments}, last); diff != "" || len(waiting.Attempts) != tries {
				rt.Fatalf("%d attempts, the last is %s", len(waiting.Attempts), diff)
			}
			if !waiting.AwaitsRetry() || len(waiting.Deployments) > 0 || !waiting.Deadline.IsZero() || !strings.Contains(waiting.StatusReason, "boom") {
				rt.Fatalf("it waits as %+v", waiting)
			}
			from := now.Add(seconds("paused", -500, 500))
			to := later(from, now).Add(seconds("resumed", 0, 500))
			moved := Postponed(waiting, from, to)
			if left, had := moved.ScheduledTime.Sub(to), waiting.ScheduledTime.Sub(later(from, now)); left != had {
				rt.Fatalf("%s of the wait were left when the pause began, %s when it ended", had, left)
			}
			s = NextAttempt(moved, moved.ScheduledTime)
			if s.AwaitsRetry() || s.Attempt != max(was.Attempt, 1)+1 || s.Status != delivery.StatusRunning || s.StartTime != moved.ScheduledTime || len(s.Outputs) > 0 || len(s.Attempts) != tries {
				rt.Fatalf("the next attempt begins as %+v", s)
			}
			want *= time.Duration(r.Multiplier)
			now = s.StartTime
		}
		if s.Status = delivery.StatusTerminal; reset(s).Attempt != max(s.Attempt, 1)+1 || len(reset(s).Attempts) > 0 {
			rt.Errorf("restarted as %+v", reset(s))
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
