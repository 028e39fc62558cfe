package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Env is what expressions can read. Every field is a JSON object; empty means an
// empty object.
type Env struct {
	// Parameters are the execution's resolved parameters: ${parameters.image}.
	Parameters json.RawMessage
	// Trigger is what started the execution: ${trigger.user}.
	Trigger json.RawMessage
	// Execution is the execution itself: ${execution.id}.
	Execution json.RawMessage
	// Outputs are the outputs of earlier stages, the nearest first. Their keys
	// are variables; where two stages give the same one, the nearest wins. They
	// cannot hide parameters, trigger and execution.
	Outputs []json.RawMessage
	// Stage is the stage's own context, as the pipeline has it: ${account} is its
	// field of that name. A field that is an expression itself cannot be read.
	Stage json.RawMessage
	// RefID is the stage's, for #currentStage(); empty before any stage.
	RefID string
	// Now is the time as new java.util.Date() has it; zero when it cannot be known.
	Now time.Time
	// Random gives texts in the form of a UUID; nil when there are none.
	Random func() string
	// Before means that the execution is not begun: its stages, status and times are
	// unknown rather than empty.
	Before bool
	// Partial means that stages before this one may put out more: a name that is
	// unknown is an error everywhere, never taken for nothing.
	Partial bool
	// Lookups find what is not part of the execution.
	Lookups Lookups
	// Read returns what a URL has, for #fromUrl and the like; nil where no URL is read.
	Read func(url string) (string, error)
}

// scope resolves variables. Each is decoded when it is first read.
type scope struct {
	fixed   map[string]json.RawMessage
	outputs []json.RawMessage
	known   map[string]value
	// named are variables beside those of Env.
	named   map[string]json.RawMessage
	stage   json.RawMessage
	refID   string
	now     time.Time
	random  func() string
	before  bool
	partial bool
	lookups Lookups
	readURL func(url string) (string, error)
}

// laterError is about what is known only when the stage begins.
type laterError string

func (e laterError) Error() string { return string(e) }

func newScope(env Env) *scope {
	return &scope{
		fixed: map[string]json.RawMessage{
			"parameters": env.Parameters, "trigger": env.Trigger, "execution": env.Execution,
		},
		outputs: env.Outputs,
		known:   make(map[string]value),
		named:   make(map[string]json.RawMessage),
		stage:   env.Stage, refID: env.RefID, now: env.Now, random: env.Random, readURL: env.Read,
		before: env.Before, partial: env.Partial, lookups: env.Lookups,
	}
}

// lookup returns the value of a variable and whether there is one.
func (s *scope) lookup(name string) (value, bool, error) {
	if v, ok := s.known[name]; ok {
		return v, true, nil
	}
	raw, ok, err := s.find(name)
	if err == nil && !ok {
		return s.derived(name)
	}
	if err != nil {
		return nil, false, err
	}
	v, err := decode(raw)
	if err != nil {
		return nil, false, fmt.Errorf("variable %s: %w", name, err)
	}
	s.known[name] = v
	return v, true, nil
}

func (s *scope) find(name string) (json.RawMessage, bool, error) {
	if raw, ok := s.fixed[name]; ok {
		if len(raw) == 0 {
			raw = json.RawMessage("{}")
		}
		return raw, true, nil
	}
	if raw, ok := s.named[name]; ok {
		return raw, true, nil
	}
	for i, outputs := range append([]json.RawMessage{s.stage}, s.outputs...) {
		if len(outputs) == 0 {
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(outputs, &fields); err != nil {
			return nil, false, fmt.Errorf("outputs of a stage: %w", err)
		}
		if raw, ok := fields[name]; ok {
			if i == 0 && bytes.Contains(raw, []byte("${")) {
				return nil, false, fmt.Errorf("the stage's field %s is an expression itself", name)
			}
			return raw, true, nil
		}
	}
	return nil, false, nil
}
