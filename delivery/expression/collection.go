package expression

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// listMethods are those of java.util.List.
var listMethods = map[string]method{
	"size":    {0, 0, func(_ *run, of value, _ []value) (value, error) { return int64(len(of.(list))), nil }},
	"isEmpty": {0, 0, func(_ *run, of value, _ []value) (value, error) { return len(of.(list)) == 0, nil }},
	"contains": {1, 1, func(r *run, of value, args []value) (value, error) {
		at, err := r.index(of, args[0])
		return at >= 0, err
	}},
	"indexOf": {1, 1, func(r *run, of value, args []value) (value, error) { return r.index(of, args[0]) }},
	"join":    {0, 1, joinList}, // Groovy's, which pipelines use
	"get": {1, 1, func(_ *run, of value, args []value) (value, error) {
		i, ok := args[0].(int64)
		if !ok || i < 0 || i >= int64(len(of.(list))) {
			return nil, fmt.Errorf("a list of %d elements has none at %v", len(of.(list)), args[0])
		}
		return of.(list)[i], nil
	}},
}

func (r *run) index(of, wanted value) (int64, error) {
	for i, v := range of.(list) {
		if same, err := r.equal(v, wanted); err != nil || same {
			return int64(i), err
		}
	}
	return -1, nil
}

func joinList(_ *run, of value, args []value) (value, error) {
	by := ""
	if len(args) == 1 {
		var err error
		if by, err = text(args[0]); err != nil {
			return nil, err
		}
	}
	parts := make([]string, len(of.(list)))
	size := 0
	for i, v := range of.(list) {
		part, err := display(v)
		if err != nil {
			return nil, fmt.Errorf("element %d %w", i, err)
		}
		parts[i] = part
		if size += len(part) + len(by); size > maxProduced {
			return nil, fmt.Errorf("the results are larger than %d bytes", maxProduced)
		}
	}
	return strings.Join(parts, by), nil
}

// recordMethods are those of java.util.Map. Keys come sorted.
var recordMethods = map[string]method{
	"size":    {0, 0, func(_ *run, of value, _ []value) (value, error) { return int64(len(of.(record))), nil }},
	"isEmpty": {0, 0, func(_ *run, of value, _ []value) (value, error) { return len(of.(record)) == 0, nil }},
	"keySet": {0, 0, func(_ *run, of value, _ []value) (value, error) {
		return texts(slices.Sorted(maps.Keys(of.(record)))), nil
	}},
	"values": {0, 0, func(_ *run, of value, _ []value) (value, error) {
		out := list{}
		for _, key := range slices.Sorted(maps.Keys(of.(record))) {
			out = append(out, of.(record)[key])
		}
		return out, nil
	}},
	"entrySet": {0, 0, func(_ *run, of value, _ []value) (value, error) { return entries(of.(record)), nil }},
	"containsKey": {1, 1, func(_ *run, of value, args []value) (value, error) {
		key, err := display(args[0])
		_, ok := of.(record)[key]
		return ok, err
	}},
	"containsValue": {1, 1, func(r *run, of value, args []value) (value, error) {
		for _, v := range of.(record) {
			if same, err := r.equal(v, args[0]); err != nil || same {
				return same, err
			}
		}
		return false, nil
	}},
	"get": {1, 1, func(_ *run, of value, args []value) (value, error) {
		key, err := display(args[0])
		return of.(record)[key], err
	}},
	"getOrDefault": {2, 2, func(_ *run, of value, args []value) (value, error) {
		key, err := display(args[0])
		if v, ok := of.(record)[key]; ok || err != nil {
			return v, err
		}
		return args[1], nil
	}},
}

// entries are an object's fields as {key, value}, by key.
func entries(of record) list {
	out := make(list, 0, len(of))
	for _, key := range slices.Sorted(maps.Keys(of)) {
		out = append(out, record{"key": key, "value": of[key]})
	}
	return out
}
