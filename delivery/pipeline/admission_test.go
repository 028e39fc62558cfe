package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// TestAdmission: whatever comes and ends, no more run than may, nobody waits while
// there is a free place, those that may wait keep their order, and without keepWaiting
// the newest goes before the others.
func TestAdmission(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := Limits{Concurrent: rapid.IntRange(0, 3).Draw(rt, "concurrent"), KeepWaiting: rapid.Bool().Draw(rt, "keep")}
		var running, waiting, begun []delivery.ExecutionID
		for n := range rapid.IntRange(1, 30).Draw(rt, "steps") {
			if len(running) > 0 && rapid.Bool().Draw(rt, "ends") {
				i := rapid.IntRange(0, len(running)-1).Draw(rt, "which")
				running = slices.Delete(running, i, i+1)
				begin, cancel := l.Admit(len(running), waiting)
				if len(begin) > 0 && len(begin)+len(cancel) < len(waiting) && !l.KeepWaiting {
					rt.Fatalf("%q begin, %q are canceled, of %q", begin, cancel, waiting)
				}
				if len(cancel) > 0 && (l.KeepWaiting || len(begin) == 0 || begin[len(begin)-1] != waiting[len(waiting)-1]) {
					rt.Fatalf("%q are canceled while %q begin, of %q", cancel, begin, waiting)
				}
				gone := append(slices.Clone(begin), cancel...)
				waiting = slices.DeleteFunc(slices.Clone(waiting), func(id delivery.ExecutionID) bool { return slices.Contains(gone, id) })
				running, begun = append(running, begin...), append(begun, begin...)
			} else if id := delivery.ExecutionID(fmt.Sprintf("%02d", n)); l.Begins(len(running), len(waiting)) {
				running, begun = append(running, id), append(begun, id)
			} else {
				waiting = append(waiting, id)
			}
			if l.Concurrent > 0 && len(running) > l.Concurrent || len(waiting) > 0 && (l.Concurrent == 0 || len(running) < l.Concurrent) {
				rt.Fatalf("limit %d: %d run, %d wait", l.Concurrent, len(running), len(waiting))
			}
			if !slices.IsSorted(begun) {
				rt.Fatalf("began in the order %q", begun)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		fields string
		want   Limits
		bad    string
	}{
		{`"limitConcurrent":true,"maxConcurrentExecutions":5`, Limits{Concurrent: 1}, ""},
		{`"limitConcurrent":false,"maxConcurrentExecutions":"5","keepWaitingPipelines":"true"`, Limits{Concurrent: 5, KeepWaiting: true}, ""},
		{`"maxConcurrentExecutions":0`, Limits{}, ""},
		{`"maxConcurrentExecutions":-1`, Limits{}, "/maxConcurrentExecutions"},
		{`"limitConcurrent":"${x}"`, Limits{}, "/limitConcurrent"},
	} {
		d, err := Parse([]byte(`{"stages":[],` + test.fields + `}`))
		if test.bad != "" {
			if f := delivery.FindingsOf(err); len(f) != 1 || f[0].Pointer != test.bad {
				t.Errorf("%s: %v", test.fields, err)
			}
			continue
		}
		e := delivery.Execution{LimitConcurrent: d.LimitConcurrent, MaxConcurrentExecutions: d.MaxConcurrentExecutions, KeepWaitingPipelines: d.KeepWaitingPipelines}
		if diff := cmp.Diff(test.want, LimitsOf(e)); diff != "" || err != nil {
			t.Errorf("%s: %v %s", test.fields, err, diff)
		}
	}
}
