package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/slipway-cd/slipway/delivery"
)

// Evaluate returns the document with every ${...} in its string values and keys
// evaluated; all else stays as it is. An Invalid error carries a finding for each
// expression that could not be evaluated, with the JSON pointer of its string.
func Evaluate(document json.RawMessage, env Env) (json.RawMessage, error) {
	out, problems := EvaluateAll(document, env)
	if err := delivery.InvalidError("evaluate expressions", findings(problems)); err != nil {
		return nil, err
	}
	return out, nil
}

// EvaluateAll is Evaluate as Spinnaker does it: an expression without a value stays
// in place, and one that fails leaves its whole string as it is. The document is nil
// when it cannot be read, or when its expressions go beyond the bounds.
func EvaluateAll(document json.RawMessage, env Env) (json.RawMessage, []Problem) {
	return newRun(env).document(document)
}

// run is the evaluation of one document.
type run struct {
	scope *scope
	// until is when the evaluation has taken too long.
	until    time.Time
	steps    int
	ticks    int
	produced int
	scanned  int
	// urls counts the reads of URLs.
	urls     int
	patterns map[string]compiled
	// elements are those that the selections and projections being evaluated are at,
	// the innermost last: bare names read its fields.
	elements []value
	// over is true once a bound of the document was reached. The error that says so
	// is the one being returned.
	over bool
	// nodes are expressions that were parsed.
	nodes map[string]ast.Node
	// found is what was looked up, by what was asked for.
	found map[string]value
	// inVariable is true while the value of a template's variable is evaluated.
	inVariable bool
}

func newRun(env Env) *run { return &run{scope: newScope(env), until: time.Now().Add(maxTime)} }

func (r *run) document(document json.RawMessage) (json.RawMessage, []Problem) {
	return rewrite(document, func(text string) (json.RawMessage, []Problem, error) {
		raw, problems := r.replace(text)
		if r.over && len(problems) > 0 { // the last problem says so; what follows would say it again
			err := errors.New(problems[len(problems)-1].Message)
			return nil, problems[:len(problems)-1], err
		}
		return raw, problems, nil
	})
}

// template evaluates a string that contains at least one "${". An expression without
// a value is an error.
func (r *run) template(text string) (json.RawMessage, error) {
	raw, problems := r.replace(text)
	switch {
	case len(problems) == 0:
		return raw, nil
	case problems[0].Later:
		return nil, laterError(problems[0].Message)
	default:
		return nil, errors.New(problems[0].Message)
	}
}

// replace evaluates a string that contains at least one "${". It returns nothing
// when one of its expressions fails; one without a value stays as it is written.
func (r *run) replace(text string) (json.RawMessage, []Problem) {
	parts, err := split(text)
	if err != nil {
		return nil, []Problem{{Expression: text, Message: err.Error()}}
	}
	if len(parts) == 1 {
		return r.whole(parts[0])
	}
	var out []byte
	var problems []Problem
	failed := false
	for _, p := range parts {
		piece, problem := r.piece(p)
		if problem != nil {
			problems = append(problems, *problem)
			failed = failed || !problem.Absent
		}
		if r.over {
			break
		}
		out = append(out, piece...)
	}
	if failed {
		return nil, problems
	}
	raw, err := encode(string(out))
	if err != nil {
		return nil, append(problems, Problem{Expression: text, Message: err.Error()})
	}
	return raw, problems
}

// whole evaluates an expression that is the whole string, and keeps its type.
func (r *run) whole(p part) (json.RawMessage, []Problem) {
	v, problem := r.part(p)
	if problem != nil {
		problem.Whole = true
		return nil, []Problem{*problem}
	}
	raw, err := encode(v)
	if err == nil {
		err = r.produce(len(raw))
	}
	if err != nil {
		return nil, []Problem{p.problem(err)}
	}
	return raw, nil
}

// piece is a part as text. It is the part as it is written when there is a problem.
func (r *run) piece(p part) (string, *Problem) {
	piece := p.text
	if p.expression {
		v, problem := r.part(p)
		if problem != nil {
			return "${" + p.text + "}", problem
		}
		var err error
		if piece, err = display(v); err != nil {
			failed := p.problem(err)
			return "", &failed
		}
	}
	if err := r.produce(len(piece)); err != nil {
		failed := p.problem(err)
		return "", &failed
	}
	return piece, nil
}

// part evaluates one expression. Nothing is not a result, and neither is a variable
// that does not exist.
func (r *run) part(p part) (value, *Problem) {
	node, err := r.parsed(p.text)
	if err != nil {
		failed := p.problem(err)
		return nil, &failed
	}
	v, err := r.eval(node)
	absent := err == nil && v == nil
	if absent {
		err = errors.New("has no value")
	}
	if err != nil {
		failed := p.problem(err)
		failed.Later = errors.As(err, new(laterError))
		failed.Absent = absent || errors.As(err, new(unknownVariable)) && isVariable(node)
		return nil, &failed
	}
	return v, nil
}

// parsed is parse, once for a text that comes again.
func (r *run) parsed(source string) (ast.Node, error) {
	if err := r.inTime(); err != nil {
		return nil, err
	}
	if node, ok := r.nodes[source]; ok {
		return node, nil
	}
	node, err := parse(source)
	if err == nil && len(r.nodes) < maxKept {
		if r.nodes == nil {
			r.nodes = map[string]ast.Node{}
		}
		r.nodes[source] = node
	}
	return node, err
}

// isVariable reports whether the node is a bare name.
func isVariable(node ast.Node) bool {
	_, ok := node.(*ast.IdentifierNode)
	return ok
}

func (r *run) produce(bytes int) error {
	r.produced += bytes
	if r.produced > maxProduced {
		r.over = true
		return fmt.Errorf("the results are larger than %d bytes", maxProduced)
	}
	return nil
}
