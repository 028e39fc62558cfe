package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// CheckTemplate returns what is wrong with a template, with JSON pointers into it.
func CheckTemplate(template json.RawMessage) error {
	r := &reader{}
	if doc, ok := r.document(template); ok {
		if schema := doc.requiredText("schema"); schema != "" && schema != "v2" {
			doc.refuse("schema", "is %q; templates of schema v2 can be stored", schema)
		}
		if id := doc.requiredText("id"); id != "" && !templateID.MatchString(id) {
			doc.refuse("id", "%q is not the id of a template: letters, digits, dots, dashes and underscores", id)
		}
		if metadata, ok := doc.child("metadata"); ok {
			for _, name := range [...]string{"name", "description", "owner"} {
				metadata.text(name)
			}
			metadata.texts("scopes")
		}
		parseVariables(doc)
		doc.require("pipeline")
		if inner, ok := doc.child("pipeline"); ok {
			if inner.given("type") {
				inner.refuse("type", "must not be given: a template is not made from another one")
			}
			_, err := Parse(doc.fields["pipeline"])
			for _, f := range delivery.FindingsOf(err) {
				r.refuse("/pipeline"+f.Pointer, "%s", f.Message)
			}
		}
	}
	return delivery.InvalidError("template is not valid", r.findings)
}

// Planned is the pipeline that a document of TemplatedType stands for. With nothing
// but Document it is a pipeline that is made from no template.
type Planned struct {
	// Document is a pipeline of its own, with the values of the variables under
	// "templateVariables".
	Document json.RawMessage
	template string
	// own counts the elements of each list that the document itself has; they come
	// before those of the template.
	own map[string]int
}

// sharedList is a list that a templated pipeline has together with its template.
// Elements with the same identity are the same.
type sharedList struct{ list, excludedBy, identity string }

var sharedLists = [...]sharedList{
	{"triggers", "triggers", ""}, {"parameterConfig", "parameters", "name"},
	{"notifications", "notifications", ""}, {"expectedArtifacts", "expectedArtifacts", "id"},
}

// PlanTemplate makes the pipeline that the document stands for with that version of
// its template. Expressions stay as they are. An Invalid error has JSON pointers into
// the document. Whether the outcome is a right pipeline Parse says.
func PlanTemplate(document, template json.RawMessage) (Planned, error) {
	r := &reader{}
	doc, ok := r.document(document)
	if !ok {
		return Planned{}, delivery.InvalidError("pipeline is not valid", r.findings)
	}
	out := Planned{template: readTemplateKey(doc).String(), own: map[string]int{}}
	whole := &reader{}
	source, ok := whole.document(template)
	base, isObject := source.child("pipeline")
	if !ok || !isObject {
		doc.refuse("template", "template %s has no pipeline", out.template)
		return Planned{}, delivery.InvalidError("pipeline is not valid", r.findings)
	}
	if len(doc.list("stages")) > 0 {
		doc.refuse("stages", "must be empty: the stages are those of the template")
	}
	fields := map[string]json.RawMessage{}
	for name, value := range base.fields {
		fields[name] = value
	}
	for name, value := range doc.fields {
		if doc.given(name) && !slices.Contains([]string{"type", "schema", "template", "variables", "exclude", "stages", "parameters", "config"}, name) {
			fields[name] = value
		}
	}
	for list, elements := range out.lists(doc, base) {
		fields[list] = elements
	}
	fields["templateVariables"] = encoded(assignVariables(doc, parseVariables(source), out.template))
	out.Document = encoded(fields)
	for _, f := range whole.findings {
		doc.refuse("template", "template %s: %s: %s", out.template, f.Pointer, f.Message)
	}
	if err := delivery.InvalidError("pipeline is not valid", r.findings); err != nil {
		return Planned{}, err
	}
	return out, nil
}

// lists merges the lists of a document with those of its template, which are marked
// as inherited. What has the same identity the document has instead.
func (p Planned) lists(doc, base object) map[string]json.RawMessage {
	excluded := doc.texts("exclude")
	for i, word := range excluded {
		if !slices.ContainsFunc(sharedLists[:], func(m sharedList) bool { return m.excludedBy == word }) {
			doc.r.refuse(fmt.Sprintf("/exclude/%d", i), "is %q; must be triggers, parameters, notifications or expectedArtifacts", word)
		}
	}
	out := map[string]json.RawMessage{}
	for _, m := range sharedLists {
		elements := ownOf(doc, m.list)
		if m.list == "parameterConfig" && len(elements) == 0 {
			elements = ownOf(doc, "parameters")
		}
		p.own[m.list] = len(elements)
		taken := map[string]bool{}
		for _, raw := range elements {
			taken[identityOf(raw, m.identity)] = true
		}
		delete(taken, "")
		if !slices.Contains(excluded, m.excludedBy) {
			for _, inherited := range base.objects(m.list) {
				if !taken[identityOf(encoded(inherited.fields), m.identity)] {
					inherited.fields["inherited"] = json.RawMessage("true")
					elements = append(elements, encoded(inherited.fields))
				}
			}
		}
		if len(elements) > 0 || base.given(m.list) || doc.given(m.list) {
			out[m.list] = encoded(elements)
		}
	}
	return out
}

// ownOf are the elements of a list that were not inherited when it was saved.
func ownOf(doc object, list string) []json.RawMessage {
	out := []json.RawMessage{}
	for _, raw := range doc.list(list) {
		var element struct {
			Inherited bool `json:"inherited"`
		}
		if json.Unmarshal(raw, &element) != nil || !element.Inherited {
			out = append(out, raw)
		}
	}
	return out
}

func identityOf(raw json.RawMessage, name string) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return ""
	}
	return unquote(fields[name])
}

// WithTriggers returns the document that the plan was made from with the triggers that
// the plan has: those that it inherits are marked, and replaced by the next plan.
func (p Planned) WithTriggers(document json.RawMessage) json.RawMessage {
	var planned, fields map[string]json.RawMessage
	if json.Unmarshal(p.Document, &planned) != nil || json.Unmarshal(document, &fields) != nil || planned["triggers"] == nil {
		return document
	}
	fields["triggers"] = planned["triggers"]
	return encoded(fields)
}

// Findings translates what is wrong with the outcome into findings about the document
// that it was made from: what came from the template is the template's.
func (p Planned) Findings(findings []delivery.Finding) []delivery.Finding {
	out := slices.Clone(findings)
	if p.template == "" {
		return out
	}
	for i, f := range out {
		if !p.isOwn(f.Pointer) {
			out[i].Pointer, out[i].Message = "/template", fmt.Sprintf("template %s: %s: %s", p.template, f.Pointer, f.Message)
		}
	}
	return out
}

func (p Planned) isOwn(pointer string) bool {
	list, rest, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	if list == "stages" {
		return false
	}
	own, known := p.own[list]
	if !known {
		return true
	}
	var index int
	if _, err := fmt.Sscanf(rest, "%d", &index); err != nil {
		return true
	}
	return index < own
}

// encoded writes what was read from JSON as JSON.
func encoded(value any) json.RawMessage {
	out, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("null") // what was read can be written
	}
	return out
}
