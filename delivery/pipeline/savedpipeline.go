package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

var applicationName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_. -]{0,98}[a-zA-Z0-9_])?$`)

// IsApplicationName reports whether an application can have that name.
func IsApplicationName(name string) bool { return applicationName.MatchString(name) }

// MaxName is the longest name or id of a pipeline in bytes: both stand in paths.
const MaxName = 255

// UnfitName says why a path could not name what has this name; empty when it can.
func UnfitName(name string) string {
	switch {
	case len(name) > MaxName:
		return fmt.Sprintf("has %d bytes; %d are allowed", len(name), MaxName)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds control characters"
	default:
		return ""
	}
}

// ReadSaved reads the fields of a pipeline that a save itself looks at; of the others
// Parse says what is wrong. Cron triggers without an id get one of newID, as Gate
// gives them.
func ReadSaved(document json.RawMessage, newID func() string) (delivery.Pipeline, []delivery.Finding) {
	r := &reader{}
	o, ok := r.document(document)
	if !ok {
		return delivery.Pipeline{}, r.findings
	}
	text := func(name string) string {
		if delivery.JSONKind(o.fields[name]) != "string" {
			return "" // Parse complains of another kind
		}
		return unquote(o.fields[name])
	}
	p := delivery.Pipeline{ID: o.text("id"), Name: strings.TrimSpace(text("name")), Application: text("application"), Disabled: o.flag("disabled", false)}
	if p.Name == "" && absentOrText(o.fields["name"]) {
		o.refuse("name", "is required: a pipeline has a name")
	}
	for name, text := range map[string]string{"id": p.ID, "name": p.Name} {
		if message := UnfitName(text); message != "" {
			o.refuse(name, "%s", message)
		}
	}
	if !IsApplicationName(p.Application) && absentOrText(o.fields["application"]) {
		o.refuse("application", "%q is not the name of an application", p.Application)
	}
	if raw := o.fields["index"]; len(raw) > 0 && json.Unmarshal(raw, &p.Index) != nil {
		o.refuse("index", "must be a whole number, not %s", delivery.WithArticle(delivery.JSONKind(raw)))
	}
	p.Document = encoded(WithTriggerIDs(o.fields, newID))
	return p, r.findings
}

// absentOrText is false for a value whose kind alone is wrong, which is said once.
func absentOrText(raw json.RawMessage) bool {
	kind := delivery.JSONKind(raw)
	return kind == "null" || kind == "string"
}

// WithTriggerIDs returns a pipeline's fields with an id for each cron trigger that has
// none. What is no trigger is left to the check of the whole.
func WithTriggerIDs(fields map[string]json.RawMessage, newID func() string) map[string]json.RawMessage {
	var triggers []json.RawMessage
	if json.Unmarshal(fields["triggers"], &triggers) != nil {
		return fields
	}
	for i, raw := range triggers {
		var trigger map[string]json.RawMessage
		if json.Unmarshal(raw, &trigger) != nil || trigger == nil || unquote(trigger["type"]) != CronType {
			continue
		}
		if id := trigger["id"]; delivery.JSONKind(id) == "null" || string(id) == `""` {
			trigger["id"] = quoted(newID())
			triggers[i] = encoded(trigger)
		}
	}
	out := maps.Clone(fields)
	out["triggers"] = encoded(triggers)
	return out
}
