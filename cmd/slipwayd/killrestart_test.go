package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// restarted is what the test reads of an execution whose stages are restarted.
type restarted struct {
	Status string
	Stages []struct {
		ID, RefID, Status string
		Attempt           int
	}
}

// attempts are those of the stages, by refId; the first is 1.
func (r restarted) attempts() map[string]int {
	out := map[string]int{}
	for _, s := range r.Stages {
		out[s.RefID] = max(s.Attempt, 1)
	}
	return out
}

// restarter restarts stages of one execution as a client does that lives on while the
// process dies.
type restarter struct {
	t    *testing.T
	at   *address
	path string
	// accepted counts the restarts that were answered with the execution, running those
	// of them that came while it ran, unknown those that had an effect but no answer.
	accepted, running, refused, unknown int
	// late are the stages whose restart had no answer and no effect yet: it may still be
	// in the history.
	late []string
}

// after says which stages begin anew with one of the pipeline that is restarted.
var after = map[string][]string{"first": {"first", "second", "third"}, "second": {"second", "third"}, "third": {"third"}, "beside": {"beside"}}

// cameLate reports whether a restart without an answer can be what began a stage anew,
// and takes it off the list.
func (r *restarter) cameLate(refID string) bool {
	i := slices.IndexFunc(r.late, func(restarted string) bool { return slices.Contains(after[restarted], refID) })
	if i >= 0 {
		r.late = slices.Delete(r.late, i, i+1)
		r.unknown++
	}
	return i >= 0
}

// look reads the execution, as soon as somebody answers.
func (r *restarter) look(ctx context.Context) (e restarted) {
	for ctx.Err() == nil {
		status, raw, err := r.at.send(ctx, http.MethodGet, r.path, http.Header{}, nil)
		if err == nil && status == http.StatusOK {
			if err := json.Unmarshal(raw, &e); err != nil {
				r.t.Errorf("execution: %v in %s", err, raw)
			}
			return e
		}
		time.Sleep(50 * time.Millisecond)
	}
	return e
}

// restart restarts a stage, one that is over as far as there is one, and checks that its
// attempt is the next one exactly when that was accepted.
func (r *restarter) restart(ctx context.Context, random *rand.Rand) {
	before := r.look(ctx)
	var refID, id string
	for _, i := range random.Perm(len(before.Stages)) {
		if s := before.Stages[i]; id == "" || s.Status == "SUCCEEDED" {
			refID, id = s.RefID, s.ID
		}
	}
	status, raw, err := r.at.send(ctx, http.MethodPut, r.path+"/stages/"+id+"/restart", http.Header{}, map[string]any{})
	was, now := before.attempts(), r.look(ctx).attempts()
	if ctx.Err() != nil {
		return
	}
	more := now[refID] - was[refID]
	switch {
	case err != nil || status >= http.StatusInternalServerError: // it died, before it had taken the restart or after
		switch {
		case more == 0:
			r.late = append(r.late, refID)
		case more == 1 || more == 2 && r.cameLate(refID):
			r.unknown++
		default:
			r.t.Errorf("a restart of stage %s without an answer made attempt %d of attempt %d", refID, now[refID], was[refID])
		}
	case status == http.StatusOK:
		if more != 1 && (more != 2 || !r.cameLate(refID)) {
			r.t.Errorf("a restart of stage %s made attempt %d of attempt %d", refID, now[refID], was[refID])
		}
		r.accepted++
		if before.Status == "RUNNING" {
			r.running++
		}
	case status == http.StatusConflict:
		if more != 0 && (more != 1 || !r.cameLate(refID)) {
			r.t.Errorf("a refused restart of stage %s made attempt %d of attempt %d: %s", refID, now[refID], was[refID], raw)
		}
		r.refused++
	default:
		r.t.Errorf("restart stage %s: %d %s", refID, status, raw)
	}
}

// TestKillsWhileStagesAreRestarted restarts stages of an execution, while it runs and
// after it has ended, and kills the process around it. Each restart that was accepted
// makes one attempt more, and every attempt ends once.
func TestKillsWhileStagesAreRestarted(t *testing.T) {
	t.Parallel()
	kills := kills(t)
	d := simulated(t)
	wait := func(refID string, seconds int, requisites ...string) map[string]any {
		return map[string]any{"type": "wait", "refId": refID, "name": refID, "waitTime": seconds, "requisiteStageRefIds": append([]string{}, requisites...)}
	}
	document := map[string]any{"application": "storefront", "name": "again", "limitConcurrent": true, "keepWaitingPipelines": true,
		"stages": []any{wait("first", 1), wait("second", 1, "first"), wait("third", 1, "second"), wait("beside", 4)}}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		t.Fatalf("save pipeline: %d %s", status, raw)
	}
	id := d.trigger("again", nil)
	seed := uint64(time.Now().UnixNano())
	r := &restarter{t: t, at: &address{url: d.url}, path: "/pipelines/" + id}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	done := make(chan struct{})
	var restarts sync.WaitGroup
	restarts.Go(func() {
		random := rand.New(rand.NewPCG(seed, 1))
		for ctx.Err() == nil {
			select {
			case <-done:
				if r.running > 0 && r.accepted > r.running {
					return
				}
			default:
			}
			r.restart(ctx, random)
			time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		}
	})
	d.killWhile(r.at, rand.New(rand.NewPCG(seed, 2)), kills, 6*time.Second)
	close(done)
	restarts.Wait()
	if r.running == 0 || r.accepted == r.running {
		t.Errorf("%d restarts were accepted, %d of them while the execution ran", r.accepted, r.running)
	}
	d.until(2*time.Minute, "the execution to end", func() bool { return r.look(ctx).Status == "SUCCEEDED" })
	attempts := r.look(ctx).attempts()
	ends := map[string]int{}
	for _, event := range d.told(id) {
		if event.Type == "stage" && event.Data.Status != "NOT_STARTED" && event.Data.Status != "RUNNING" {
			if event.Data.Status != "SUCCEEDED" {
				t.Errorf("event %d: stage %s is %s", event.ID, event.Data.RefID, event.Data.Status)
			}
			ends[event.Data.RefID]++
		}
	}
	total := 0
	for refID, n := range attempts {
		if total += n - 1; ends[refID] != n {
			t.Errorf("stage %s is at attempt %d and ended %d times", refID, n, ends[refID])
		}
	}
	if total < r.accepted+r.unknown {
		t.Errorf("%d attempts came of %d restarts", total, r.accepted+r.unknown)
	}
	t.Logf("seed %d: %d kills; %d restarts, %d of them while it ran; %d refused, %d without an answer; attempts %v", seed, kills, r.accepted, r.running, r.refused, r.unknown, attempts)
}
