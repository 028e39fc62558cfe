package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxTriggerPattern bounds the text of a TriggerPattern in bytes.
	maxTriggerPattern = 16 << 10
	// maxPatternDepth bounds how deep one may nest.
	maxPatternDepth = 20
)

// TriggerPattern is the part of a trigger that people look for. An object
// matches one that has all its keys with values that match; a list, one that has
// a matching value for each of its own; a text, one that is the same but for its
// case, or that it matches as a regular expression from end to end; null, null or
// nothing. Everything else matches what is the same.
type TriggerPattern struct{ root patternNode }

// patternNode is one value of a pattern. Exactly one of the fields counts, in
// their order.
type patternNode struct {
	object map[string]patternNode
	list   []patternNode
	text   *textPattern
	// literal is a number, a boolean or nil.
	literal any
}

type textPattern struct {
	text string
	// whole is nil when the text is no regular expression.
	whole *regexp.Regexp
}

// ParseTriggerPattern reads a pattern from JSON. Invalid when it is no object, too
// large or too deep.
func ParseTriggerPattern(document json.RawMessage) (*TriggerPattern, error) {
	if len(document) > maxTriggerPattern {
		return nil, Errorf(Invalid, "has %d bytes; %d are allowed", len(document), maxTriggerPattern)
	}
	value, err := decodeNumbers(document)
	if err != nil {
		return nil, Errorf(Invalid, "is not JSON")
	}
	if _, ok := value.(map[string]any); !ok {
		return nil, Errorf(Invalid, "must be a JSON object")
	}
	root, err := patternOf(value, 0)
	if err != nil {
		return nil, err
	}
	return &TriggerPattern{root}, nil
}

func patternOf(value any, depth int) (patternNode, error) {
	if depth > maxPatternDepth {
		return patternNode{}, Errorf(Invalid, "nests deeper than %d levels", maxPatternDepth)
	}
	switch v := value.(type) {
	case map[string]any:
		out := patternNode{object: make(map[string]patternNode, len(v))}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			one, err := patternOf(v[key], depth+1)
			if err != nil {
				return out, err
			}
			out.object[key] = one
		}
		return out, nil
	case []any:
		out := patternNode{list: make([]patternNode, 0, len(v))}
		for _, item := range v {
			one, err := patternOf(item, depth+1)
			if err != nil {
				return out, err
			}
			out.list = append(out.list, one)
		}
		return out, nil
	case string:
		text := textPattern{text: v}
		if whole, err := regexp.Compile(`^(?s:` + v + `)$`); err == nil {
			text.whole = whole
		}
		return patternNode{text: &text}, nil
	default:
		return patternNode{literal: v}, nil
	}
}

// Matches reports whether a trigger, a JSON object, has what the pattern asks for.
func (p *TriggerPattern) Matches(trigger json.RawMessage) bool {
	value, err := decodeNumbers(trigger)
	return err == nil && p.root.matches(value)
}

func (n patternNode) matches(value any) bool {
	switch {
	case n.object != nil:
		fields, ok := value.(map[string]any)
		if !ok {
			return false
		}
		for key, wanted := range n.object {
			if !wanted.matches(fields[key]) {
				return false
			}
		}
		return true
	case n.list != nil:
		items, ok := value.([]any)
		return ok && !slices.ContainsFunc(n.list, func(wanted patternNode) bool { return !slices.ContainsFunc(items, wanted.matches) })
	case n.text != nil:
		text, ok := value.(string)
		return ok && (strings.EqualFold(text, n.text.text) || n.text.whole != nil && n.text.whole.MatchString(text))
	default:
		return sameLiteral(n.literal, value)
	}
}

// sameLiteral compares numbers by their value: 1 and 1.0 are the same.
func sameLiteral(a, b any) bool {
	x, isNumber := a.(json.Number)
	if !isNumber {
		_, list := b.([]any)
		_, object := b.(map[string]any)
		return !list && !object && a == b
	}
	y, ok := b.(json.Number)
	if !ok {
		return false
	}
	f, err := x.Float64()
	g, err2 := y.Float64()
	return x == y || err == nil && err2 == nil && f == g
}

func decodeNumbers(document json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("something follows the document")
	}
	return value, nil
}
