package aws

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// refused is a member the simulator knows and does not simulate: a request that
// uses it is answered with an error. It keeps the members it was given.
type refused map[string]string

// ignored is a member the simulator knows and accepts without any effect. It
// keeps the members it was given.
type ignored map[string]string

var (
	refusedType = reflect.TypeFor[refused]()
	ignoredType = reflect.TypeFor[ignored]()
	timeType    = reflect.TypeFor[time.Time]()
)

// decoder fills an input struct from a tree. Fields are matched by their name or
// by the tag `wire:"Name"`; the option "required" refuses a missing member and
// "item" marks a list whose elements stand below that name instead of "member".
type decoder struct {
	lists   protocol
	service *service
	action  string
	// lenient keeps refused members instead of refusing them, and does without required ones.
	lenient bool
}

func (d decoder) decode(n *node, into any) *apiError {
	return d.structure(n, reflect.ValueOf(into).Elem(), "")
}

type fieldTag struct {
	name     string
	required bool
}

func tagOf(f reflect.StructField) fieldTag {
	name, options, _ := strings.Cut(f.Tag.Get("wire"), ",")
	if name == "" {
		name = f.Name
	}
	return fieldTag{name: name, required: options == "required"}
}

func (d decoder) structure(n *node, into reflect.Value, path string) *apiError {
	known := map[string]bool{}
	for i := range into.NumField() {
		field := into.Type().Field(i)
		tag := tagOf(field)
		known[tag.name] = true
		kid := n.kids[tag.name]
		at := join(path, tag.name)
		if kid == nil {
			if tag.required && !d.lenient {
				return d.service.missing(at)
			}
			continue
		}
		if err := d.value(kid, into.Field(i), at); err != nil {
			return err
		}
		if tag.required && !d.lenient && into.Field(i).IsZero() {
			return d.service.missing(at)
		}
	}
	for _, name := range n.names() {
		if !known[name] {
			return d.service.unknown(join(path, name))
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d decoder) value(n *node, into reflect.Value, path string) *apiError {
	switch t := into.Type(); {
	case t == refusedType, t == ignoredType:
		members := map[string]string{}
		n.paths("", members)
		into.Set(reflect.ValueOf(members).Convert(t))
		if t == refusedType && !d.lenient {
			return unsimulated(d.action, path)
		}
		return nil
	case t == timeType:
		return d.scalar(n, into, path)
	case t.Kind() == reflect.Pointer:
		target := reflect.New(t.Elem())
		if err := d.value(n, target.Elem(), path); err != nil {
			return err
		}
		into.Set(target)
		return nil
	case t.Kind() == reflect.Struct:
		return d.structure(n, into, path)
	case t.Kind() == reflect.Slice:
		return d.list(n, into, path)
	default:
		return d.scalar(n, into, path)
	}
}

// list reads Name.member.1 (query, CBOR) or Name.1 (EC2). An empty list is
// "Name=" in the query protocol.
func (d decoder) list(n *node, into reflect.Value, path string) *apiError {
	into.Set(reflect.MakeSlice(into.Type(), 0, len(n.kids)))
	if d.lists != ec2Query {
		member := n.kids["member"]
		if len(n.kids) > 0 && member == nil || len(n.kids) > 1 {
			return d.service.unknown(join(path, n.names()[0]))
		}
		if member == nil {
			return nil
		}
		n, path = member, join(path, "member")
	}
	keys, err := listKeys(n)
	if err != "" {
		return d.service.unknown(join(path, err))
	}
	for _, key := range keys {
		item := reflect.New(into.Type().Elem()).Elem()
		if err := d.value(n.kids[strconv.Itoa(key)], item, join(path, strconv.Itoa(key))); err != nil {
			return err
		}
		into.Set(reflect.Append(into, item))
	}
	return nil
}

func listKeys(n *node) (keys []int, bad string) {
	for name := range n.kids {
		key, err := strconv.Atoi(name)
		if err != nil {
			return nil, name
		}
		keys = append(keys, key)
	}
	sort.Ints(keys)
	return keys, ""
}

func (d decoder) scalar(n *node, into reflect.Value, path string) *apiError {
	if len(n.kids) > 0 {
		return d.service.unknown(join(path, n.names()[0]))
	}
	if err := setScalar(into, n.value); err != nil {
		return d.service.malformed(path, n.value, into.Kind())
	}
	return nil
}

func setScalar(into reflect.Value, text string) error {
	if into.Type() == timeType {
		t, err := parseTime(text)
		if err != nil {
			return err
		}
		into.Set(reflect.ValueOf(t))
		return nil
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
	case reflect.Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("parse bool: %w", err)
		}
		into.SetBool(v)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v, err := strconv.ParseInt(text, 10, into.Type().Bits())
		if err != nil {
			return fmt.Errorf("parse integer: %w", err)
		}
		into.SetInt(v)
	case reflect.Float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("parse number: %w", err)
		}
		into.SetFloat(v)
	default:
		return fmt.Errorf("no wire form for %s", into.Type())
	}
	return nil
}

// parseTime reads ISO 8601, or the seconds since 1970 of the JSON protocol.
func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse time: %w", err)
	}
	return t, nil
}
