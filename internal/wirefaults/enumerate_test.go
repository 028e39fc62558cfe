package wirefaults

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// TestEnumerated lets the process die at every call of the cloud over the wire and
// at every commit to the store, and cancels at every event: of each strategy, update
// in place, promotion, abandonment, clone and rollback, on each target kind that has
// it, of a good version and of one that is never healthy. A dry run
// numbers them. Dying before a read or after it is the same; at a write and at a
// commit both are tried. Another process goes on from what is in the store, with
// nothing of the one that died. Time stands still but where somebody waits.
//
// An even sample runs always, in which the cases take turns with the sorts of trouble:
// deaths at what has an effect, cancels, deaths at reads; with -short it has every
// seventh case. SLIPWAY_ENUMERATE is how many of each sort run in each case instead. It
// is "effects" for all but the deaths at reads, and "all" for all. SLIPWAY_KIND is the
// only target kind, SLIPWAY_CASE a part of the names of the only cases.
func TestEnumerated(t *testing.T) {
	cases := enumerations(t)
	side := &sideBySide{places: make(chan struct{}, enumeratedAtOnce)}
	for i, c := range cases {
		side.do(func() { t.Run(c.name+"/dry", func(t *testing.T) { c.dryRun(t, i) }) })
	}
	side.all.Wait()
	if t.Failed() {
		return
	}
	runs, bound := 0, time.Duration(0)
	for _, c := range cases {
		runs += len(c.troubles)
		bound += time.Duration(len(c.troubles)) * c.dry.took / enumeratedAtOnce
	}
	t.Logf("%d cases, %d runs: about %s", len(cases), runs, bound.Round(time.Second))
	for _, c := range cases {
		for _, trouble := range c.troubles {
			side.do(func() {
				t.Run(c.name+"/"+trouble.String(), func(t *testing.T) { c.meet(t, trouble) })
				if c.tried() {
					t.Log(c.line())
				}
			})
		}
	}
	side.all.Wait()
}

// sideBySide does several things at once.
type sideBySide struct {
	places chan struct{}
	all    sync.WaitGroup
}

func (s *sideBySide) do(what func()) {
	s.places <- struct{}{}
	s.all.Go(func() {
		defer func() { <-s.places }()
		what()
	})
}

// enumerations are the cases that are asked for.
func enumerations(t *testing.T) []*enumeration {
	t.Helper()
	kept := newKeeper(t)
	var out []*enumeration
	for _, k := range kinds() {
		if only := os.Getenv("SLIPWAY_KIND"); only != "" && only != k.name {
			continue
		}
		for _, s := range enumeratedStrategies() {
			for _, image := range []string{k.good, k.crashing, k.broken} {
				c := newEnumeration(kept, k, s, image)
				if s.tried(k, image) && strings.Contains(c.name, os.Getenv("SLIPWAY_CASE")) {
					out = append(out, c)
				}
			}
		}
	}
	if testing.Short() {
		n := 0
		out = slices.DeleteFunc(out, func(*enumeration) bool { n++; return n%7 != 1 })
	}
	return out
}

// trouble is what befalls a deployment: a death at a call or commit, or a cancel at
// an event. The zero value is none.
type trouble struct {
	dieAt    int
	after    bool
	cancelAt int
}

func (w trouble) String() string {
	switch {
	case w.cancelAt > 0:
		return fmt.Sprintf("cancel=%d", w.cancelAt)
	case w.after:
		return fmt.Sprintf("die-after=%d", w.dieAt)
	default:
		return fmt.Sprintf("die-before=%d", w.dieAt)
	}
}

// enumeratedTime bounds a run. Its time is virtual: on a busy machine it only takes
// longer.
const enumeratedTime = 20 * time.Minute

// enumeration is one case with the troubles that are to be tried.
type enumeration struct {
	schedule
	name    string
	inPlace bool
	kept    *keeper
	dry     enumeratedRun
	// possible is how many troubles there are, troubles are those that are tried.
	possible int
	troubles []trouble

	mu     sync.Mutex
	totals enumeratedTotals // the dry run's too
	told   bool
}

// enumeratedTotals are the figures of all runs of a case. Missed are the deaths
// at a number that the run did not come to.
type enumeratedTotals struct{ runs, missed, requests, borne, failed int }

// enumeratedRun is what one deployment came to.
type enumeratedRun struct {
	status  delivery.DeploymentStatus
	counts  pointCounts
	effects []bool
	events  int
	took    time.Duration
	// wrote is how often each action had an effect.
	wrote map[string]int
}

