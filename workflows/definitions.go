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
	if definition, ok := d.keep(id, nil); ok {
		return definition, nil
	}
	definition, err := read()
	if err != nil {
		return definition, err
	}
	d.keep(id, &definition)
	return definition, nil
}

// keep moves the definition of an execution to the end, or puts a new one there.
func (d *definitions) keep(id delivery.ExecutionID, read *pipeline.Definition) (definition pipeline.Definition, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.kept, func(k keptDefinition) bool { return k.id == id })
	switch {
	case i >= 0:
		definition = d.kept[i].definition
		d.kept = slices.Delete(d.kept, i, i+1)
	case read == nil:
		return definition, false
	case len(d.kept) == maxDefinitions:
		d.kept = slices.Delete(d.kept, 0, 1)
		fallthrough
	default:
		definition = *read
	}
	d.kept = append(d.kept, keptDefinition{id, definition})
	return definition, true
}
