package expression

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// typeName is SpEL's T(class).
const typeName = "T"

// class is one of the few classes of Java that Spinnaker lets expressions use. It
// is no result: only its methods and fields have one.
type class string

// root is #root: what bare names read outside of selections.
type root struct{}

// classInfo is what a class has that belongs to no instance.
type classInfo struct {
	// names are the ones it is written by; the first is the whole one.
	names   []string
	methods map[string]method
	fields  record
	// instance tells whether a value is of the class; nil for classes without.
	instance func(v value) bool
	// construct makes an instance; nil where new is of no use.
	construct func(r *run, args []value) (value, error)
}

// classes are the allowed ones that can be evaluated here, by their short names.
var classes = map[string]classInfo{
	"String": {names: []string{"java.lang.String"}, methods: map[string]method{
		"valueOf": {1, 1, func(_ *run, _ value, args []value) (value, error) { return display(args[0]) }},
		"join":    {1, -1, joinTexts},
		"format":  {1, -1, formatText},
	}, instance: isText, construct: func(_ *run, args []value) (value, error) {
		if len(args) != 1 {
			return nil, fmt.Errorf("takes one text")
		}
		return text(args[0])
	}},
	"Integer": {names: []string{"java.lang.Integer"}, methods: map[string]method{"parseInt": static(toInt), "valueOf": static(toInt)},
		fields: record{"MAX_VALUE": int64(math.MaxInt32), "MIN_VALUE": int64(math.MinInt32)}, instance: func(v value) bool {
			i, ok := v.(int64)
			return ok && i == int64(int32(i))
		}},
	"Long": {names: []string{"java.lang.Long"}, methods: map[string]method{"parseLong": static(toInt), "valueOf": static(toInt)},
		fields: record{"MAX_VALUE": int64(math.MaxInt64), "MIN_VALUE": int64(math.MinInt64)}, instance: func(v value) bool { _, ok := v.(int64); return ok }},
	"Double": {names: []string{"java.lang.Double"}, methods: map[string]method{"parseDouble": static(toFloat), "valueOf": static(toFloat)},
		instance: func(v value) bool { _, ok := v.(float64); return ok }},
	"Boolean": {names: []string{"java.lang.Boolean"}, methods: map[string]method{"parseBoolean": static(toBoolean), "valueOf": static(toBoolean)},
		fields: record{"TRUE": true, "FALSE": false}, instance: func(v value) bool { _, ok := v.(bool); return ok }},
	"Number": {names: []string{"java.lang.Number"}, instance: func(v value) bool { _, ok := asFloat(v); return ok }},
	"Math":   {names: []string{"java.lang.Math"}, methods: mathMethods, fields: record{"PI": math.Pi, "E": math.E}},
	"Map":    {names: []string{"java.util.Map"}, instance: func(v value) bool { _, ok := v.(record); return ok }},
	"List":   {names: []string{"java.util.List", "java.util.Collection"}, instance: func(v value) bool { _, ok := v.(list); return ok }},
	"UUID":   {names: []string{"java.util.UUID"}, methods: map[string]method{"randomUUID": {0, 0, randomUUID}}},
	"URLEncoder": {names: []string{"java.net.URLEncoder"}, methods: map[string]method{"encode": {1, 2, func(_ *run, _ value, args []value) (value, error) {
		t, err := text(args[0])
		return url.QueryEscape(t), err
	}}}},
	"Date":              dateClass,
	"SimpleDateFormat":  dateFormatClass,
	"Instant":           instantClass,
	"LocalDate":         localDateClass,
	"LocalDateTime":     localDateTimeClass,
	"ChronoUnit":        chronoUnitClass,
	"DateTimeFormatter": dateTimeFormatterClass,
}

// static makes a static method of a function of one value.
func static(f func(value) (value, error)) method {
	return method{1, 1, func(_ *run, _ value, args []value) (value, error) { return f(args[0]) }}
}

