package expression

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// readYAML is #readYaml: the first document of a text; nothing when it has none.
func readYAML(v value) (value, error) {
	all, err := yamlDocuments(v, 1)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// readAllYAML is #readAllYaml: all documents of a text.
func readAllYAML(v value) (value, error) {
	all, err := yamlDocuments(v, maxDepth)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// yamlDocuments reads up to limit documents.
func yamlDocuments(v value, limit int) (list, error) {
	source, err := text(v)
	if err != nil {
		return nil, err
	}
	if len(source) > maxYAML {
		return nil, fmt.Errorf("the text is larger than %d bytes", maxYAML)
	}
	out := list{}
	nodes := 0
	for in := yaml.NewDecoder(strings.NewReader(source)); len(out) < limit; {
		var document yaml.Node
		switch err := in.Decode(&document); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("the text is not YAML: %w", err)
		}
		one, err := (&yamlReader{nodes: &nodes}).value(&document, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// yamlReader makes values of nodes. Aliases are followed, so what it makes is counted.
type yamlReader struct{ nodes *int }

func (y *yamlReader) value(n *yaml.Node, depth int) (value, error) {
	if *y.nodes++; *y.nodes > maxYAMLNodes {
		return nil, fmt.Errorf("the YAML has more than %d values", maxYAMLNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("the YAML is nested deeper than %d", maxDepth)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return y.value(n.Content[0], depth)
	case yaml.AliasNode:
		return y.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := list{}
		for _, element := range n.Content {
			v, err := y.value(element, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return y.record(n, depth)
	default:
		return scalar(n)
	}
}

// record reads a mapping, with its merge keys (<<), which its own keys win over.
func (y *yamlReader) record(n *yaml.Node, depth int) (value, error) {
	own, merged := record{}, record{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := y.value(n.Content[i], depth+1)
		if err != nil {
			return nil, err
		}
		v, err := y.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if n.Content[i].Tag == "!!merge" {
			merge(merged, v)
			continue
		}
		name := "null"
		if key != nil {
			if name, err = display(key); err != nil {
				return nil, err
			}
		}
		own[name] = v
	}
	merge(own, merged)
	return own, nil
}

// merge adds the fields of an object, or of each in a list, that are not there yet.
func merge(to record, from value) {
	switch t := from.(type) {
	case record:
		for key, v := range t {
			if _, ok := to[key]; !ok {
				to[key] = v
			}
		}
	case list:
		for _, one := range t {
			if fields, ok := one.(record); ok {
				merge(to, fields)
			}
		}
	}
}

// scalar reads what is no list and no object. Dates and binary stay texts.
func scalar(n *yaml.Node) (value, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, fmt.Errorf("the text is not YAML: %w", err)
	}
	switch t := v.(type) {
	case nil, bool, string, int64:
		return t, nil
	case int:
		return int64(t), nil
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return n.Value, nil
		}
		return t, nil
	case uint64:
		return float64(t), nil
	case time.Time:
		return n.Value, nil
	default:
		return n.Value, nil
	}
}
