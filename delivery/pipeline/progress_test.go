package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestFinal(t *testing.T) {
	const (
		halt     = `"failPipeline":true`
		branch   = `"failPipeline":false`
		thenFail = `"failPipeline":false,"completeOtherBranchesThenFail":true`
		ignore   = `"failPipeline":false,"continuePipeline":true`
	)
	// The graph is always a -> b, c -> d; mode is a's.
	tests := map[string]struct {
		mode, a, b, c, d string
		ready            []string
		want             delivery.Status
		done             bool
	}{
		"new":                         {halt, "NOT_STARTED", "NOT_STARTED", "NOT_STARTED", "NOT_STARTED", []string{"a", "c"}, "", false},
		"all succeeded":               {halt, "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", nil, "SUCCEEDED", true},
		"one runs":                    {halt, "SUCCEEDED", "RUNNING", "SUCCEEDED", "SUCCEEDED", nil, "", false},
		"one paused":                  {halt, "SUCCEEDED", "PAUSED", "SUCCEEDED", "SUCCEEDED", nil, "", false},
		"skipped counts as succeeded": {halt, "SKIPPED", "NOT_STARTED", "SUCCEEDED", "SUCCEEDED", []string{"b"}, "", false},
		"ignored failure goes on":     {ignore, "FAILED_CONTINUE", "NOT_STARTED", "SUCCEEDED", "SUCCEEDED", []string{"b"}, "", false},
		"ignored failure succeeds":    {ignore, "FAILED_CONTINUE", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", nil, "SUCCEEDED", true},
		"halt keeps others from starting": {halt, "TERMINAL", "NOT_STARTED", "SUCCEEDED", "NOT_STARTED",
			nil, "TERMINAL", true},
		"halt waits for what runs":     {halt, "TERMINAL", "NOT_STARTED", "RUNNING", "NOT_STARTED", nil, "", false},
		"halt after the others ended":  {halt, "TERMINAL", "NOT_STARTED", "CANCELED", "NOT_STARTED", nil, "TERMINAL", true},
		"canceled":                     {halt, "CANCELED", "NOT_STARTED", "SUCCEEDED", "NOT_STARTED", nil, "CANCELED", true},
		"branch halts, other goes on":  {branch, "STOPPED", "NOT_STARTED", "SUCCEEDED", "NOT_STARTED", []string{"d"}, "", false},
		"branch halted":                {branch, "STOPPED", "NOT_STARTED", "SUCCEEDED", "SUCCEEDED", nil, "SUCCEEDED", true},
		"branch halted, then fail":     {thenFail, "STOPPED", "NOT_STARTED", "SUCCEEDED", "SUCCEEDED", nil, "TERMINAL", true},
		"then fail waits":              {thenFail, "STOPPED", "NOT_STARTED", "RUNNING", "NOT_STARTED", nil, "", false},
		"canceled wins over then fail": {thenFail, "STOPPED", "NOT_STARTED", "CANCELED", "NOT_STARTED", nil, "CANCELED", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(stages(`{"refId":"a","type":"wait","waitTime":1,`+tt.mode+`}`, wait("b", "a"), wait("c"), wait("d", "c")))
			if err != nil {
				t.Fatal(err)
			}
			list := NewStages(d, func() string { return "id" })
			for i, s := range []string{tt.a, tt.b, tt.c, tt.d} {
				list[i].Status = delivery.Status(s)
			}
			if diff := cmp.Diff(tt.ready, Ready(d, list)); diff != "" {
				t.Errorf("ready (-want +got):\n%s", diff)
			}
			if got, done := Final(d, list); got != tt.want || done != tt.done {
				t.Errorf("final is %q, %v; want %q, %v", got, done, tt.want, tt.done)
			}
		})
	}
}

func TestFinalWithoutStages(t *testing.T) {
	if status, done := Final(Definition{}, nil); status != delivery.StatusTerminal || !done {
		t.Errorf("final is %q, %v", status, done)
	}
}

func TestJoinWaitsForAll(t *testing.T) {
	d, err := Parse(stages(wait("join", "a", "b"), wait("a"), wait("b")))
	if err != nil {
		t.Fatal(err)
	}
	list := NewStages(d, func() string { return "" })
	list[1].Status = delivery.StatusSucceeded
	if got := Ready(d, list); !slices.Equal(got, []string{"b"}) {
		t.Errorf("ready is %v", got)
	}
	list[2].Status = delivery.StatusSucceeded
	if got := Ready(d, list); !slices.Equal(got, []string{"join"}) {
		t.Errorf("ready is %v", got)
	}
}

