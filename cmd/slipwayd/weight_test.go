package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

// weight is how many bytes the answers about one execution have, by itself and in a
// list that is not expanded, and its record.
type weight struct{ expanded, short, record int }

func (w weight) String() string {
	return fmt.Sprintf("%d bytes expanded, %d short, %d of record", w.expanded, w.short, w.record)
}

// weigh reads an execution in every way.
func (d *daemon) weigh(id string) weight {
	d.t.Helper()
	get := func(path string) int {
		status, raw := d.call(http.MethodGet, d.url+path, nil, nil)
		if status != http.StatusOK {
			d.t.Fatalf("read execution %s: %d %s", id, status, raw)
		}
		return len(raw)
	}
	records, err := store.Open(d.t.Context(), store.Config{Path: filepath.Join(d.dir, storeFile)})
	if err != nil {
		d.t.Fatal(err)
	}
	defer records.Close()
	e, err := records.Execution(d.t.Context(), delivery.ExecutionID(id))
	if err != nil {
		d.t.Fatal(err)
	}
	record, err := json.Marshal(e)
	if err != nil {
		d.t.Fatal(err)
	}
	return weight{get("/pipelines/" + id), get("/executions?expand=false&executionIds=" + id), len(record)}
}

// savePlain saves a pipeline of storefront.
func (d *daemon) savePlain(name string, stages ...any) {
	d.t.Helper()
	document := map[string]any{"application": "storefront", "name": name, "stages": stages}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		d.t.Fatalf("save pipeline %s: %d %s", name, status, raw)
	}
}

func variables(refID, key, value string, requisites ...string) map[string]any {
	return map[string]any{"type": "evaluateVariables", "refId": refID, "name": refID, "requisiteStageRefIds": append([]string{}, requisites...),
		"variables": []any{map[string]any{"key": key, "value": value}}}
}

// shown is an execution as the API shows it, with the parts that are weighed.
type shown struct {
	whole map[string]json.RawMessage
	// parent is the execution in its trigger; empty for none.
	parent json.RawMessage
	// own is how many bytes it has without its parent, head without its stages, too.
	own, head int
	stages    []map[string]json.RawMessage
}

// show reads an execution.
func (d *daemon) show(raw []byte) shown {
	d.t.Helper()
	size := func(fields map[string]json.RawMessage) int {
		out, err := json.Marshal(fields)
		if err != nil {
			d.t.Fatal(err)
		}
		return len(out)
	}
	var s shown
	var trigger map[string]json.RawMessage
	decode := func(raw []byte, into any) {
		d.t.Helper()
		if err := json.Unmarshal(raw, into); err != nil {
			d.t.Fatalf("%v in %s", err, raw)
		}
	}
	decode(raw, &s.whole)
	decode(s.whole["trigger"], &trigger)
	decode(s.whole["stages"], &s.stages)
	s.parent = trigger["parentExecution"]
	delete(trigger, "parentExecution")
	var err error
	if s.whole["trigger"], err = json.Marshal(trigger); err != nil {
		d.t.Fatal(err)
	}
	s.own = size(s.whole)
	stages := s.whole["stages"]
	s.whole["stages"] = json.RawMessage(`[]`)
	s.head = size(s.whole)
	s.whole["stages"] = stages
	return s
}

