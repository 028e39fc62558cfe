package pipeline

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Definition is a pipeline document that was read and found right.
type Definition struct {
	// Stages stand in the document's order.
	Stages     []StageSpec
	Parameters []Parameter
	Triggers   []Trigger
	Artifacts  []ExpectedArtifact
	// LimitConcurrent, MaxConcurrentExecutions and KeepWaitingPipelines limit how many
	// executions run at once.
	LimitConcurrent         bool
	MaxConcurrentExecutions int
	KeepWaitingPipelines    bool
	// Timezone is that of the stages' execution windows that name none; empty for Spinnaker's.
	Timezone string
	// prior are earlier artifacts by the ids of the expected ones.
	prior map[string]Artifact
	// TemplateVariables are the values of a template's variables as a JSON object;
	// nil in a pipeline that was not made from one.
	TemplateVariables json.RawMessage
}

// Stage returns the stage with that refId, or nil.
func (d Definition) Stage(refID string) *StageSpec {
	for i := range d.Stages {
		if d.Stages[i].RefID == refID {
			return &d.Stages[i]
		}
	}
	return nil
}

// StageSpec is one stage of a pipeline.
type StageSpec struct {
	// RefID is unique in the pipeline. Numbers are read as their digits.
	RefID string
	Type  string
	// Name is the type when the document gives none.
	Name string
	// Requisites are the refIds of the stages that must be over before.
	Requisites []string
	OnFailure  FailureMode
	// Retry is how often it is tried before OnFailure counts.
	Retry Retry
	// Condition is the expression without which the stage is skipped; empty for always.
	Condition string
	// Windowed stages begin only in their window.
	Windowed bool
	// Raw is the stage object as it stands in the document, with unknown keys
	// and with its expressions.
	Raw json.RawMessage
}

// identity are the keys of a stage object that are fields of a stage, not input to it.
// The condition is one: it is evaluated before the input is.
var identity = [...]string{"refId", "requisiteStageRefIds", "type", "name", "stageEnabled"}

// Context returns the stage's input: Raw without refId, requisiteStageRefIds,
// type, name and stageEnabled. ParseDeploy and ParseWait read it after its expressions were
// evaluated.
func (s StageSpec) Context() json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(s.Raw, &fields) != nil || fields == nil {
		return json.RawMessage(`{}`)
	}
	for _, key := range identity {
		delete(fields, key)
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return out
}

// FailureMode says what a failed stage does to the rest of its execution. The
// modes are the four radio buttons of Spinnaker's stage editor.
type FailureMode string

// The failure modes.
const (
	// HaltPipeline fails the execution at once; other branches are canceled.
	HaltPipeline FailureMode = "haltPipeline"
	// HaltBranch stops what comes after the stage. Other branches finish and the
	// execution succeeds.
	HaltBranch FailureMode = "haltBranch"
	// HaltBranchThenFail stops what comes after the stage. Other branches finish
	// and the execution fails.
	HaltBranchThenFail FailureMode = "haltBranchThenFail"
	// Ignore lets what comes after the stage run.
	Ignore FailureMode = "ignore"
)

// Status returns the status that a failed stage of this mode takes.
func (m FailureMode) Status() delivery.Status {
	switch m {
	case Ignore:
		return delivery.StatusFailedContinue
	case HaltBranch, HaltBranchThenFail:
		return delivery.StatusStopped
	default:
		return delivery.StatusTerminal
	}
}

// Parse reads a pipeline document. An Invalid error carries every finding, with
// JSON pointers into the document: malformed JSON, wrong types, an unknown stage
// type, broken edges, cycles, and what the stage types themselves refuse. A
// pipeline without stages is right: it can be saved, and fails when it is run. So is
// one of TemplatedType, whose stages PlanTemplate gives.
func Parse(document json.RawMessage) (Definition, error) {
	return parse(document, &reader{deferred: true})
}

