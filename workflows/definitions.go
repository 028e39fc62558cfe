package workflows

import (
	"slices"
	"sync"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// maxDefinitions is how many definitions are kept, each of at most 1 MiB as it is stored.
const maxDefinitions = 16

// definitions keeps the definitions of the executions that were read last: one is read
// at each of its stages, and is never another one. Nobody may change what it returns.
type definitions struct {
	mu   sync.Mutex
	kept []keptDefinition // the one that was read last is the last one
}

type keptDefinition struct {
	id         delivery.ExecutionID
	definition pipeline.Definition
}

// of returns the definition of an execution, which read reads when it is not kept.
func (d *definitions) of(id delivery.ExecutionID, read func() (pipeline.Definition, error)) (pipeline.Definition, error) {
	if definition, ok := d.get(id); ok {
		return definition, nil
	}
	definition, err := read()
	if err != nil {
		return definition, err
	}
	d.keep(id, definition)
	return definition, nil
}

func (d *definitions) get(id delivery.ExecutionID) (definition pipeline.Definition, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(id)
	if i < 0 {
		return definition, false
	}
	found := d.kept[i]
	d.kept = append(slices.Delete(d.kept, i, i+1), found)
	return found.definition, true
}

func (d *definitions) keep(id delivery.ExecutionID, definition pipeline.Definition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.find(id) >= 0: // somebody else has read it meanwhile
		return
	case len(d.kept) == maxDefinitions:
		d.kept = slices.Delete(d.kept, 0, 1)
	}
	d.kept = append(d.kept, keptDefinition{id, definition})
}

func (d *definitions) find(id delivery.ExecutionID) int {
	return slices.IndexFunc(d.kept, func(k keptDefinition) bool { return k.id == id })
}
