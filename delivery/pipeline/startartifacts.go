package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// UsesPrior reports whether a start has to know what an earlier one was bound to.
func (d Definition) UsesPrior() bool {
	for _, e := range d.Artifacts {
		if e.UsePrior {
			return true
		}
	}
	return false
}

// PriorLooks is how many earlier executions are looked at for an artifact.
const PriorLooks = 10

// WithPrior returns the definition with what earlier executions of the pipeline were
// bound to, the newest first, for the expected artifacts that fall back on it.
func (d Definition) WithPrior(earlier []delivery.Execution) Definition {
	d.prior = map[string]Artifact{}
	for _, e := range earlier {
		if dryRun(e.Trigger) { // it started nothing that others go on from
			continue
		}
		for id, bound := range boundIn(e.Trigger.Document) {
			if _, newer := d.prior[id]; !newer {
				d.prior[id] = bound
			}
		}
	}
	return d
}

// boundIn are the artifacts of a trigger by the ids of the expected ones.
func boundIn(trigger json.RawMessage) map[string]Artifact {
	var doc struct {
		Resolved []struct {
			ID            string          `json:"id"`
			BoundArtifact json.RawMessage `json:"boundArtifact"`
		} `json:"resolvedExpectedArtifacts"`
	}
	out := map[string]Artifact{}
	if len(trigger) == 0 || json.Unmarshal(trigger, &doc) != nil {
		return out
	}
	for _, r := range doc.Resolved {
		if o, ok := (&reader{}).object("", r.BoundArtifact); ok {
			out[r.ID] = readArtifact(o)
		}
	}
	return out
}

// bindArtifacts returns the trigger with its artifacts checked and the expected
// artifacts of the pipeline resolved. As in Spinnaker its artifacts are then those that it
// was given and those that were bound. A trigger without artifacts of a pipeline that
// expects none stays as it is.
func (d Definition) bindArtifacts(t delivery.Trigger) (delivery.Trigger, error) {
	fields := map[string]json.RawMessage{}
	if len(t.Document) > 0 && json.Unmarshal(t.Document, &fields) != nil {
		return t, delivery.Errorf(delivery.Invalid, "the trigger is not an object")
	}
	given, err := ParseArtifacts(fields["artifacts"])
	if err != nil {
		return t, delivery.InvalidError("artifacts are not valid", delivery.Under("/artifacts", delivery.FindingsOf(err)))
	}
	var ids []string
	if delivery.JSONKind(fields["expectedArtifactIds"]) == "list" && json.Unmarshal(fields["expectedArtifactIds"], &ids) != nil {
		return t, delivery.InvalidError("artifacts are not valid", []delivery.Finding{{Pointer: "/expectedArtifactIds", Message: "must be a list of strings"}})
	}
	if len(d.Artifacts) == 0 {
		return t, nil
	}
	resolved, err := d.ResolveArtifacts(ids, given, d.prior)
	if err != nil {
		return t, err
	}
	if fields["artifacts"], err = json.Marshal(withBound(given, resolved)); err != nil {
		return t, fmt.Errorf("encode artifacts: %w", err)
	}
	if fields["resolvedExpectedArtifacts"], err = json.Marshal(append([]ResolvedArtifact{}, resolved...)); err != nil {
		return t, fmt.Errorf("encode artifacts: %w", err)
	}
	if t.Document, err = json.Marshal(fields); err != nil {
		return t, fmt.Errorf("encode trigger: %w", err)
	}
	return t, nil
}

// withBound are the given artifacts and those that expected ones were bound to, each once.
func withBound(given []Artifact, resolved []ResolvedArtifact) []Artifact {
	out := append([]Artifact{}, given...)
	for _, r := range resolved {
		if !slices.ContainsFunc(out, r.Bound.same) {
			out = append(out, r.Bound)
		}
	}
	return out
}
