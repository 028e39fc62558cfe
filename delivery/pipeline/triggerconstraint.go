package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery/jsonpath"
)

// The bounds of what a trigger asks of events.
const (
	maxConstraints = 100
	// maxPattern is in bytes.
	maxPattern = 1024
)

// Constraint is one entry of a trigger's payloadConstraints.
type Constraint struct {
	// Key is a path that begins with "$", the name of a field, or a path without "$".
	Key string
	// path is nil for a key that is a name only.
	path    *jsonpath.Path
	pattern *regexp.Regexp
}

// readConstraints reads payloadConstraints in the order of their keys.
func readConstraints(o object) []Constraint {
	c, ok := o.child("payloadConstraints")
	if !ok {
		return nil
	}
	if len(c.fields) > maxConstraints {
		o.refuse("payloadConstraints", "has %d entries; %d are allowed", len(c.fields), maxConstraints)
		return nil
	}
	var out []Constraint
	for _, key := range c.names() {
		path, err := jsonpath.Parse(key)
		if err != nil && strings.HasPrefix(key, "$") {
			c.refuse(key, "is no path: %v", err)
			continue
		}
		constraint := Constraint{Key: key, pattern: c.pattern(key)}
		if err == nil {
			constraint.path = &path
		}
		out = append(out, constraint)
	}
	return out
}

// pattern returns a field that is a regular expression for a whole text; nil when it
// is not given, empty or wrong.
func (o object) pattern(name string) *regexp.Regexp {
	text := o.text(name)
	switch {
	case text == "":
		return nil
	case len(text) > maxPattern:
		o.refuse(name, "has %d bytes; a regular expression has %d at most", len(text), maxPattern)
		return nil
	}
	pattern, err := regexp.Compile(`^(?s:` + text + `)$`)
	if _, alone := regexp.Compile(text); alone != nil { // a stray bracket could go with one of ours
		err = alone
	}
	if err != nil {
		o.refuse(name, "is no regular expression: %s; look-around and references to groups are not supported", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return pattern
}

// fits reports whether the whole text is what a pattern describes; no pattern
// describes every text.
func fits(pattern *regexp.Regexp, text string) bool {
	return pattern == nil || pattern.MatchString(text)
}

// met reports whether a document as an Event has it meets the constraint.
func (c Constraint) met(document any) bool {
	value, ok := c.find(document)
	if !ok || value == nil {
		return false
	}
	if list, ok := value.([]any); ok {
		for _, element := range list {
			if text, ok := plain(element); ok && fits(c.pattern, text) {
				return true
			}
		}
		return false
	}
	text, ok := plain(value)
	return ok && fits(c.pattern, text)
}

// find looks for a field of the key's name first, so that a name with dots is found.
func (c Constraint) find(document any) (any, bool) {
	if fields, ok := document.(map[string]any); ok && !strings.HasPrefix(c.Key, "$") {
		if value, ok := fields[c.Key]; ok {
			return value, true
		}
	}
	if c.path == nil {
		return nil, false
	}
	return c.path.Find(document)
}

// plain is the text of a value that is neither an object, a list nor null.
func plain(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	default:
		return "", false
	}
}

// decode reads a JSON document whose numbers keep their digits.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	return out, nil
}
