package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Parameter is one entry of a pipeline's parameterConfig.
type Parameter struct {
	Name string
	// Default is used when a start gives no value; nil for none.
	Default json.RawMessage
	// Required refuses a start that gives no value when there is no default, or
	// when the default is the empty string that Spinnaker's editor writes for "none".
	Required bool
}

func parseParameters(doc object) []Parameter {
	var out []Parameter
	taken := make(map[string]string)
	for _, o := range doc.objects("parameterConfig") {
		p := Parameter{Name: o.requiredText("name"), Required: o.flag("required", false)}
		if o.given("default") {
			p.Default = o.fields["default"]
		}
		if at, ok := taken[p.Name]; ok && p.Name != "" {
			o.refuse("name", "%q is the name of %s already", p.Name, at)
		}
		taken[p.Name] = o.at
		out = append(out, p)
	}
	return out
}

// ResolveParameters fills the given JSON object of parameters with defaults.
// Null counts as not given; parameters that the pipeline does not declare are
// kept. An Invalid error names every required parameter that is missing.
func (d Definition) ResolveParameters(given json.RawMessage) (json.RawMessage, error) {
	values := make(map[string]json.RawMessage)
	r := &reader{}
	if kindOf(given) != "null" {
		o, ok := r.document(given)
		if !ok {
			return nil, delivery.InvalidError("parameters are not valid", r.findings)
		}
		for name, value := range o.fields {
			values[name] = value
		}
	}
	for _, p := range d.Parameters {
		if value, ok := values[p.Name]; ok && kindOf(value) != "null" {
			continue
		}
		if p.Required && (p.Default == nil || string(p.Default) == `""`) {
			r.refuse("/"+escape(p.Name), "Required parameter %s is missing", p.Name)
			continue
		}
		if p.Default != nil {
			values[p.Name] = p.Default
		}
	}
	if err := delivery.InvalidError("parameters are not valid", r.findings); err != nil {
		return nil, err
	}
	out, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode parameters: %w", err)
	}
	return out, nil
}