// dryRun numbers everything, and chooses what is tried. n is the number of the case.
func (c *enumeration) dryRun(t *testing.T, n int) {
	c.dry = c.carryOut(t, trouble{})
	var effects, reads, cancels []trouble
	for i, effect := range c.dry.effects {
		if effect {
			effects = append(effects, trouble{dieAt: i + 1}, trouble{dieAt: i + 1, after: true})
		} else {
			reads = append(reads, trouble{dieAt: i + 1, after: true})
		}
	}
	for i := range c.dry.events {
		cancels = append(cancels, trouble{cancelAt: i + 1})
	}
	c.possible = len(effects) + len(reads) + len(cancels)
	switch os.Getenv("SLIPWAY_ENUMERATE") {
	case "":
		sort := [][]trouble{effects, cancels, reads}[n%3]
		c.troubles = sample(sort, perCase, n)
	case "all":
		c.troubles = slices.Concat(effects, cancels, reads)
	case "effects":
		c.troubles = slices.Concat(effects, cancels)
	default:
		each := number(t, "SLIPWAY_ENUMERATE", 1)
		c.troubles = slices.Concat(sample(effects, each, n), sample(cancels, each, n), sample(reads, each, n))
	}
}

// sample takes that many, evenly. Where it begins differs from case to case.
func sample(all []trouble, many, n int) []trouble {
	if many >= len(all) {
		return all
	}
	var out []trouble
	for i := range many {
		at := (float64(i) + math.Mod(float64(n)*math.Phi, 1)) / float64(many)
		out = append(out, all[int(at*float64(len(all)))])
	}
	return out
}

// meet carries the deployment out with a trouble. A death must not show in how it ends,
// nor in what an update in place writes: it neither makes a version twice nor starts
// anew what the cloud is at.
func (c *enumeration) meet(t *testing.T, w trouble) {
	got := c.carryOut(t, w)
	if w.cancelAt > 0 {
		return
	}
	if got.status != c.dry.status {
		t.Errorf("ended %s, and %s without the death", got.status, c.dry.status)
	}
	if c.inPlace && !maps.Equal(got.wrote, c.dry.wrote) {
		t.Errorf("had the effects %v, and %v without the death", got.wrote, c.dry.wrote)
	}
}

// carryOut carries the deployment out and judges it.
func (c *enumeration) carryOut(t *testing.T, w trouble) enumeratedRun {
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), enumeratedTime)
	defer cancel()
	x := newMortalTrial(t, c, w)
	if err := x.time.warmUp(ctx); err != nil {
		x.Fatal(err)
	}
	if err := x.deployEarlier(ctx); err != nil {
		x.Fatalf("earlier: %v", err)
	}
	before := x.truth(ctx)
	outcome, err := x.run(ctx)
	if err != nil {
		x.Errorf("not carried out: %v", err)
	} else {
		x.control(http.MethodPost, "/audit/terminal", map[string]string{"deployment": string(x.driver.deployment()), "state": string(outcome.Status)})
		x.judge(ctx, outcome, before)
	}
	if x.time.failed > 0 {
		x.Errorf("%d of %d requests failed, the first: %s", x.time.failed, x.time.sent, x.time.failure)
	}
	if t.Failed() {
		t.Logf("%s: %s at %q\n%v\n%s", c.schedule, w, x.wire.diedAt(), outcome, strings.Join(x.driver.trace, "\n"))
	}
	c.add(x, w)
	counts, effects := x.wire.numbered()
	return enumeratedRun{status: outcome.Status, counts: counts, effects: effects, events: x.events, took: time.Since(began), wrote: x.wrote()}
}

func (c *enumeration) add(x *mortalTrial, w trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.totals.runs++
	c.totals.requests, c.totals.borne, c.totals.failed = c.totals.requests+x.time.sent, c.totals.borne+x.time.borne, c.totals.failed+x.time.failed
	if w.dieAt > 0 && x.wire.diedAt() == "" {
		c.totals.missed++
	}
}

// tried tells once that all that is to be tried was.
func (c *enumeration) tried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.totals.runs <= len(c.troubles) || c.told {
		return false
	}
	c.told = true
	return true
}

// line has the figures of the case.
func (c *enumeration) line() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.dry.counts
	return fmt.Sprintf("%-32s %-11s %d calls (%d write), %d commits, %d events: %d runs of %d, %d missed; %d requests, %d failed by a broken version on its canary's weight, %d otherwise",
		c.name, cmp.Or(string(c.dry.status), "?"), n.reads+n.writes, n.writes, n.commits, c.dry.events, c.totals.runs-1, c.possible, c.totals.missed,
		c.totals.requests, c.totals.borne, c.totals.failed)
}
