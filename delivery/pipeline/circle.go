package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// WaitsForItself refuses what would start a pipeline in one of its own stages and wait
// for it, as far as that can be known before expressions are evaluated: stages of
// ChildType, and the pipelines that deployments wait for. Longer circles, and those
// that a condition of the stage may end, show when they run, see NeverBegins.
func (d Definition) WaitsForItself(p delivery.Pipeline) []delivery.Finding {
	var out []delivery.Finding
	for i, s := range d.Stages {
		pointers := gatesOn(s, p.ID)
		if at := startsItself(s, p); at != "" && (s.Condition == "" || d.limit() > 0) { // a condition may end the circle
			pointers = append(pointers, at)
		}
		slices.Sort(pointers)
		for _, at := range slices.Compact(pointers) { // a cluster stands once for each of its regions
			out = append(out, delivery.Finding{Pointer: fmt.Sprintf("/stages/%d%s", i, at),
				Message: "is this pipeline: each execution would start another one and wait for it; name another pipeline"})
		}
	}
	return out
}

// startsItself is the pointer of the field by which a stage starts the pipeline that it
// stands in and waits for it; empty when it does not.
func startsItself(s StageSpec, p delivery.Pipeline) string {
	if s.Type != ChildType {
		return ""
	}
	o, ok := (&reader{deferred: true}).document(s.Context())
	if !ok || slices.ContainsFunc([]string{"application", "pipelineApplication", "waitForCompletion"}, o.dynamic) {
		return ""
	}
	c := readChild(o)
	here := c.Application == "" || strings.EqualFold(c.Application, p.Application)
	named := c.Pipeline != "" && (c.Pipeline == p.ID || strings.EqualFold(c.Pipeline, p.Name))
	switch {
	case !c.Wait || !here || !named:
		return ""
	case o.text("pipeline") != "":
		return "/pipeline"
	default:
		return "/pipelineId"
	}
}

// gatesOn are the pointers at which the deployments of a stage wait for the pipeline with
// an id.
func gatesOn(s StageSpec, id string) []string {
	var out []string
	if id == "" {
		return nil // a new pipeline, which nothing can name
	}
	look := func(at string, strategy rollout.Strategy) {
		if ref := strategy.PipelineBeforeCleanup; ref != nil && ref.PipelineID == id {
			out = append(out, at+"/pipelineBeforeCleanup/pipelineId")
		}
		for n, step := range strategy.Canary {
			if step.Gate != nil && step.Gate.Pipeline != nil && step.Gate.Pipeline.PipelineID == id {
				out = append(out, fmt.Sprintf("%s/steps/%d/gate/pipeline/pipelineId", at, n))
			}
		}
	}
	for _, c := range Intended(s).Clusters {
		look(c.Pointer, c.Strategy)
	}
	for _, c := range IntendedOperations(s).Clusters {
		look("", c.Strategy)
	}
	return out
}

// NeverBegins is why an execution of a pipeline that others wait for could not begin
// before they end, Invalid; nil when it can. The parents are the execution that is to
// start it and wait for it, and those that started that one, the nearest first.
func NeverBegins(p delivery.Pipeline, d Definition, parents []delivery.Execution) error {
	limit := d.limit()
	if limit <= 0 {
		return nil
	}
	var held []string
	for i, parent := range parents {
		if i > 0 && !waitsFor(parent, parents[i-1]) {
			break
		}
		if parent.PipelineConfigID == p.ID {
			held = append(held, string(parent.ID))
		}
	}
	if len(held) < limit {
		return nil
	}
	return delivery.Errorf(delivery.Invalid, "pipeline %s of application %s runs %d at a time, and execution %s of it waits for this one: neither would ever end; name another pipeline, do not wait for it, or change limitConcurrent and maxConcurrentExecutions",
		p.Name, p.Application, limit, strings.Join(held[:limit], ", "))
}

// waitsFor reports whether an execution cannot end before one that it started has.
func waitsFor(parent, child delivery.Execution) bool {
	if parent.Status.Complete() || child.Trigger.ParentExecution != parent.ID {
		return false
	}
	var from struct {
		Stage      string          `json:"parentPipelineStageId"`
		Deployment json.RawMessage `json:"parentDeployment"`
	}
	if json.Unmarshal(child.Trigger.Document, &from) != nil {
		return false
	}
	if len(from.Deployment) > 0 {
		return true
	}
	i := slices.IndexFunc(parent.Stages, func(s delivery.Stage) bool { return s.ID == from.Stage })
	if i < 0 || parent.Stages[i].Status.Complete() {
		return false
	}
	want, err := ParseChild(parent.Stages[i].Context)
	return err == nil && want.Wait
}

// limit is how many executions of the pipeline may run at once; zero is no limit.
func (d Definition) limit() int {
	return LimitsOf(delivery.Execution{LimitConcurrent: d.LimitConcurrent, MaxConcurrentExecutions: d.MaxConcurrentExecutions}).Concurrent
}
