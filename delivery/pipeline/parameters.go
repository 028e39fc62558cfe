package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Parameter is one entry of a pipeline's parameterConfig.
type Parameter struct {
	Name string
	// Default is used when a start gives no value; nil for none. Its expressions are
	// evaluated at the start.
	Default json.RawMessage
	// Required refuses a start that gives no value when there is no default, or
	// when the default is the empty string that Spinnaker's editor writes for "none".
	Required bool
	// Options are the values that a start can give; nil for any.
	Options []string
	// Date asks for a day such as 2026-11-27.
	Date bool
	// Condition says when the parameter is required; nil for always.
	Condition *Condition
}

// Condition compares the value of another parameter.
type Condition struct {
	Parameter string
	// Comparator is one of =, !=, <, <=, > and >=.
	Comparator string
	Value      string
}

func parseParameters(doc object) []Parameter {
	var out []Parameter
	taken := make(map[string]string)
	entries := doc.objects("parameterConfig")
	for _, o := range entries {
		p := Parameter{Name: o.requiredText("name"), Required: o.flag("required", false), Options: readOptions(o), Condition: readCondition(o)}
		if o.given("default") {
			p.Default = o.fields["default"]
		}
		switch constraint := o.text("constraint"); constraint {
		case "":
		case "date":
			p.Date = true
		default:
			o.refuse("constraint", "is %q; the only constraint is date", constraint)
		}
		if at, ok := taken[p.Name]; ok && p.Name != "" {
			o.refuse("name", "%q is the name of %s already", p.Name, at)
		}
		taken[p.Name] = o.at
		out = append(out, p)
	}
	for i, p := range out {
		if c := p.Condition; c != nil && c.Parameter != "" && taken[c.Parameter] == "" {
			entries[i].r.refuse(entries[i].pointer("conditional")+"/parameter", "no parameter has the name %q", c.Parameter)
		}
	}
	return out
}

func readOptions(o object) []string {
	if !o.flag("hasOptions", false) {
		return nil
	}
	var out []string
	for _, option := range o.objects("options") {
		if text, ok := scalar(option.fields["value"]); ok {
			out = append(out, text)
		}
	}
	return out
}

func readCondition(o object) *Condition {
	c, ok := o.child("conditional")
	if !ok || len(c.fields) == 0 {
		return nil
	}
	out := Condition{Parameter: c.requiredText("parameter"), Comparator: c.text("comparator")}
	out.Value, _ = scalar(c.fields["comparatorValue"])
	if out.Comparator == "" {
		out.Comparator = "="
	}
	if known := []string{"=", "!=", "<", "<=", ">", ">="}; !slices.Contains(known, out.Comparator) {
		c.refuse("comparator", "is %q; must be one of %s", out.Comparator, strings.Join(known, " "))
	}
	return &out
}

// scalar is the text of a JSON string, number or boolean.
func scalar(raw json.RawMessage) (string, bool) {
	switch delivery.JSONKind(raw) {
	case "string":
		return unquote(raw), true
	case "number", "boolean":
		return strings.TrimSpace(string(raw)), true
	default:
		return "", false
	}
}

// ResolveParameters fills the given JSON object of parameters with defaults, as they
// are written. Null counts as not given; parameters that the pipeline does not declare
// are kept. An Invalid error names every required parameter that is missing and every
// value that is none of the parameter's options or no date where one is wanted.
func (d Definition) ResolveParameters(given json.RawMessage) (json.RawMessage, error) {
	values, _, err := d.resolve(given)
	if err != nil {
		return nil, err
	}
	return encodeParameters(values)
}

func encodeParameters(values map[string]json.RawMessage) (json.RawMessage, error) {
	out, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode parameters: %w", err)
	}
	return out, nil
}

