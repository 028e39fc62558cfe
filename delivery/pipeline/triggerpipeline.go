package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// PipelineType is the type of triggers that the end of another pipeline fires.
const PipelineType = "pipeline"

// MaxChain is how many pipelines may start one another in a row.
const MaxChain = 20

// outcomes are Spinnaker's words for how a pipeline ended.
var outcomes = []string{"successful", "failed", "canceled", "suspended"}

// outcome is the word for an end.
func outcome(s delivery.Status) string {
	switch s {
	case delivery.StatusSucceeded:
		return "successful"
	case delivery.StatusCanceled:
		return "canceled"
	default:
		return "failed"
	}
}

// pipelineTrigger waits for an end of another pipeline.
type pipelineTrigger struct {
	pipeline string
	outcomes []string
}

func readPipelineTrigger(o object, t *Trigger) {
	p := pipelineTrigger{pipeline: t.needed(o, "pipeline"), outcomes: o.texts("status")}
	for i, word := range p.outcomes {
		if !slices.Contains(outcomes, word) {
			o.r.refuse(fmt.Sprintf("%s/%d", o.pointer("status"), i), "is %q; must be %s", word, strings.Join(outcomes, ", "))
		}
	}
	if kind := delivery.JSONKind(o.fields["status"]); t.Enabled && len(p.outcomes) == 0 && (kind == "null" || kind == "list") {
		o.refuse("status", "is required: which ends start the pipeline (%s)", strings.Join(outcomes, ", "))
	}
	if id := o.r.pipeline; id != "" && id == p.pipeline && t.Enabled {
		o.refuse("pipeline", "is this pipeline: it would start itself for ever")
	}
	t.on = p
}

func (p pipelineTrigger) match(e Event) (facts, bool) {
	if e.ended == nil || e.Source != p.pipeline || !slices.Contains(p.outcomes, outcome(e.ended.Status)) {
		return nil, false
	}
	return parentFacts(*e.ended), true
}

func parentFacts(parent delivery.Execution) facts {
	return facts{"parentPipelineId": parent.PipelineConfigID, "parentPipelineName": parent.Name,
		"parentPipelineApplication": parent.Application, "parentStatus": parent.Status, "isPipeline": true}
}

// ChildTrigger is the trigger of an execution that another one starts. Its document
// tells of the parent what needs no look at it.
func ChildTrigger(parent delivery.Execution) delivery.Trigger {
	t := delivery.Trigger{Type: PipelineType, User: delivery.System.Name, ParentExecution: parent.ID, Depth: parent.Trigger.Depth + 1}
	document, err := json.Marshal(parentFacts(parent))
	if err == nil { // texts always encode
		t.Document = document
	}
	return t
}

// EndEvent is the end of an execution. Its artifacts are those that the execution was
// started with and those that its stages put out.
func EndEvent(ended delivery.Execution) Event {
	e := Event{Type: PipelineType, Source: ended.PipelineConfigID, Payload: json.RawMessage(`{}`), ended: &ended, Artifacts: artifactsIn(ended.Trigger.Document)}
	e.Artifacts = append(e.Artifacts, putOut(ended)...)
	if len(e.Artifacts) > maxArtifacts {
		e.Artifacts = e.Artifacts[:maxArtifacts]
	}
	return e
}

// putOut are the artifacts that the stages of an execution put out.
func putOut(e delivery.Execution) []Artifact {
	var out []Artifact
	for _, s := range e.Stages {
		out = append(out, artifactsIn(s.Outputs)...)
	}
	return out
}

// EndKey tells one end of an execution from every other: "ended/01JD3Z8Q6V5T0H3W4M8N7K2RXA",
// and "...~2" for the second end, after a restart.
func EndKey(ended delivery.Execution) string {
	key := "ended/" + string(ended.ID)
	if ended.Restarts > 0 {
		key += fmt.Sprintf("~%d", ended.Restarts+1)
	}
	return key
}

// TriggerSource says which events may fire a trigger.
type TriggerSource struct{ Type, Source string }

// sourceFields are the fields of a trigger that its events' source has to equal.
var sourceFields = map[string]string{WebhookType: "source", GitType: "source", DockerType: "account", "jenkins": "master", "travis": "master", "concourse": "master", PipelineType: "pipeline"}

// TriggerSources returns which events may fire triggers of a pipeline, each once and
// in order. It reads what it can of a document that is not right.
func TriggerSources(document json.RawMessage) []TriggerSource {
	var doc struct{ Triggers []json.RawMessage }
	if json.Unmarshal(document, &doc) != nil {
		return nil
	}
	var out []TriggerSource
	for _, raw := range doc.Triggers {
		r := &reader{}
		o, ok := r.object("", raw)
		if !ok {
			continue
		}
		kind := o.text("type")
		field, ok := sourceFields[kind]
		if source := o.text(field); ok && source != "" && o.flag("enabled", true) {
			out = append(out, NewTriggerSource(kind, source))
		}
	}
	slices.SortFunc(out, func(a, b TriggerSource) int {
		return strings.Compare(a.Type+"\x00"+a.Source, b.Type+"\x00"+b.Source)
	})
	return slices.Compact(out)
}

// NewTriggerSource returns the source as it is compared: of git, upper and lower case
// are the same.
func NewTriggerSource(kind, source string) TriggerSource {
	if kind == GitType {
		source = strings.ToLower(source)
	}
	return TriggerSource{kind, source}
}
