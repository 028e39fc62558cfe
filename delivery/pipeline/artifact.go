package pipeline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// maxArtifacts is how many artifacts a start can have.
const maxArtifacts = 500

// Artifact is something that was built, in Spinnaker's words.
type Artifact struct {
	// Type is, for example, "docker/image".
	Type      string `json:"type,omitempty"`
	Name      string `json:"name,omitempty"`
	Version   string `json:"version,omitempty"`
	Location  string `json:"location,omitempty"`
	Reference string `json:"reference,omitempty"`
	// raw is the artifact as it was sent, with its other fields.
	raw json.RawMessage
}

// MarshalJSON returns the artifact as it was sent.
func (a Artifact) MarshalJSON() ([]byte, error) {
	if len(a.raw) > 0 {
		return a.raw, nil
	}
	type plain Artifact
	return json.Marshal(plain(a))
}

// ParseArtifacts reads a list of artifacts; nothing and null are an empty one. An
// Invalid error carries findings with pointers relative to the list.
func ParseArtifacts(list json.RawMessage) ([]Artifact, error) {
	if delivery.JSONKind(list) == "null" {
		return nil, nil
	}
	r := &reader{}
	found := readArtifacts(object{r: r, fields: map[string]json.RawMessage{"artifacts": list}}, "artifacts")
	for i := range r.findings {
		r.findings[i].Pointer = strings.TrimPrefix(r.findings[i].Pointer, "/artifacts")
	}
	return found, delivery.InvalidError("artifacts are not valid", r.findings)
}

func readArtifacts(o object, name string) []Artifact {
	found := o.objects(name)
	if len(found) > maxArtifacts {
		o.refuse(name, "has %d artifacts; %d are allowed", len(found), maxArtifacts)
		return nil
	}
	var out []Artifact
	for _, a := range found {
		out = append(out, readArtifact(a))
	}
	return out
}

func readArtifact(o object) Artifact {
	a := Artifact{Type: o.text("type"), Name: o.text("name"), Version: o.text("version"), Location: o.text("location"), Reference: o.text("reference")}
	raw, err := json.Marshal(o.fields)
	if err == nil {
		a.raw = raw
	}
	return a
}

// artifactsIn are the artifacts among the fields of an object; none when it has
// something else under their name.
func artifactsIn(fields json.RawMessage) []Artifact {
	var doc struct {
		Artifacts json.RawMessage `json:"artifacts"`
	}
	if len(fields) == 0 || json.Unmarshal(fields, &doc) != nil {
		return nil
	}
	found, err := ParseArtifacts(doc.Artifacts)
	if err != nil {
		return nil
	}
	return found
}

// ExpectedArtifact is an artifact that the executions of a pipeline need.
type ExpectedArtifact struct {
	ID string
	// Name is what people call it.
	Name string
	// UsePrior takes what an earlier execution of the pipeline resolved, and Default is
	// used when nothing else is there; nil for no default.
	UsePrior bool
	Default  *Artifact
	raw      map[string]json.RawMessage
	patterns map[string]*regexp.Regexp
}

// artifactFields are the fields of an artifact that an expected one can ask for.
var artifactFields = []string{"type", "name", "version", "location", "reference"}

func parseExpected(doc object) []ExpectedArtifact {
	var out []ExpectedArtifact
	taken := map[string]string{}
	deferred := doc.r.deferred
	doc.r.deferred = false // artifacts are bound before anything is evaluated
	defer func() { doc.r.deferred = deferred }()
	for _, o := range doc.objects("expectedArtifacts") {
		e := ExpectedArtifact{ID: o.requiredText("id"), Name: o.text("displayName"), UsePrior: o.flag("usePriorArtifact", false), raw: o.fields, patterns: map[string]*regexp.Regexp{}}
		if match, ok := o.child("matchArtifact"); ok {
			refuseExpressions(match)
			for _, name := range artifactFields {
				e.patterns[name] = match.pattern(name)
			}
		}
		if o.flag("useDefaultArtifact", false) {
			if byDefault, ok := o.child("defaultArtifact"); ok {
				refuseExpressions(byDefault)
				a := readArtifact(byDefault)
				e.Default = &a
			} else if !o.given("defaultArtifact") {
				o.refuse("defaultArtifact", "is required: useDefaultArtifact is true")
			}
		}
		if at, ok := taken[e.ID]; ok && e.ID != "" {
			o.refuse("id", "%q is the id of %s already", e.ID, at)
		}
		taken[e.ID] = o.at
		out = append(out, e)
	}
	return out
}

