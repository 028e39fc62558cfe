package pipeline

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// variable is one that a template declares.
type variable struct {
	name string
	kind string
	// byDefault is nil when a pipeline has to give a value.
	byDefault json.RawMessage
	// nullable variables may be left without a value.
	nullable bool
}

var variableKinds = []string{"string", "int", "float", "boolean", "list", "object"}

// parseVariables reads the variables of a template.
func parseVariables(template object) []variable {
	var out []variable
	taken := map[string]string{}
	for _, o := range template.objects("variables") {
		v := variable{name: o.requiredText("name"), kind: o.requiredText("type"), nullable: o.flag("nullable", false)}
		if v.kind != "" && !slices.Contains(variableKinds, v.kind) {
			o.refuse("type", "is %q; must be one of %s", v.kind, strings.Join(variableKinds, ", "))
			continue
		}
		if at, ok := taken[v.name]; ok && v.name != "" {
			o.refuse("name", "%q is the name of %s already", v.name, at)
		}
		taken[v.name] = o.at
		if o.given("defaultValue") {
			var problem string
			if v.byDefault, problem = v.fit(o.fields["defaultValue"]); problem != "" {
				o.refuse("defaultValue", "%s", problem)
			}
		}
		out = append(out, v)
	}
	return out
}

// assignVariables returns the value of each variable of the template.
func assignVariables(doc object, declared []variable, template string) map[string]json.RawMessage {
	given, ok := doc.child("variables")
	if !ok && doc.given("variables") {
		return nil
	}
	given.r, given.at = doc.r, "/variables"
	out := map[string]json.RawMessage{}
	for _, v := range declared {
		switch {
		case given.given(v.name):
			value, problem := v.fit(given.fields[v.name])
			if problem != "" {
				given.refuse(v.name, "%s", problem)
			}
			out[v.name] = value
		case v.byDefault != nil:
			out[v.name] = v.byDefault
		case v.nullable:
			out[v.name] = json.RawMessage("null")
		default:
			given.refuse(v.name, "is required: template %s has no default for it", template)
		}
	}
	for _, name := range given.names() {
		if !slices.ContainsFunc(declared, func(v variable) bool { return v.name == name }) {
			given.refuse(name, "template %s has no variable of this name", template)
		}
	}
	return out
}

// fit returns the value in the variable's type. Spinnaker's command line gives every
// value as text, so numbers and booleans are read from texts, too. An expression has
// any type.
func (v variable) fit(raw json.RawMessage) (value json.RawMessage, problem string) {
	if isExpression(raw) {
		return raw, ""
	}
	kind, text := delivery.JSONKind(raw), string(raw)
	if kind == "string" {
		text = strings.TrimSpace(unquote(raw))
	}
	switch v.kind {
	case "string", "list", "object":
		if kind == v.kind {
			return raw, ""
		}
	case "boolean":
		if kind == "boolean" || kind == "string" && (text == "true" || text == "false") {
			return json.RawMessage(text), ""
		}
	case "int", "float":
		n, err := strconv.ParseFloat(text, 64)
		whole := n == math.Trunc(n) && math.Abs(n) < 1<<53
		if (kind == "number" || kind == "string") && err == nil && json.Valid([]byte(text)) && (whole || v.kind == "float") {
			return json.RawMessage(text), ""
		}
	}
	return raw, "must be of type " + v.kind + ", not " + delivery.WithArticle(kind)
}