// resolve is ResolveParameters, and which of the values are defaults.
func (d Definition) resolve(given json.RawMessage) (values map[string]json.RawMessage, defaults map[string]bool, err error) {
	values, defaults = make(map[string]json.RawMessage), make(map[string]bool)
	r := &reader{}
	if delivery.JSONKind(given) != "null" {
		o, ok := r.document(given)
		if !ok {
			return nil, nil, delivery.InvalidError("parameters are not valid", r.findings)
		}
		for name, value := range o.fields {
			values[name] = value
		}
	}
	byDefault := func(p Parameter) {
		if p.Default != nil {
			values[p.Name], defaults[p.Name] = p.Default, true
		}
	}
	var missing []Parameter
	for _, p := range d.Parameters {
		if value, ok := values[p.Name]; ok && delivery.JSONKind(value) != "null" {
			p.check(r, value)
			continue
		}
		if p.Required && (p.Default == nil || string(p.Default) == `""`) {
			missing = append(missing, p)
			continue
		}
		byDefault(p)
	}
	for _, p := range missing {
		if p.Condition == nil || p.Condition.holds(values) {
			r.refuse("/"+delivery.PointerToken(p.Name), "Required parameter %s is missing", p.Name)
		} else {
			byDefault(p)
		}
	}
	return values, defaults, delivery.InvalidError("parameters are not valid", r.findings)
}

// DefaultEvaluator evaluates the expressions of a default, by what can be read of
// an execution that is about to begin. An Invalid error tells what is wrong with them.
type DefaultEvaluator func(document json.RawMessage, e delivery.Execution) (json.RawMessage, error)

// evaluateDefaults evaluates the defaults that an execution takes, in the order of the
// pipeline's parameters: each sees what was given and the ones before it. What was given
// is data, whatever it looks like.
func (d Definition) evaluateDefaults(e delivery.Execution, values map[string]json.RawMessage, defaults map[string]bool, evaluate DefaultEvaluator) (json.RawMessage, error) {
	var open []Parameter
	for _, p := range d.Parameters {
		if defaults[p.Name] && bytes.Contains(p.Default, []byte("${")) {
			open = append(open, p)
			delete(values, p.Name)
		}
	}
	r := &reader{}
	for _, p := range open {
		known, err := encodeParameters(values)
		if err != nil {
			return nil, err
		}
		e.Trigger.Parameters = known
		value, err := evaluate(p.Default, e)
		if delivery.KindOf(err) == delivery.Invalid {
			for _, f := range delivery.FindingsOf(err) {
				r.refuse("/"+delivery.PointerToken(p.Name), "Parameter %s has no value, and its default cannot be evaluated: %s", p.Name, f.Message)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		values[p.Name] = value
		p.check(r, value)
	}
	if err := delivery.InvalidError("parameters are not valid", r.findings); err != nil {
		return nil, err
	}
	return encodeParameters(values)
}

// check refuses a value that a start must not give. An empty text counts as nothing
// chosen, as Spinnaker's editor sends it for parameters that are not required.
func (p Parameter) check(r *reader, value json.RawMessage) {
	text, plain := scalar(value)
	if text == "" && plain && !p.Required {
		return
	}
	if p.Options != nil && (!plain || !slices.Contains(p.Options, text)) {
		r.refuse("/"+delivery.PointerToken(p.Name), "is %s; must be one of %s", shown(value), strings.Join(p.Options, ", "))
	}
	if _, err := time.Parse(time.DateOnly, text); p.Date && err != nil {
		r.refuse("/"+delivery.PointerToken(p.Name), "is %s; must be a date such as 2026-11-27", shown(value))
	}
}

// shown is a value as findings repeat it.
func shown(value json.RawMessage) string {
	const most = 60
	if text := []rune(string(value)); len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(value)
}

// holds compares as numbers where both sides are numbers, else as texts. What is not
// given is an empty text.
func (c Condition) holds(values map[string]json.RawMessage) bool {
	has, _ := scalar(values[c.Parameter])
	order := strings.Compare(has, c.Value)
	left, err := strconv.ParseFloat(has, 64)
	if right, err2 := strconv.ParseFloat(c.Value, 64); err == nil && err2 == nil {
		order = 0
		if left < right {
			order = -1
		} else if left > right {
			order = 1
		}
	}
	switch c.Comparator {
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	default:
		return order == 0
	}
}