func parse(document json.RawMessage, r *reader) (Definition, error) {
	var d Definition
	if doc, ok := r.document(document); ok {
		doc.text("name")
		doc.text("application")
		if v, ok := doc.child("templateVariables"); ok {
			d.TemplateVariables = encoded(v.fields)
		}
		if doc.given("timezone") {
			d.Timezone = readZone(doc, "").String()
		}
		d.limits(doc)
		d.Parameters = parseParameters(doc)
		d.Stages = parseStages(doc)
		d.refuseMissing(r, doc)
		r.pipeline = doc.text("id")
		d.Artifacts = parseExpected(doc)
		d.Triggers = parseTriggers(doc)
		if len(r.findings) == 0 {
			r.findings = d.checkTriggers()
		}
	}
	if err := delivery.InvalidError("pipeline is not valid", r.findings); err != nil {
		return Definition{}, err
	}
	return d, nil
}

// maxStages bounds a pipeline. Each change of a stage writes the record of them all, so
// thousands would take days.
const maxStages = 500

func parseStages(doc object) []StageSpec {
	elements := doc.list("stages")
	if len(elements) > maxStages {
		doc.refuse("stages", "has %d stages; %d are allowed. A stage of type pipeline can run a part of them", len(elements), maxStages)
		return nil
	}
	objects := make([]object, len(elements))
	linear := true
	for i, raw := range elements {
		objects[i], _ = doc.r.object(fmt.Sprintf("%s/%d", doc.pointer("stages"), i), raw)
		linear = linear && !objects[i].given("refId")
	}
	out := make([]StageSpec, len(objects))
	for i, o := range objects {
		if o.fields == nil {
			continue
		}
		out[i] = parseStage(o, elements[i])
		if linear {
			if len(o.list("requisiteStageRefIds")) > 0 {
				o.refuse("requisiteStageRefIds", "names stages, but no stage has a refId")
			}
			out[i].RefID, out[i].Requisites = strconv.Itoa(i), nil
			if i > 0 {
				out[i].Requisites = []string{strconv.Itoa(i - 1)}
			}
			continue
		}
		out[i].RefID = parseRefID(o, "refId")
		out[i].Requisites = parseRequisites(o)
	}
	if !linear {
		checkEdges(doc.r, out)
	}
	return out
}

func parseStage(o object, raw json.RawMessage) StageSpec {
	s := StageSpec{Raw: raw, Name: o.text("name"), OnFailure: failureMode(o)}
	if o.dynamic("name") {
		s.Name = unquote(o.fields["name"])
	}
	if o.dynamic("type") {
		o.refuse("type", "must not be an expression")
	} else if s.Type = o.requiredText("type"); s.Type != "" {
		checkType(o, s.Type)
	}
	if s.Name == "" {
		s.Name = s.Type
	}
	s.Retry = readRetry(o)
	s.Condition = condition(o)
	s.Windowed = readWindow(o, "") != nil || o.flag(WindowType, false)
	if s.Type != WebhookStageType { // which reads stageTimeoutMs itself
		readStageOptions(o)
	}
	return s
}

// failureMode reads Spinnaker's three flags. continuePipeline wins over
// failPipeline, as in Spinnaker.
func failureMode(o object) FailureMode {
	ignore := o.flag("continuePipeline", false)
	halt := o.flag("failPipeline", true)
	thenFail := o.flag("completeOtherBranchesThenFail", false)
	for _, name := range [...]string{"continuePipeline", "failPipeline", "completeOtherBranchesThenFail"} {
		if o.dynamic(name) {
			o.refuse(name, "must not be an expression")
		}
	}
	switch {
	case ignore:
		return Ignore
	case halt:
		return HaltPipeline
	case thenFail:
		return HaltBranchThenFail
	default:
		return HaltBranch
	}
}

// condition reads stageEnabled. Spinnaker's editor leaves an object without an
// expression behind, and it means "run".
func condition(o object) string {
	child, ok := o.child("stageEnabled")
	if !ok {
		return ""
	}
	if kind := child.text("type"); kind != "" && kind != "expression" {
		child.refuse("type", "is %q; must be expression", kind)
	}
	if raw := child.fields["expression"]; delivery.JSONKind(raw) == "boolean" {
		return string(raw)
	}
	if child.dynamic("expression") {
		return unquote(child.fields["expression"])
	}
	return strings.TrimSpace(child.text("expression"))
}
