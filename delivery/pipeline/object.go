package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// reader collects findings over one document.
type reader struct {
	findings []delivery.Finding
	// deferred is true before expressions are evaluated: a string with "${" then
	// stands for a value of any type.
	deferred bool
	// missing are the images that cluster objects do not name. Who reads the
	// document decides whether an earlier stage finds them.
	missing []missingImage
	// saved is true in a pipeline that a stage saves: what its own stages save is left to
	// their saves, so that one check does not go through pipelines in pipelines.
	saved bool
	// pipeline is the id of the pipeline; empty for a new one.
	pipeline string
}

func (r *reader) refuse(pointer, format string, args ...any) {
	r.findings = append(r.findings, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// object is one JSON object of the document. Unlike encoding/json it matches
// keys exactly and reports every wrong field, not the first.
type object struct {
	r      *reader
	at     string
	fields map[string]json.RawMessage
}

// document reads the outermost object.
func (r *reader) document(raw json.RawMessage) (object, bool) {
	var whole json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		r.refuse("", "%s", malformed(raw, err))
		return object{}, false
	}
	return r.object("", whole)
}

// malformed says where a text stops being JSON.
func malformed(raw []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "is not JSON: " + err.Error()
	}
	before := raw[:min(int(syntax.Offset), len(raw))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("is not JSON: line %d, column %d: %s", line, column, syntax.Error())
}

func (r *reader) object(at string, raw json.RawMessage) (object, bool) {
	o := object{r: r, at: at}
	if kind := delivery.JSONKind(raw); kind != "object" {
		r.refuse(at, "must be an object, not %s", delivery.WithArticle(kind))
		return o, false
	}
	if err := json.Unmarshal(raw, &o.fields); err != nil {
		r.refuse(at, "is not an object: %v", err)
		return o, false
	}
	return o, true
}

// pointer returns the JSON pointer of a field of o.
func (o object) pointer(name string) string { return o.at + "/" + delivery.PointerToken(name) }

func (o object) refuse(name, format string, args ...any) {
	o.r.refuse(o.pointer(name), format, args...)
}

// given reports whether the field is there and not null.
func (o object) given(name string) bool {
	raw, ok := o.fields[name]
	return ok && delivery.JSONKind(raw) != "null"
}

// dynamic reports whether the field's value will be known only when its
// expressions are evaluated.
func (o object) dynamic(name string) bool {
	return o.r.deferred && isExpression(o.fields[name])
}

// value returns the field when it is given and of the wanted kind. It refuses
// another kind, except an expression.
func (o object) value(name, kind string) (json.RawMessage, bool) {
	if !o.given(name) || o.dynamic(name) {
		return nil, false
	}
	raw := o.fields[name]
	if got := delivery.JSONKind(raw); got != kind {
		o.refuse(name, "must be %s, not %s", delivery.WithArticle(kind), delivery.WithArticle(got))
		return nil, false
	}
	return raw, true
}

// require refuses the object when the field is not given.
func (o object) require(name string) {
	if !o.given(name) {
		o.refuse(name, "is required")
	}
}

// text returns a string field; empty when it is not given or not known yet.
func (o object) text(name string) string {
	raw, ok := o.value(name, "string")
	if !ok {
		return ""
	}
	return unquote(raw)
}

// requiredText is text for a field that must be given and not empty.
func (o object) requiredText(name string) string {
	text := o.text(name)
	if text == "" && (!o.given(name) || delivery.JSONKind(o.fields[name]) == "string") && !o.dynamic(name) {
		o.refuse(name, "is required")
	}
	return text
}

// flag returns a boolean field, or otherwise when it is not given. Spinnaker
// writes some booleans as the strings "true" and "false".
func (o object) flag(name string, otherwise bool) bool {
	if !o.given(name) || o.dynamic(name) {
		return otherwise
	}
	switch strings.ToLower(strings.Trim(string(o.fields[name]), `"`)) {
	case "true":
		return true
	case "false":
		return false
	default:
		o.refuse(name, "must be a boolean, not %s", delivery.WithArticle(delivery.JSONKind(o.fields[name])))
		return otherwise
	}
}

// whole returns a whole number, written as a JSON number or as a string of
// digits as Spinnaker allows. ok is false when it is not given or not known yet.
func (o object) whole(name string) (n int, ok bool) {
	return o.wholeWithin(name, math.MaxInt32)
}

// wholeWithin is whole for numbers of at most a size.
func (o object) wholeWithin(name string, limit int) (n int, ok bool) {
	if !o.given(name) || o.dynamic(name) {
		return 0, false
	}
	raw := o.fields[name]
	text := string(raw)
	switch delivery.JSONKind(raw) {
	case "number":
	case "string":
		text = strings.TrimSpace(unquote(raw))
	default:
		o.refuse(name, "must be a whole number, not %s", delivery.WithArticle(delivery.JSONKind(raw)))
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) {
		o.refuse(name, "must be a whole number, not %s", raw)
		return 0, false
	}
	if math.Abs(f) > float64(limit) {
		o.refuse(name, "is %s; must be within %d", text, limit)
		return 0, false
	}
	return int(f), true
}

// list returns the raw elements of a list field.
func (o object) list(name string) []json.RawMessage {
	raw, ok := o.value(name, "list")
	if !ok {
		return nil
	}
	var out []json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil {
		o.refuse(name, "is not a list: %v", err)
	}
	return out
}

// objects returns the elements of a list of objects; elements of other kinds are
// refused and left out.
func (o object) objects(name string) []object {
	var out []object
	for i, raw := range o.list(name) {
		at := fmt.Sprintf("%s/%d", o.pointer(name), i)
		if o.r.deferred && isExpression(raw) {
			continue
		}
		if element, ok := o.r.object(at, raw); ok {
			out = append(out, element)
		}
	}
	return out
}

// texts returns the elements of a list of strings that are known already.
func (o object) texts(name string) []string {
	var out []string
	for i, raw := range o.list(name) {
		switch {
		case o.r.deferred && isExpression(raw):
		case delivery.JSONKind(raw) != "string":
			o.r.refuse(fmt.Sprintf("%s/%d", o.pointer(name), i), "must be a string, not %s", delivery.WithArticle(delivery.JSONKind(raw)))
		default:
			out = append(out, unquote(raw))
		}
	}
	return out
}

// child returns an object field.
func (o object) child(name string) (object, bool) {
	raw, ok := o.value(name, "object")
	if !ok {
		return object{}, false
	}
	return o.r.object(o.pointer(name), raw)
}

// names returns the object's keys in order.
func (o object) names() []string {
	out := make([]string, 0, len(o.fields))
	for name := range o.fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func isExpression(raw json.RawMessage) bool {
	return delivery.JSONKind(raw) == "string" && strings.Contains(unquote(raw), "${")
}

// unquote decodes a JSON string that is known to be valid.
func unquote(raw json.RawMessage) string {
	var out string
	if json.Unmarshal(raw, &out) != nil {
		return ""
	}
	return out
}
