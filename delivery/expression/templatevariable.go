package expression

import (
	"encoding/json"
	"fmt"
	"strings"
)

// templateVariables are the variables of the template that a pipeline was made from.
const templateVariables = "templateVariables"

// nested evaluates the expressions in the value of a template's variable: a pipeline
// may give one, as in {"image": "${parameters.image}"}. Such an expression cannot
// read template variables itself.
func (r *run) nested(v value) (value, error) {
	if r.inVariable {
		return nil, fmt.Errorf("the value of a template's variable cannot be made of another one")
	}
	r.inVariable = true
	elements := r.elements
	r.elements = nil
	defer func() { r.inVariable, r.elements = false, elements }()
	return r.evaluated(v)
}

func (r *run) evaluated(v value) (value, error) {
	var err error
	switch t := v.(type) {
	case string:
		if !strings.Contains(t, "${") {
			return t, nil
		}
		var raw json.RawMessage
		if raw, err = r.template(t); err != nil {
			return nil, err
		}
		return decode(raw)
	case list:
		out := make(list, len(t))
		for i := range t {
			if out[i], err = r.evaluated(t[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case record:
		out := make(record, len(t))
		for key := range t {
			if out[key], err = r.evaluated(t[key]); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}
