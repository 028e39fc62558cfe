package pipeline

import (
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// FindArtifactType is the stage type that takes artifacts of an execution of another
// pipeline.
const FindArtifactType = "findArtifactFromExecution"

// FindArtifact is the input of a stage of FindArtifactType.
type FindArtifact struct {
	// Application is empty for the application of the execution.
	Application string
	// Pipeline is the id or the name of a saved pipeline.
	Pipeline string
	// Statuses are those that its execution may have; nil for any.
	Statuses []delivery.Status
	expected Definition
}

// FoundArtifacts are the outputs of the stage, under Spinnaker's names.
type FoundArtifacts struct {
	Resolved  []ResolvedArtifact `json:"resolvedExpectedArtifacts"`
	Artifacts []Artifact         `json:"artifacts"`
}

func readFindArtifact(o object) FindArtifact {
	f := FindArtifact{Application: o.text("application"), Pipeline: o.requiredText("pipeline")}
	if options, ok := o.child("executionOptions"); ok {
		for _, wanted := range []struct {
			name   string
			status delivery.Status
		}{{"successful", delivery.StatusSucceeded}, {"succeeded", delivery.StatusSucceeded}, {"terminal", delivery.StatusTerminal}, {"running", delivery.StatusRunning}} {
			if options.flag(wanted.name, false) {
				f.Statuses = append(f.Statuses, wanted.status)
			}
		}
	}
	before := len(o.r.findings)
	f.expected.Artifacts = readExpected(o)
	if len(f.expected.Artifacts) == 0 && len(o.r.findings) == before && !o.r.deferredIn(o.fields["expectedArtifacts"]) && !o.r.deferredIn(o.fields["expectedArtifact"]) {
		o.refuse("expectedArtifacts", "is required: what the artifacts are like")
	}
	return f
}

// readExpected reads what a stage looks for: a list, or one in its older form.
func readExpected(o object) []ExpectedArtifact {
	name, fields := "expectedArtifacts", o.fields
	if raw, older := o.fields["expectedArtifact"]; older && !o.given(name) && delivery.JSONKind(raw) == "object" {
		fields = map[string]json.RawMessage{name: json.RawMessage("[" + string(raw) + "]")}
	}
	if o.r.deferredIn(fields[name]) {
		return nil // it is read once its expressions are evaluated
	}
	return parseExpected(object{r: o.r, at: o.at, fields: fields})
}

// deferredIn reports whether a part of the document is to be read once its expressions
// are evaluated.
func (r *reader) deferredIn(part json.RawMessage) bool {
	return r.deferred && strings.Contains(string(part), "${")
}

// ParseFindArtifact reads an evaluated stage. An Invalid error carries findings with
// pointers relative to the stage.
func ParseFindArtifact(context json.RawMessage) (FindArtifact, error) {
	r := &reader{}
	var out FindArtifact
	if o, ok := r.document(context); ok {
		out = readFindArtifact(o)
	}
	return out, delivery.InvalidError("findArtifactFromExecution stage is not valid", r.findings)
}

// Among returns the artifacts of an execution that the stage asks for: those that it
// was started with and those that its stages put out. Invalid, with the places of
// what is not among them, or is more than once.
func (f FindArtifact) Among(e delivery.Execution) (FoundArtifacts, error) {
	return bindAll(f.expected, EndEvent(e).Artifacts)
}

// bindAll binds all expected artifacts among those that are there.
func bindAll(expected Definition, given []Artifact) (FoundArtifacts, error) {
	var ids []string
	for _, e := range expected.Artifacts {
		ids = append(ids, e.ID)
	}
	resolved, err := expected.ResolveArtifacts(ids, given, nil)
	if err != nil {
		return FoundArtifacts{}, err
	}
	out := FoundArtifacts{Resolved: resolved}
	for _, r := range resolved {
		out.Artifacts = append(out.Artifacts, r.Bound)
	}
	return out, nil
}