// TestFiveLevels starts pipelines by one another, five levels deep, each with outputs of
// its own that the level above reads. What a level weighs depends on itself and on its
// parent, not on how deep it is.
func TestFiveLevels(t *testing.T) {
	t.Parallel()
	const levels, own = 5, 6 << 10
	const taken = 32<<10 + 256 // what a stage takes over of the outputs of another execution, and what it says of it
	d := simulated(t)
	for n := levels; n > 0; n-- {
		stages := []any{variables("own", fmt.Sprint("made", n), strings.Repeat(fmt.Sprint(n), own))}
		if n < levels {
			reads := fmt.Sprintf("${made%d}", n+1)
			if n == 1 {
				reads = "${outputsLeftOut}" // it is 42 KiB by then
			}
			stages = append(stages, map[string]any{"type": "pipeline", "refId": "child", "name": "child", "application": "storefront", "pipeline": fmt.Sprint("level-", n+1),
				"requisiteStageRefIds": []string{"own"}}, variables("after", "seen", reads, "child"))
		} else {
			stages = append(stages, variables("after", "above", "${trigger.parentExecution.name} ${trigger.parentExecution.trigger.parentExecution.trigger.parentExecution.name}", "own"))
		}
		d.savePlain(fmt.Sprint("level-", n), stages...)
	}
	if e := d.await(d.trigger("level-1", nil), 3*time.Minute); e.Status != "SUCCEEDED" {
		t.Fatalf("the first level ended %s", e.Status)
	}
	var ids [levels + 1]string
	for n := 1; n <= levels; n++ {
		found := d.records(fmt.Sprint("level-", n))
		if len(found) != 1 {
			t.Fatalf("level %d was started %d times", n, len(found))
		}
		ids[n] = found[0].ID
	}
	var all [levels + 1]shown
	sum := 0
	for n := 1; n <= levels; n++ {
		w := d.weigh(ids[n])
		_, raw := d.call(http.MethodGet, d.url+"/pipelines/"+ids[n], nil, nil)
		all[n] = d.show(raw)
		sum += all[n].own
		t.Logf("level %d: %s; %d by itself, %d without stages", n, w, all[n].own, all[n].head)
		expanded := all[n].own
		for above := n - 1; above > 0; above-- {
			parent := all[above].head
			if above == n-1 {
				parent = all[above].own
			}
			expanded += parent + 32
		}
		const stageHead, parentHead = 600, 300 // a stage without context and outputs; a parent as the trigger tells it
		short := all[n].head + parentHead + stageHead*len(all[n].stages)
		if w.expanded > expanded || w.short > short || w.record > all[n].own {
			t.Errorf("level %d: %s; want at most %d, %d and %d", n, w, expanded, short, all[n].own)
		}
		for _, s := range all[n].stages {
			if len(s["outputs"]) > taken {
				t.Errorf("level %d: stage %s has %d bytes of outputs", n, s["refId"], len(s["outputs"]))
			}
		}
	}
	for n := range levels {
		var seen map[string]string
		last := all[n+1].stages[len(all[n+1].stages)-1]
		if err := json.Unmarshal(last["outputs"], &seen); err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat(fmt.Sprint(n+2), own)
		switch n + 1 {
		case levels:
			if seen["above"] != "level-4 level-2" {
				t.Errorf("the last level sees %q above it", seen["above"])
			}
			continue
		case 1:
			want = "the stages put out"
		}
		if !strings.HasPrefix(seen["seen"], want) {
			t.Errorf("level %d does not see what level %d made: %.80q", n+1, n+2, seen["seen"])
		}
	}
	for expand, most := range map[string]int{"true": sum, "false": sum} {
		if _, raw := d.call(http.MethodGet, d.url+"/applications/storefront/pipelines?limit=100&expand="+expand, nil, nil); len(raw) > most+1<<10 {
			t.Errorf("the list with expand=%s has %d bytes; want at most %d", expand, len(raw), most+1<<10)
		} else {
			t.Logf("the list of all levels with expand=%s: %d bytes", expand, len(raw))
		}
	}
}

// TestFiveHundredStages weighs an execution of 500 stages.
func TestFiveHundredStages(t *testing.T) {
	t.Parallel()
	const stages, wide = 500, 10
	d := simulated(t)
	var all []any
	for i := range stages {
		stage := map[string]any{"type": "wait", "refId": fmt.Sprint(i), "name": fmt.Sprint("Wait ", i), "waitTime": 0, "requisiteStageRefIds": []string{}}
		if i >= wide {
			stage["requisiteStageRefIds"] = []string{fmt.Sprint(i - wide)}
		}
		all = append(all, stage)
	}
	d.savePlain("wide", all...)
	id := d.trigger("wide", nil)
	if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
		t.Fatalf("it ended %s", e.Status)
	}
	w := d.weigh(id)
	_, list := d.call(http.MethodGet, d.url+"/applications/storefront/pipelines?expand=false", nil, nil)
	t.Logf("%d stages: %s, %d in the list", stages, w, len(list))
	if w.expanded > stages<<10 || w.short > 600*stages || len(list) > 600*stages || w.record > 500*stages {
		t.Error("too much")
	}
}
