package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// decoder reads JSON into Go values as encoding/json does, but reports every value
// of the wrong type, each with its whole pointer and in words for people. Fields are
// told what else is read by their tag "read":
//
//	text    a number or a boolean may also be written as a string, as Spinnaker allows
//	strict  objects below must not have fields that are not known
type decoder struct {
	findings []delivery.Finding
}

// reading is how a value is read.
type reading struct{ text, strict bool }

// decode reads a document. Pointers begin at the given one.
func decode(raw json.RawMessage, at string, into any, how reading) []delivery.Finding {
	var d decoder
	var whole json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		return []delivery.Finding{{Pointer: at, Message: "is not JSON: " + err.Error()}}
	}
	d.value(at, whole, reflect.ValueOf(into).Elem(), how)
	return d.findings
}

func (d *decoder) refuse(at, format string, args ...any) {
	d.findings = append(d.findings, delivery.Finding{Pointer: at, Message: fmt.Sprintf(format, args...)})
}

// value reads one value; null leaves what is there.
func (d *decoder) value(at string, raw json.RawMessage, into reflect.Value, how reading) {
	switch own, isOwn := into.Addr().Interface().(json.Unmarshaler); {
	case into.Type() == reflect.TypeFor[json.RawMessage]():
		into.SetBytes(raw)
	case delivery.JSONKind(raw) == "null":
	case isOwn:
		if err := own.UnmarshalJSON(raw); err != nil {
			d.refuse(at, "%s", err)
		}
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(at, raw, into.Elem(), how)
	case into.Kind() == reflect.Struct:
		d.object(at, raw, into, how)
	case into.Kind() == reflect.Slice:
		d.list(at, raw, into, how)
	case into.Kind() == reflect.Map:
		d.names(at, raw, into, how)
	default:
		d.plain(at, raw, into, how)
	}
}

// expects refuses a value of another kind than the wanted one.
func (d *decoder) expects(at string, raw json.RawMessage, kind string) bool {
	if got := delivery.JSONKind(raw); got != kind {
		d.refuse(at, "must be %s, not %s", delivery.WithArticle(kind), delivery.WithArticle(got))
		return false
	}
	return true
}

// object reads the fields of a struct. As in encoding/json their names are found
// without case where nothing fits exactly.
func (d *decoder) object(at string, raw json.RawMessage, into reflect.Value, how reading) {
	if !d.expects(at, raw, "object") {
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		d.refuse(at, "is not an object: %s", err)
		return
	}
	var known []string
	for i := range into.NumField() {
		field := into.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known = append(known, name)
		given := name
		if _, exact := fields[name]; !exact {
			given = sameButCase(name, fields)
		}
		if value, ok := fields[given]; ok {
			delete(fields, given)
			read := field.Tag.Get("read")
			d.value(at+"/"+delivery.PointerToken(given), value, into.Field(i), reading{text: read == "text", strict: how.strict || read == "strict"})
		}
	}
	if !how.strict {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		d.refuse(at+"/"+delivery.PointerToken(name), "is not known%s", proposal(name, known))
	}
}

// sameButCase returns the first of the names that differs from the wanted one in case
// only; empty for none.
func sameButCase(name string, fields map[string]json.RawMessage) string {
	for _, other := range slices.Sorted(maps.Keys(fields)) {
		if strings.EqualFold(name, other) {
			return other
		}
	}
	return ""
}

// proposal says which names were perhaps meant, or which there are: those that the
// given one begins, or that begin it, come first.
func proposal(name string, known []string) string {
	var near []string
	for _, other := range known {
		given, meant := strings.ToLower(name), strings.ToLower(other)
		if strings.HasPrefix(meant, given) || strings.HasPrefix(given, meant) {
			near = append(near, other)
		}
	}
	for _, other := range delivery.Nearest(name, known) {
		if !slices.Contains(near, other) {
			near = append(near, other)
		}
	}
	if len(near) > 0 && name != "" {
		return "; did you mean " + strings.Join(near[:min(len(near), 3)], " or ") + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}

func (d *decoder) list(at string, raw json.RawMessage, into reflect.Value, how reading) {
	if !d.expects(at, raw, "list") {
		return
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		d.refuse(at, "is not a list: %s", err)
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	for i, element := range elements {
		d.value(fmt.Sprintf("%s/%d", at, i), element, into.Index(i), how)
	}
}

// names reads an object whose names are the caller's own.
func (d *decoder) names(at string, raw json.RawMessage, into reflect.Value, how reading) {
	if !d.expects(at, raw, "object") {
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		d.refuse(at, "is not an object: %s", err)
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(at+"/"+delivery.PointerToken(name), fields[name], value, how)
		into.SetMapIndex(reflect.ValueOf(name), value)
	}
}

// plain reads a string, a boolean or a number.
func (d *decoder) plain(at string, raw json.RawMessage, into reflect.Value, how reading) {
	text, kind := string(bytes.TrimSpace(raw)), delivery.JSONKind(raw)
	if kind == "string" && into.Kind() != reflect.String && how.text {
		kind, text = textKind(into.Kind()), strings.TrimSpace(unquoted(raw))
	}
	switch into.Kind() {
	case reflect.String:
		if d.expects(at, raw, "string") {
			into.SetString(unquoted(raw))
		}
	case reflect.Bool:
		on, err := strconv.ParseBool(strings.ToLower(text))
		if kind != "boolean" || err != nil {
			d.refuse(at, "must be a boolean, not %s", given(raw))
			return
		}
		into.SetBool(on)
	case reflect.Int:
		n, err := strconv.ParseFloat(text, 64)
		if kind != "number" || err != nil || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			d.refuse(at, "must be a whole number, not %s", given(raw))
			return
		}
		into.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if kind != "number" || err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			d.refuse(at, "must be a number, not %s", given(raw))
			return
		}
		into.SetFloat(n)
	default:
		d.refuse(at, "cannot be read")
	}
}

// textKind is what a string stands for where a value of that kind is wanted.
func textKind(k reflect.Kind) string {
	if k == reflect.Bool {
		return "boolean"
	}
	return "number"
}

// given is a refused value for people: a number as it is, of the others the kind.
func given(raw json.RawMessage) string {
	if kind := delivery.JSONKind(raw); kind != "number" {
		return delivery.WithArticle(kind)
	}
	return string(raw)
}

func unquoted(raw json.RawMessage) string {
	var out string
	if json.Unmarshal(raw, &out) != nil {
		return ""
	}
	return out
}
