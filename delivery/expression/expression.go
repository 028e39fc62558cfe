package expression

import (
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Evaluate returns the document with every ${...} in its string values
// evaluated; keys and all other values stay as they are. An Invalid error
// carries a finding for each expression that could not be evaluated, with the
// JSON pointer of its string.
func Evaluate(document json.RawMessage, env Env) (json.RawMessage, error) {
	run := &run{scope: newScope(env)}
	out, findings := rewrite(document, func(text string) (json.RawMessage, error) {
		return run.template(text)
	})
	if err := delivery.InvalidError("evaluate expressions", findings); err != nil {
		return nil, err
	}
	return out, nil
}

// Check returns a finding for each string of the document that is no right
// template or contains a malformed expression. Whether variables exist shows
// only when the expression is evaluated.
func Check(document json.RawMessage) []delivery.Finding {
	_, findings := rewrite(document, func(text string) (json.RawMessage, error) {
		parts, err := split(text)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if p.expression {
				if _, err := parse(p.text); err != nil {
					return nil, p.wrap(err)
				}
			}
		}
		return json.RawMessage("null"), nil
	})
	return findings
}

// run is the evaluation of one document.
type run struct {
	scope    *scope
	steps    int
	produced int
	scanned  int
	// urls counts the reads of URLs.
	urls     int
	patterns map[string]compiled
	// elements are those that the selections and projections being evaluated are at,
	// the innermost last: bare names read its fields.
	elements []value
	// inVariable is true while the value of a template's variable is evaluated.
	inVariable bool
}

// template evaluates a string that contains at least one "${".
func (r *run) template(text string) (json.RawMessage, error) {
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 && parts[0].expression {
		v, err := r.part(parts[0])
		if err != nil {
			return nil, err
		}
		raw, err := encode(v)
		if err != nil {
			return nil, parts[0].wrap(err)
		}
		return raw, r.produce(len(raw))
	}
	var out []byte
	for _, p := range parts {
		piece := p.text
		if p.expression {
			v, err := r.part(p)
			if err != nil {
				return nil, err
			}
			if piece, err = display(v); err != nil {
				return nil, p.wrap(err)
			}
		}
		if err := r.produce(len(piece)); err != nil {
			return nil, err
		}
		out = append(out, piece...)
	}
	return encode(string(out))
}

// part evaluates one expression. Nothing is not a result.
func (r *run) part(p part) (value, error) {
	node, err := parse(p.text)
	if err != nil {
		return nil, p.wrap(err)
	}
	v, err := r.eval(node)
	if err == nil && v == nil {
		err = fmt.Errorf("has no value")
	}
	if err != nil {
		return nil, p.wrap(err)
	}
	return v, nil
}

func (r *run) produce(bytes int) error {
	r.produced += bytes
	if r.produced > maxProduced {
		return fmt.Errorf("the results are larger than %d bytes", maxProduced)
	}
	return nil
}
