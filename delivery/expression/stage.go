package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Stage evaluates the input of a stage, whose own fields env need not have. What may
// stay in place is told in the context's expressionEvaluationSummary; an Invalid error
// carries a finding for each expression that may not. The context is returned in
// either case.
func Stage(spec pipeline.StageSpec, env Env) (json.RawMessage, error) {
	context, refused := stage(spec, env)
	return context, delivery.InvalidError("evaluate expressions", findings(refused))
}

// Hopeless returns a finding for each expression that fails the stage for certain.
// Nothing is certain of a stage while stages before it can still put something out.
func Hopeless(spec pipeline.StageSpec, env Env) []delivery.Finding {
	_, refused := stage(spec, env)
	return findings(slices.DeleteFunc(refused, func(p Problem) bool { return p.Later || env.Partial }))
}

// The bounds of the name of a stage, in bytes and in time: it is evaluated beside the
// stage's input, and must not take its time.
const (
	maxName     = 1_000
	maxNameTime = time.Second
)

// Name returns the name of a stage, evaluated. It stays as it is written when it cannot
// be evaluated, or yields what is no name: an object, a list, nothing, or a long text.
func Name(spec pipeline.StageSpec, env Env) string {
	if !strings.Contains(spec.Name, "${") {
		return spec.Name
	}
	env.Stage, env.RefID = spec.Context(), spec.RefID
	document, err := json.Marshal(spec.Name)
	if err != nil {
		return spec.Name
	}
	var name any
	r := newRun(env)
	r.until = time.Now().Add(maxNameTime)
	evaluated, _ := r.document(document)
	decoder := json.NewDecoder(bytes.NewReader(evaluated))
	decoder.UseNumber()
	if decoder.Decode(&name) != nil {
		return spec.Name
	}
	switch name.(type) {
	case string, json.Number, bool:
	default:
		return spec.Name
	}
	text := strings.TrimSpace(fmt.Sprint(name))
	if text == "" || len(text) > maxName {
		return spec.Name
	}
	return text
}

func stage(spec pipeline.StageSpec, env Env) (context json.RawMessage, refused []Problem) {
	env.Stage, env.RefID = spec.Context(), spec.RefID
	open, verbatim := apart(spec, env.Stage)
	context, problems := EvaluateAll(open, env)
	context = together(context, verbatim)
	whole := context != nil
	if !whole {
		context = env.Stage
	}
	for _, p := range problems {
		if !whole || !spec.LeavesInPlace(firstField(p.Pointer)) {
			refused = append(refused, p)
		}
	}
	return SummaryOf(problems, env.Now).In(context), refused
}

// firstField is the field of the document that a pointer leads into.
func firstField(pointer string) string {
	field, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(field)
}

// apart takes the fields out of a stage's input that are not evaluated.
func apart(spec pipeline.StageSpec, context json.RawMessage) (open json.RawMessage, verbatim map[string]json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(context, &fields) != nil {
		return context, nil
	}
	verbatim = map[string]json.RawMessage{}
	for name, value := range fields {
		if spec.Verbatim(name, value) {
			verbatim[name] = value
			delete(fields, name)
		}
	}
	if len(verbatim) == 0 {
		return context, nil
	}
	open, err := json.Marshal(fields)
	if err != nil {
		return context, nil
	}
	return open, verbatim
}

// together puts the fields back that were not evaluated; nil stays nil.
func together(context json.RawMessage, verbatim map[string]json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if len(verbatim) == 0 || context == nil || json.Unmarshal(context, &fields) != nil || fields == nil {
		return context
	}
	maps.Copy(fields, verbatim)
	out, err := json.Marshal(fields)
	if err != nil {
		return context
	}
	return out
}