// refuseExpressions refuses what would never be evaluated.
func refuseExpressions(o object) {
	for _, name := range artifactFields {
		if isExpression(o.fields[name]) {
			o.refuse(name, "must not be an expression: artifacts are bound before anything is evaluated")
		}
	}
}

// expected returns the expected artifact with that id, or nil.
func (d Definition) expected(id string) *ExpectedArtifact {
	for i := range d.Artifacts {
		if d.Artifacts[i].ID == id {
			return &d.Artifacts[i]
		}
	}
	return nil
}

// matches reports whether an artifact is the one that is expected.
func (e ExpectedArtifact) matches(a Artifact) bool {
	for name, has := range map[string]string{"type": a.Type, "name": a.Name, "version": a.Version, "location": a.Location, "reference": a.Reference} {
		if !fits(e.patterns[name], has) {
			return false
		}
	}
	return true
}

// bring reports whether artifacts come up to what the expected ones with these ids
// ask for; those with a default or an earlier artifact need none.
func (d Definition) bring(ids []string, given []Artifact) bool {
	for _, id := range ids {
		e := d.expected(id)
		if e == nil || !e.UsePrior && e.Default == nil && !slices.ContainsFunc(given, e.matches) {
			return false
		}
	}
	return true
}

// ResolvedArtifact is an expected artifact with the one that it is bound to.
type ResolvedArtifact struct {
	ID    string
	Bound Artifact
	raw   map[string]json.RawMessage
}

// MarshalJSON returns the expected artifact of the pipeline with its boundArtifact.
func (r ResolvedArtifact) MarshalJSON() ([]byte, error) {
	fields := map[string]any{}
	for name, value := range r.raw {
		fields[name] = value
	}
	fields["boundArtifact"] = r.Bound
	return json.Marshal(fields)
}

// ResolveArtifacts binds the expected artifacts that a start needs: those that its
// trigger names, those that have a default or use an earlier one, and others as far
// as the given ones tell them. An expected artifact is bound to the one given artifact that it matches, else to the earlier
// one, else to its default. Invalid, with the pointer of the expected artifact's
// entry in the pipeline, when there is none or more than one.
func (d Definition) ResolveArtifacts(ids []string, given []Artifact, prior map[string]Artifact) ([]ResolvedArtifact, error) {
	var out []ResolvedArtifact
	r := &reader{}
	for i, e := range d.Artifacts {
		asked := slices.Contains(ids, e.ID) || e.UsePrior || e.Default != nil
		bound, problem := e.bind(given, prior)
		if problem != "" && !asked {
			continue
		}
		if problem != "" {
			r.refuse(fmt.Sprintf("/expectedArtifacts/%d", i), "%s", problem)
			continue
		}
		out = append(out, ResolvedArtifact{ID: e.ID, Bound: bound, raw: e.raw})
	}
	return out, delivery.InvalidError("artifacts are not valid", r.findings)
}

// bind finds the artifact for an expected one, or says why it cannot.
func (e ExpectedArtifact) bind(given []Artifact, prior map[string]Artifact) (bound Artifact, problem string) {
	var found []Artifact
	for _, a := range given {
		if e.matches(a) && !slices.ContainsFunc(found, a.same) {
			found = append(found, a)
		}
	}
	name := e.Name
	if name == "" {
		name = e.ID
	}
	earlier, known := prior[e.ID]
	switch {
	case len(found) == 1:
		return found[0], ""
	case len(found) > 1:
		return Artifact{}, fmt.Sprintf("Expected artifact %s matches %d of the given artifacts", name, len(found))
	case e.UsePrior && known:
		return earlier, ""
	case e.Default != nil:
		return *e.Default, ""
	default:
		return Artifact{}, fmt.Sprintf("Unmatched expected artifact %s could not be resolved", name)
	}
}

// same reports whether two artifacts are one.
func (a Artifact) same(b Artifact) bool {
	return a.Type == b.Type && a.Name == b.Name && a.Version == b.Version && a.Location == b.Location && a.Reference == b.Reference
}
