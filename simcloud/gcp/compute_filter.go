package gcp

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// filter is a list filter. The language is the one of the discovery document ("filter" of any list): comparisons with =, !=
// and :*, or with eq and ne, whose literals are regular expressions that match a whole value; parentheses; AND, OR, and AND
// where nothing stands between two comparisons; OR binds closer than AND (AIP-160). What is not of it is refused, never
// ignored: also <, >, and * in a value, which the real API knows.
type filter interface {
	matches(protoreflect.Message) (bool, *apiError)
}

type everything struct{}

func (everything) matches(protoreflect.Message) (bool, *apiError) { return true, nil }

// allOf and anyOf are met when all or any of their parts are.
type (
	allOf []filter
	anyOf []filter
)

func (f allOf) matches(m protoreflect.Message) (bool, *apiError) {
	for _, part := range f {
		if ok, refusal := part.matches(m); refusal != nil || !ok {
			return false, refusal
		}
	}
	return true, nil
}

func (f anyOf) matches(m protoreflect.Message) (bool, *apiError) {
	for _, part := range f {
		if ok, refusal := part.matches(m); refusal != nil || ok {
			return ok, refusal
		}
	}
	return false, nil
}

// comparison compares a field.
type comparison struct {
	field string
	not   bool
	test  func(value string) bool
	// present asks whether the field is there.
	present bool
}

func (f comparison) matches(m protoreflect.Message) (bool, *apiError) {
	value, present, ok := fieldText(m, strings.Split(f.field, "."))
	if !ok {
		return false, badFilter(f.field)
	}
	if f.present {
		return present, nil
	}
	return f.test(value) != f.not, nil
}

// fieldText is a field's value as text. ok is false when messages of this kind have no such field.
func fieldText(m protoreflect.Message, path []string) (value string, present, ok bool) {
	field := m.Descriptor().Fields().ByJSONName(path[0])
	switch {
	case field == nil || field.IsList():
		return "", false, false
	case field.IsMap():
		if len(path) != 2 || field.MapValue().Kind() != protoreflect.StringKind {
			return "", false, false
		}
		entry := m.Get(field).Map().Get(protoreflect.ValueOfString(path[1]).MapKey())
		if !entry.IsValid() {
			return "", false, true
		}
		return entry.String(), true, true
	case field.Message() != nil:
		if len(path) == 1 {
			return "", m.Has(field), false
		}
		return fieldText(m.Get(field).Message(), path[1:])
	case len(path) > 1:
		return "", false, false
	case field.Kind() == protoreflect.EnumKind:
		if v := field.Enum().Values().ByNumber(m.Get(field).Enum()); v != nil {
			return string(v.Name()), m.Has(field), true
		}
		return "", false, true
	default:
		return m.Get(field).String(), m.Has(field), true
	}
}

func badFilter(text string) *apiError {
	return invalidValue("filter", text, "Invalid list filter expression.")
}

// filterToken finds the parts of a filter: quoted text, parentheses, operators and words.
var filterToken = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[()]|!=|>=|<=|[=:<>]|[^\s()=!<>:"']+(?::[^\s()"'*][^\s()"']*)?)`)

type filterParser struct {
	text string
	rest []string
	// styles are the kinds of operators used: "These two types of filter expressions cannot be mixed in one request".
	styles map[string]bool
}

func parseFilter(text string) (filter, *apiError) {
	if strings.TrimSpace(text) == "" {
		return everything{}, nil
	}
	p := &filterParser{text: text, styles: map[string]bool{}}
	for at := text; strings.TrimSpace(at) != ""; {
		m := filterToken.FindStringSubmatchIndex(at)
		if m == nil {
			return nil, badFilter(text)
		}
		p.rest = append(p.rest, at[m[2]:m[3]])
		at = at[m[1]:]
	}
	out, ok := p.all()
	if !ok || len(p.rest) > 0 || len(p.styles) > 1 {
		return nil, badFilter(text)
	}
	return out, nil
}

func (p *filterParser) peek() string {
	if len(p.rest) == 0 {
		return ""
	}
	return p.rest[0]
}

func (p *filterParser) next() string {
	out := p.peek()
	if len(p.rest) > 0 {
		p.rest = p.rest[1:]
	}
	return out
}

func (p *filterParser) all() (filter, bool) {
	var out allOf
	for {
		part, ok := p.any()
		if !ok {
			return nil, false
		}
		out = append(out, part)
		switch p.peek() {
		case "AND":
			p.next()
		case "", ")":
			return out, true
		}
	}
}

func (p *filterParser) any() (filter, bool) {
	var out anyOf
	for {
		part, ok := p.one()
		if !ok {
			return nil, false
		}
		out = append(out, part)
		if p.peek() != "OR" {
			return out, true
		}
		p.next()
	}
}

func (p *filterParser) one() (filter, bool) {
	if p.peek() == "(" {
		p.next()
		inside, ok := p.all()
		return inside, ok && p.next() == ")"
	}
	field, operator, value := p.next(), p.next(), p.next()
	literal := strings.Trim(value, `"'`)
	if field == "" || value == "" || strings.ContainsAny(field, `"'()`) || value == "(" || value == ")" {
		return nil, false
	}
	switch operator {
	case "=", "!=":
		p.styles["literal"] = true
		return comparison{field: field, not: operator == "!=", test: func(v string) bool { return v == literal }}, !strings.Contains(literal, "*")
	case ":":
		p.styles["literal"] = true
		return comparison{field: field, present: true}, value == "*"
	case "eq", "ne":
		p.styles["regexp"] = true
		expression, err := regexp.Compile("^(?:" + literal + ")$")
		if err != nil {
			return nil, false
		}
		return comparison{field: field, not: operator == "ne", test: expression.MatchString}, true
	default:
		return nil, false
	}
}