func TestNewStages(t *testing.T) {
	d, err := Parse(stages(wait("a"), `{"refId":"b","requisiteStageRefIds":["a"],"type":"wait","name":"B","waitTime":2}`))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	got := NewStages(d, func() string { n++; return strconv.Itoa(n) })
	want := []delivery.Stage{
		{ID: "1", RefID: "a", Type: "wait", Name: "wait", Status: delivery.StatusNotStarted, RequisiteStageRefIDs: []string{}, Context: json.RawMessage(`{"waitTime":1}`)},
		{ID: "2", RefID: "b", Type: "wait", Name: "B", Status: delivery.StatusNotStarted, RequisiteStageRefIDs: []string{"a"}, Context: json.RawMessage(`{"waitTime":2}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// drawGraph draws an acyclic pipeline: a stage requires only stages of lower
// number, and the document lists them in any order.
func drawGraph(t *rapid.T) (Definition, []string) {
	n := rapid.IntRange(1, 9).Draw(t, "stages")
	var list []string
	for i := range n {
		var requires []string
		for j := range i {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				requires = append(requires, strconv.Quote(strconv.Itoa(j)))
			}
		}
		flags := rapid.SampledFrom([]string{``, `,"failPipeline":false`, `,"continuePipeline":true`,
			`,"failPipeline":false,"completeOtherBranchesThenFail":true`}).Draw(t, "mode")
		list = append(list, fmt.Sprintf(`{"refId":"%d","type":"wait","waitTime":1,"requisiteStageRefIds":[%s]%s}`,
			i, strings.Join(requires, ","), flags))
	}
	list = rapid.Permutation(list).Draw(t, "order")
	d, err := Parse(stages(list...))
	if err != nil {
		t.Fatalf("an acyclic graph is refused: %v", err)
	}
	return d, list
}

// walker runs an execution by the package's decisions and checks each.
type walker struct {
	t      *rapid.T
	d      Definition
	stages []delivery.Stage
}

// start starts what is ready and checks that it may.
func (w *walker) start() {
	for _, id := range Ready(w.d, w.stages) {
		e := delivery.Execution{Stages: w.stages}
		for _, requisite := range w.d.Stage(id).Requisites {
			if s := e.Stage(requisite).Status; !s.Complete() || s.Halting() {
				w.t.Fatalf("%s starts though %s is %s", id, requisite, s)
			}
		}
		s := e.Stage(id)
		if s.Status != delivery.StatusNotStarted {
			w.t.Fatalf("%s starts from %s", id, s.Status)
		}
		s.Status = delivery.StatusRunning
	}
}

// finish ends one running stage somehow; in a halted execution by cancellation.
// It is false when none runs.
func (w *walker) finish() bool {
	var running []int
	for i, s := range w.stages {
		if s.Status == delivery.StatusRunning {
			running = append(running, i)
		}
	}
	if len(running) == 0 {
		return false
	}
	i := rapid.SampledFrom(running).Draw(w.t, "finishes")
	outcome := delivery.StatusCanceled
	if !Halted(w.stages) {
		outcome = rapid.SampledFrom([]delivery.Status{delivery.StatusSucceeded, delivery.StatusSucceeded, delivery.StatusSkipped,
			w.d.Stage(w.stages[i].RefID).OnFailure.Status(), delivery.StatusCanceled}).Draw(w.t, "outcome")
	}
	if !w.stages[i].Status.CanBecome(outcome) {
		w.t.Fatalf("a running stage cannot become %s", outcome)
	}
	w.stages[i].Status = outcome
	return true
}

// An execution always ends; it ends only when nothing runs and nothing can
// start; and its status follows from its stages'.
func TestExecutionsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, _ := drawGraph(t)
		w := &walker{t: t, d: d, stages: NewStages(d, func() string { return "" })}
		for range 2*len(d.Stages) + 2 {
			w.start()
			status, done := Final(d, w.stages)
			if more := w.finish(); more == done {
				t.Fatalf("final says done = %v while a stage runs = %v", done, more)
			}
			if !done {
				continue
			}
			if want := expected(d, w.stages); status != want {
				t.Fatalf("final is %s, want %s", status, want)
			}
			return
		}
		t.Fatal("the execution does not end")
	})
}

// expected is the rule of the reference, written out anew: all of SUCCEEDED,
// SKIPPED, FAILED_CONTINUE succeed; else TERMINAL, else CANCELED, else STOPPED
// by its stage's flag.
func expected(d Definition, list []delivery.Stage) delivery.Status {
	count := make(map[delivery.Status]int)
	thenFail := false
	for _, s := range list {
		count[s.Status]++
		thenFail = thenFail || s.Status == delivery.StatusStopped && d.Stage(s.RefID).OnFailure == HaltBranchThenFail
	}
	switch {
	case count[delivery.StatusTerminal] > 0:
		return delivery.StatusTerminal
	case count[delivery.StatusCanceled] > 0:
		return delivery.StatusCanceled
	case thenFail:
		return delivery.StatusTerminal
	default:
		return delivery.StatusSucceeded
	}
}

// A back edge along an existing path makes a cycle, and the finding's path is one.
func TestCyclesAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "stages")
		var list []StageSpec
		index := make(map[string]int)
		order := rapid.Permutation(seq(n)).Draw(t, "order")
		for place, i := range order {
			s := StageSpec{RefID: strconv.Itoa(i)}
			for j := range n {
				if j != i && rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					s.Requisites = append(s.Requisites, strconv.Itoa(j))
				}
			}
			index[s.RefID] = place
			list = append(list, s)
		}
		found := cycles(list, index)
		if (len(found) > 0) != reachesItself(list, index) {
			t.Fatalf("found %v in %v", found, list)
		}
		for _, cycle := range found {
			for i, id := range cycle {
				next := cycle[(i+1)%len(cycle)]
				if !slices.Contains(list[index[id]].Requisites, next) {
					t.Fatalf("%v is no cycle: %s does not require %s", cycle, id, next)
				}
			}
		}
	})
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// reachesItself reports whether a stage is reachable from itself, by the
// transitive closure.
func reachesItself(list []StageSpec, index map[string]int) bool {
	n := len(list)
	reach := make([][]bool, n)
	for i, s := range list {
		reach[i] = make([]bool, n)
		for _, id := range s.Requisites {
			reach[i][index[id]] = true
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
			}
		}
	}
	for i := range n {
		if reach[i][i] {
			return true
		}
	}
	return false
}