// findClass returns the class of a name as expressions write it.
func findClass(name string) (class, error) {
	short := name[strings.LastIndex(name, ".")+1:]
	if c, ok := classes[short]; ok && (name == short || slices.Contains(c.names, name)) {
		return class(short), nil
	}
	known := make([]string, 0, len(classes))
	for _, short := range slices.Sorted(maps.Keys(classes)) {
		known = append(known, classes[short].names[0])
	}
	return "", fmt.Errorf("the class %s cannot be used; known are %s", name, strings.Join(known, ", "))
}

// classOf reads T(java.lang.Math).
func classOf(n *ast.CallNode) (class, error) {
	if len(n.Arguments) != 1 {
		return "", fmt.Errorf("T() takes one class")
	}
	name := describe(n.Arguments[0])
	if name == "the value" {
		return "", fmt.Errorf("T() takes the name of a class, as in T(java.lang.Math)")
	}
	return findClass(name)
}

// construct is new class(arguments).
func (r *run) construct(args []value) (value, error) {
	name, err := text(args[0])
	if err != nil {
		return nil, err
	}
	c, err := findClass(name)
	if err != nil {
		return nil, err
	}
	make := classes[string(c)].construct
	if make == nil {
		return nil, fmt.Errorf("new %s cannot be made; %s has static methods", name, name)
	}
	v, err := make(r, args[1:])
	if err != nil {
		return nil, fmt.Errorf("new %s: %w", name, err)
	}
	return v, nil
}

// checkNew refuses at the time of saving what construct would refuse.
func checkNew(n *ast.CallNode) error {
	if len(n.Arguments) == 0 {
		return fmt.Errorf("new needs a class")
	}
	name, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return fmt.Errorf("new needs a class")
	}
	c, err := findClass(name.Value)
	if err == nil && classes[string(c)].construct == nil {
		return fmt.Errorf("new %s cannot be made; %s has static methods", name.Value, name.Value)
	}
	return err
}

func (c class) field(property value) (value, error) {
	name, _ := property.(string)
	if v, ok := classes[string(c)].fields[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("%s has no field %v", classes[string(c)].names[0], property)
}

// instanceOf is v instanceof T(class). Nothing is an instance of no class.
func instanceOf(v, of value) (value, error) {
	c, ok := of.(class)
	if !ok {
		return nil, fmt.Errorf("the right side of instanceof is %s, not a class as in T(String)", kind(of))
	}
	is := classes[string(c)].instance
	if is == nil {
		return nil, fmt.Errorf("whether a value is an instance of %s cannot be told", classes[string(c)].names[0])
	}
	return v != nil && is(v), nil
}

// between is v between {low, high}, both included.
func between(v, bounds value) (value, error) {
	pair, ok := bounds.(list)
	if !ok || len(pair) != 2 {
		return nil, fmt.Errorf("the right side of between is no list of two, as in {1, 9}")
	}
	low, err := ordered(">=", v, pair[0])
	if err != nil || low != true {
		return false, err
	}
	return ordered("<=", v, pair[1])
}

func ordered(operator string, a, b value) (value, error) {
	if isText(a) && isText(b) {
		return compare(operator, strings.Compare(a.(string), b.(string)))
	}
	return arithmetic(operator, a, b)
}

func randomUUID(r *run, _ value, _ []value) (value, error) {
	if r.scope.random == nil {
		return nil, laterError("known only when the stage begins")
	}
	return r.scope.random(), nil
}

// mathMethods are those of java.lang.Math.
var mathMethods = map[string]method{
	"abs": {1, 1, func(_ *run, _ value, args []value) (value, error) {
		if i, ok := args[0].(int64); ok && i != math.MinInt64 {
			return max(i, -i), nil
		}
		return onFloat(math.Abs, args)
	}},
	"max":   {2, 2, func(_ *run, _ value, args []value) (value, error) { return chosen(">=", args) }},
	"min":   {2, 2, func(_ *run, _ value, args []value) (value, error) { return chosen("<=", args) }},
	"floor": {1, 1, func(_ *run, _ value, args []value) (value, error) { return onFloat(math.Floor, args) }},
	"ceil":  {1, 1, func(_ *run, _ value, args []value) (value, error) { return onFloat(math.Ceil, args) }},
	"sqrt":  {1, 1, func(_ *run, _ value, args []value) (value, error) { return onFloat(math.Sqrt, args) }},
	"round": {1, 1, func(r *run, _ value, args []value) (value, error) {
		f, err := onFloat(func(f float64) float64 { return math.Floor(f + 0.5) }, args)
		if err != nil {
			return nil, err
		}
		return wholeOf(r, f, nil)
	}},
	"pow": {2, 2, func(_ *run, _ value, args []value) (value, error) {
		exponent, ok := asFloat(args[1])
		if !ok {
			return nil, fmt.Errorf("%s is no number", kind(args[1]))
		}
		return onFloat(func(f float64) float64 { return math.Pow(f, exponent) }, args[:1])
	}},
}

func truncated(f float64) float64 { return math.Trunc(f) }

func onFloat(f func(float64) float64, args []value) (value, error) {
	x, ok := asFloat(args[0])
	if !ok {
		return nil, fmt.Errorf("%s is no number", kind(args[0]))
	}
	y := f(x)
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return nil, fmt.Errorf("the result of %v is no number", args[0])
	}
	return y, nil
}

