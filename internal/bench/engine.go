package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/workflows"
)

// contender is one side of a comparison: run carries one pipeline or workflow
// out from start to end.
type contender struct {
	run func(ctx context.Context) error
	// one caller, in ms; callers in closed loops, per second and CPU ms each.
	latency, perSecond, cpu series
}

// match is a pipeline against bare workflows.
type match struct {
	stages int
	// same is what the pipeline's workflow does.
	same work
	// sides are Slipway, then the baselines in the order of the table's columns.
	sides []*contender
}

// benchEngine measures pipelines of no-op stages against bare workflows.
func benchEngine(ctx context.Context, s settings, out io.Writer) (err error) {
	sys, err := startAlone(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.close()) }()
	baseline, err := newBare(ctx, sys)
	if err != nil {
		return err
	}
	var matches []*match
	for _, stages := range []int{1, 10} {
		m, err := newMatch(ctx, sys, baseline, stages)
		if err != nil {
			return err
		}
		matches = append(matches, m)
	}
	for range s.rounds {
		for _, m := range matches {
			if err := m.round(ctx, s); err != nil {
				return err
			}
		}
	}
	return printEngine(out, s, matches)
}

// startAlone starts a system without any cloud.
func startAlone(ctx context.Context) (*system, error) {
	targets, err := providers.New()
	if err != nil {
		return nil, err
	}
	return start(ctx, targets, workflows.Poll{})
}

// newMatch saves the pipeline, runs it once to warm up and to count its
// activities, and pairs it with bare workflows.
func newMatch(ctx context.Context, sys *system, baseline *bare, stages int) (*match, error) {
	name := fmt.Sprintf("wait-%d", stages)
	if err := sys.savePipeline(ctx, name, waits(name, stages, 0)); err != nil {
		return nil, err
	}
	id, _, err := sys.trigger(ctx, name, "{}")
	if err != nil {
		return nil, err
	}
	if err := sys.finish(ctx, id); err != nil {
		return nil, err
	}
	same, err := readHistory(ctx, sys.temporal, id.WorkflowID(), "")
	if err != nil {
		return nil, err
	}
	m := &match{stages: stages, same: work{Activities: same.activities, Local: same.local}}
	m.sides = []*contender{{run: func(ctx context.Context) error {
		id, _, err := sys.trigger(ctx, name, "{}")
		if err != nil {
			return err
		}
		return sys.finish(ctx, id)
	}}}
	committing := m.same
	committing.Commit = true
	for _, w := range []work{{Activities: stages}, m.same, committing} {
		m.sides = append(m.sides, &contender{run: func(ctx context.Context) error { return baseline.run(ctx, w) }})
	}
	return m, nil
}

// waits is a pipeline of wait stages in sequence.
func waits(name string, stages, seconds int) json.RawMessage {
	type stage struct {
		RefID      string   `json:"refId"`
		Requisites []string `json:"requisiteStageRefIds"`
		Type       string   `json:"type"`
		Name       string   `json:"name"`
		WaitTime   int      `json:"waitTime"`
	}
	list := make([]stage, stages)
	for i := range list {
		list[i] = stage{RefID: fmt.Sprint(i + 1), Requisites: []string{}, Type: "wait", Name: fmt.Sprintf("Wait %d", i+1), WaitTime: seconds}
		if i > 0 {
			list[i].Requisites = []string{fmt.Sprint(i)}
		}
	}
	document, err := json.Marshal(map[string]any{"application": application, "name": name, "stages": list})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return document
}

// round lets each side go once, first alone, then in closed loops.
func (m *match) round(ctx context.Context, s settings) error {
	for _, c := range m.sides {
		runtime.GC() // nobody pays for another's garbage
		samples := make([]time.Duration, s.samples)
		for i := range samples {
			began := time.Now()
			if err := c.run(ctx); err != nil {
				return err
			}
			samples[i] = time.Since(began)
		}
		c.latency = append(c.latency, milliseconds(samples).median())
	}
	for _, c := range m.sides {
		runtime.GC()
		if err := c.loops(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// loops runs closed loops for a while. What is under way at the end is finished
// and counted.
func (c *contender) loops(ctx context.Context, s settings) error {
	var done atomic.Int64
	var wait sync.WaitGroup
	failed := make(chan error, s.callers)
	began, used := time.Now(), cpuTime()
	for range s.callers {
		wait.Go(func() {
			for time.Since(began) < s.slice {
				if err := c.run(ctx); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	took, cpu := time.Since(began), cpuTime()-used
	select {
	case err := <-failed:
		return err
	default:
	}
	c.perSecond = append(c.perSecond, float64(done.Load())/took.Seconds())
	c.cpu = append(c.cpu, float64(cpu)/float64(time.Millisecond)/float64(done.Load()))
	return nil
}

// cpuTime is what this process has used of the CPUs.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func printEngine(out io.Writer, s settings, matches []*match) error {
	fmt.Fprintf(out, "Pipelines of no-op stages (wait, 0 s), from POST to the workflow's end, against bare Temporal\n"+
		"   workflows on the same server in the same process: (A) one activity a stage, (B) the activities of the pipeline\n"+
		"   (%s), all doing nothing, (C) as B, each local one committing a row\n", describe(matches))
	t := newTable(out)
	t.row("", "Slipway", "A", "Slipway/A", "B", "Slipway/B", "C", "Slipway/C")
	print := func(what string, of func(*contender) series) {
		for _, m := range matches {
			t.compare(stagesText(m.stages)+", "+what, columns(m, of))
		}
	}
	latency := func(c *contender) series { return c.latency }
	print("one caller, ms", latency)
	short, long := columns(matches[0], latency), columns(matches[len(matches)-1], latency)
	more := make([]series, len(long))
	for i := range long {
		more[i] = long[i].minus(short[i], float64(matches[len(matches)-1].stages-matches[0].stages))
	}
	t.compare("each further stage, ms", more)
	print(fmt.Sprintf("%d loops, per s", s.callers), func(c *contender) series { return c.perSecond })
	print(fmt.Sprintf("%d loops, CPU ms each", s.callers), func(c *contender) series { return c.cpu })
	return t.flush()
}

// columns returns one figure of all sides.
func columns(m *match, of func(*contender) series) []series {
	out := make([]series, len(m.sides))
	for i, c := range m.sides {
		out[i] = of(c)
	}
	return out
}

func describe(matches []*match) string {
	words := make([]string, len(matches))
	for i, m := range matches {
		words[i] = fmt.Sprintf("%s: %d and %d local", stagesText(m.stages), m.same.Activities, m.same.Local)
	}
	return strings.Join(words, "; ")
}

func stagesText(n int) string {
	if n == 1 {
		return "1 stage"
	}
	return fmt.Sprintf("%d stages", n)
}
