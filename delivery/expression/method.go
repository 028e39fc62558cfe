package expression

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// method is a method of Java's that values of one kind have.
type method struct {
	// min and max are how many arguments it takes; max below 0 is any number.
	min, max int
	call     func(r *run, of value, args []value) (value, error)
}

func (m method) takes(n int) bool { return n >= m.min && (m.max < 0 || n <= m.max) }

// methods are known by the kind of value they are called on.
var methods = map[string]map[string]method{
	"text": textMethods, "number": numberMethods, "truth": nil, "list": listMethods, "record": recordMethods,
	"date": dateMethods, "format": formatMethods, "unit": unitMethods,
}

// everyMethods are those that all values have.
var everyMethods = map[string]method{
	"toString": {0, 0, func(_ *run, of value, _ []value) (value, error) { return display(of) }},
	"equals":   {1, 1, func(r *run, of value, args []value) (value, error) { return r.equal(of, args[0]) }},
}

// kindOf is the key of a value's methods.
func kindOf(v value) string {
	switch v.(type) {
	case string:
		return "text"
	case int64, float64:
		return "number"
	case bool:
		return "truth"
	case list:
		return "list"
	case record:
		return "record"
	case date:
		return "date"
	case dateFormat:
		return "format"
	case unit:
		return "unit"
	default:
		return ""
	}
}

// checkMethod refuses a method that no kind of value has, and a number of arguments
// that none of them takes.
func checkMethod(name string, arguments int) error {
	if name[0] == '$' {
		if arguments != 1 {
			return fmt.Errorf("%s takes one condition or expression", called(name))
		}
		return nil
	}
	known := false
	for _, m := range named(name) {
		if known = true; m.takes(arguments) {
			return nil
		}
	}
	if known {
		return fmt.Errorf("the method %s does not take %d arguments", name, arguments)
	}
	return fmt.Errorf("there is no method %s%s", name, nearest(name))
}

// named are all methods of a name.
func named(name string) []method {
	var out []method
	add := func(of map[string]method) {
		if m, ok := of[name]; ok {
			out = append(out, m)
		}
	}
	add(everyMethods)
	for _, kind := range slices.Sorted(maps.Keys(methods)) {
		add(methods[kind])
	}
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		add(classes[c].methods)
	}
	return out
}

// nearest proposes methods whose names look like the wanted one.
func nearest(name string) string {
	var known []string
	for _, of := range methods {
		known = slices.AppendSeq(known, maps.Keys(of))
	}
	slices.Sort(known)
	near := delivery.Nearest(name, slices.Compact(known))
	switch {
	case len(near) > 0 && strings.EqualFold(near[0], name):
		return "; it is written " + near[0]
	case len(near) > 0:
		return "; did you mean " + strings.Join(near[:min(len(near), 3)], " or ") + "?"
	default:
		return ""
	}
}

// method calls a method of a value or a class.
func (r *run) method(of value, name string, args []value) (value, error) {
	m, ok := methods[kindOf(of)][name]
	if c, is := of.(class); is {
		m, ok = classes[string(c)].methods[name]
	}
	if !ok {
		m, ok = everyMethods[name]
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("%s has no method %s", kind(of), name)
	case !m.takes(len(args)):
		return nil, fmt.Errorf("%s of %s does not take %d arguments", name, kind(of), len(args))
	}
	v, err := m.call(r, of, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}