func chosen(operator string, args []value) (value, error) {
	first, err := arithmetic(operator, args[0], args[1])
	if err != nil {
		return nil, err
	}
	if first == true {
		return args[0], nil
	}
	return args[1], nil
}

// joinTexts is String.join: of the arguments after the separator, or of one list.
func joinTexts(r *run, _ value, args []value) (value, error) {
	parts := list(args[1:])
	if len(args) == 2 {
		if l, ok := args[1].(list); ok {
			parts = l
		}
	}
	return joinList(r, parts, args[:1])
}

// formatText is String.format for %s, %d, %f, %b and %%, with widths to maxWidth.
func formatText(_ *run, _ value, args []value) (value, error) {
	format, err := text(args[0])
	if err != nil {
		return nil, err
	}
	args = args[1:]
	var out strings.Builder
	for at := 0; at < len(format); {
		if format[at] != '%' {
			out.WriteByte(format[at])
			at++
			continue
		}
		end := at + 1
		for end < len(format) && strings.IndexByte("-+ 0123456789.", format[end]) >= 0 {
			end++
		}
		if end == len(format) {
			return nil, fmt.Errorf("the format ends within %s", format[at:])
		}
		piece, used, err := formatOne(format[at+1:end], format[end], args)
		if err != nil {
			return nil, err
		}
		out.WriteString(piece)
		args, at = args[used:], end+1
		if out.Len() > maxProduced {
			return nil, fmt.Errorf("the results are larger than %d bytes", maxProduced)
		}
	}
	return out.String(), nil
}

// formatOne writes the next argument, and returns how many it used.
func formatOne(flags string, verb byte, args []value) (string, int, error) {
	for _, digits := range strings.FieldsFunc(flags, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(digits); err != nil || n > maxWidth {
			return "", 0, fmt.Errorf("the width of %%%s%c is more than %d", flags, verb, maxWidth)
		}
	}
	if verb == '%' || verb == 'n' {
		return map[byte]string{'%': "%", 'n': "\n"}[verb], 0, nil
	}
	if len(args) == 0 {
		return "", 0, fmt.Errorf("there is no argument for %%%s%c", flags, verb)
	}
	switch verb {
	case 's', 'b':
		t, err := display(args[0])
		return fmt.Sprintf("%"+flags+"s", t), 1, err
	case 'd':
		i, ok := args[0].(int64)
		if !ok {
			return "", 0, fmt.Errorf("%%d takes a whole number, not %s", kind(args[0]))
		}
		return fmt.Sprintf("%"+flags+"d", i), 1, nil
	case 'f':
		f, ok := args[0].(float64)
		if !ok {
			return "", 0, fmt.Errorf("%%f takes a number with a fraction, not %s", kind(args[0]))
		}
		return fmt.Sprintf("%"+flags+"f", f), 1, nil
	default:
		return "", 0, fmt.Errorf("%%%c is not known; known are %%s, %%d, %%f, %%b, %%n and %%%%", verb)
	}
}
