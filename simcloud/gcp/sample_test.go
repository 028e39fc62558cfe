package gcp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sample is a request of a method that has all that the descriptor demands and nothing else.
type sample struct {
	method *method
	rule   *annotations.HttpRule
	verb   string
	path   string
	query  url.Values
	body   proto.Message // nil when the method has none, or it is left out
}

func sampleOf(t *testing.T, m *method, rule *annotations.HttpRule) *sample {
	t.Helper()
	verb, template := verbOf(rule)
	path, _ := pathFor(t, template)
	s := &sample{method: m, rule: rule, verb: verb, path: path, query: url.Values{}}
	input := m.input.New()
	fill(input)
	for _, field := range fieldsOf(input.Descriptor()) {
		switch {
		case s.inPath(field):
			input.Clear(field)
		case string(field.Name()) == rule.Body:
			s.body = input.Mutable(field).Message().Interface()
		case rule.Body != "*" && required(field):
			s.query.Set(field.JSONName(), textOf(field))
		}
	}
	if rule.Body == "*" {
		s.body = input.Interface()
	}
	return s
}

// inPath tells whether a variable of the path fills a field.
func (s *sample) inPath(field protoreflect.FieldDescriptor) bool {
	_, template := verbOf(s.rule)
	return strings.Contains(template, "{"+string(field.Name())+"}") || strings.Contains(template, "{"+string(field.Name())+"=")
}

func (s *sample) copy() *sample {
	out := *s
	out.query = url.Values{}
	for name, values := range s.query {
		out.query[name] = slices.Clone(values)
	}
	if s.body != nil {
		out.body = proto.Clone(s.body)
	}
	return &out
}

// http is the request as a client would send it. extra goes into the body as it is.
func (s *sample) http(t *testing.T, extra string) *http.Request {
	t.Helper()
	body := ""
	if s.body != nil {
		data, err := protojson.Marshal(s.body)
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	}
	if extra != "" {
		body = strings.TrimSpace(strings.TrimSuffix(body, "}"))
		if body != "" && body != "{" {
			body += ","
		}
		body = "{" + strings.TrimPrefix(body, "{") + extra + "}"
	}
	return httptest.NewRequestWithContext(t.Context(), s.verb, s.path+"?"+s.query.Encode(), strings.NewReader(body))
}

// read routes, decodes and checks a request.
func read(r *http.Request) (*request, *apiError) {
	route, variables := sharedRouter().find(r.Method, r.URL.EscapedPath())
	if route == nil {
		return nil, badRequest("no route to %s", r.URL.Path)
	}
	out, refusal := route.decode(r, variables)
	if refusal != nil {
		return out, refusal
	}
	return out, out.check()
}

// lacking returns the sample without each of its required fields in turn, by the field's path as refusals call it.
func (s *sample) lacking() map[string]*sample {
	out := map[string]*sample{}
	for name := range s.query {
		without := s.copy()
		without.query.Del(name)
		out[name] = without
	}
	if s.body == nil {
		return out
	}
	at := ""
	if s.rule.Body != "*" {
		field := s.method.descriptor.Input().Fields().ByName(protoreflect.Name(s.rule.Body))
		at = pathTo(field)
		// A variable such as {service.name=...} makes the message be there.
		if _, template := verbOf(s.rule); required(field) && !strings.Contains(template, "{"+s.rule.Body+".") {
			without := s.copy()
			without.body = nil
			out[at] = without
		}
	}
	partial := strings.HasPrefix(string(s.method.descriptor.Name()), "Patch") || strings.HasPrefix(string(s.method.descriptor.Name()), "Update")
	for _, path := range requiredIn(s.body.ProtoReflect(), at, partial) {
		without := s.copy()
		clearField(without.body.ProtoReflect(), strings.Split(strings.TrimPrefix(path, at+"."), "."))
		out[path] = without
	}
	return out
}

// requiredIn lists the required fields that a message has, at any depth.
func requiredIn(message protoreflect.Message, at string, partial bool) []string {
	var out []string
	for _, field := range fieldsOf(message.Descriptor()) {
		path := strings.TrimPrefix(at+"."+field.JSONName(), ".")
		if !message.Has(field) {
			continue
		}
		if required(field) && !partial {
			out = append(out, path)
		}
		if field.Message() != nil && !field.IsMap() {
			out = append(out, requiredIn(inside(message, field), path, false)...)
		}
	}
	return out
}

// inside is the message of a field, the first when it is a list.
func inside(message protoreflect.Message, field protoreflect.FieldDescriptor) protoreflect.Message {
	if field.IsList() {
		return message.Mutable(field).List().Get(0).Message()
	}
	return message.Mutable(field).Message()
}

func clearField(message protoreflect.Message, path []string) {
	field := message.Descriptor().Fields().ByJSONName(path[0])
	if len(path) == 1 {
		message.Clear(field)
		return
	}
	clearField(inside(message, field), path[1:])
}

func fieldsOf(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	out := make([]protoreflect.FieldDescriptor, d.Fields().Len())
	for i := range out {
		out[i] = d.Fields().Get(i)
	}
	return out
}

// fill sets the required fields of a message, at any depth.
func fill(message protoreflect.Message) {
	for _, field := range fieldsOf(message.Descriptor()) {
		if !required(field) {
			continue
		}
		value := message.NewField(field)
		switch {
		case field.IsList() && field.Message() != nil:
			item := value.List().NewElement()
			fill(item.Message())
			value.List().Append(item)
		case field.IsList():
			item, _ := scalar(field, textOf(field))
			value.List().Append(item)
		case field.IsMap():
			continue
		case field.Message() != nil:
			fill(value.Message())
		default:
			value, _ = scalar(field, textOf(field))
		}
		message.Set(field, value)
	}
}

// textOf is a value that a field may have.
func textOf(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		if values := enumOf(field); len(values) > 0 {
			return values[0]
		}
		return "text"
	case protoreflect.BoolKind:
		return "true"
	case protoreflect.BytesKind:
		return "dGV4dA=="
	case protoreflect.EnumKind:
		return string(field.Enum().Values().Get(1).Name())
	default:
		return "1"
	}
}
