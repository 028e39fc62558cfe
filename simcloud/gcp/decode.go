package gcp

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
)

// bodyLimit bounds the bodies that are read: assumption, Compute's largest resources are far below.
const bodyLimit = 4 << 20

// request is a decoded call of a method.
type request struct {
	method *method
	input  proto.Message
	// given are the fields of the input that the client named, if only with their zero value.
	given map[string]bool
	// numbers asks for enums as numbers in the answer.
	numbers bool
}

// decode reads path, query and body into the method's input.
func (r *route) decode(req *http.Request, variables []string) (*request, *apiError) {
	out := &request{method: r.method, input: r.method.input.New().Interface(), given: map[string]bool{}}
	message := out.input.ProtoReflect()
	if refusal := r.decodeBody(req, message, out.given); refusal != nil {
		return out, refusal
	}
	for i, field := range r.fields {
		value, err := url.PathUnescape(variables[i])
		if err == nil {
			err = setText(message, strings.Split(field, "."), value)
		}
		if err != nil {
			return out, badRequest("Invalid value %q for path parameter %s: %v", variables[i], field, err)
		}
		out.given[strings.Split(field, ".")[0]] = true
	}
	return out, out.decodeQuery(req.URL.RawQuery, r)
}

func (r *route) decodeBody(req *http.Request, message protoreflect.Message, given map[string]bool) *apiError {
	data, err := io.ReadAll(io.LimitReader(req.Body, bodyLimit+1))
	if err != nil {
		return badRequest("The request's body could not be read: %v", err)
	}
	if len(data) > bodyLimit {
		return badRequest("Request payload size exceeds the limit: %d bytes.", bodyLimit)
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil // whether it is required is checked later
	}
	target := message
	switch r.body {
	case "*":
	case "":
		target = (&emptypb.Empty{}).ProtoReflect() // a body without fields, at the most
	default:
		field := message.Descriptor().Fields().ByName(protoreflect.Name(r.body))
		target = message.Mutable(field).Message()
		given[r.body] = true
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(data, target.Interface()); err != nil {
		return badJSON(err)
	}
	if r.body == "*" {
		message.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			given[string(f.Name())] = true
			return true
		})
	}
	return nil
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// badJSON says what is wrong with a body in the words of Google's front end.
func badJSON(err error) *apiError {
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return badRequest("Invalid JSON payload received. Unknown name %q: Cannot find field.", m[1])
	}
	// protojson separates its prefix with a space that is not always the same.
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	return badRequest("Invalid JSON payload received. %s", text)
}

// system are the query parameters that every Google API takes: those of the discovery documents, and their other spelling
// (cloud.google.com/apis/docs/system-parameters). Those beside alt have no effect.
var system = map[string]bool{
	"$alt": true, "alt": true, "$fields": true, "fields": true, "$prettyPrint": true, "prettyPrint": true, "$key": true, "key": true,
	"$.xgafv": true, "quotaUser": true, "$userProject": true, "userProject": true, "userIp": true, "access_token": true,
	"oauth_token": true, "$callback": true, "callback": true, "uploadType": true, "upload_protocol": true,
}

func (r *request) decodeQuery(raw string, route *route) *apiError {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return badRequest("Invalid query: %v", err)
	}
	for name, values := range query {
		if system[name] {
			r.numbers = r.numbers || strings.Contains(strings.Join(values, ";"), "enum-encoding=int")
			continue
		}
		path, last := fieldPath(r.input.ProtoReflect().Descriptor(), name)
		switch {
		case path == nil || !route.takesQuery(path):
			return badRequest("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. Field %q could not be found in request message.", name, name)
		case len(values) > 1 && !last.IsList():
			return badRequest("Invalid JSON payload received. Unknown name %q: Proto field is not repeating, cannot start list.", name)
		}
		for _, value := range values {
			if err := setText(r.input.ProtoReflect(), path, value); err != nil {
				return badRequest("Invalid value at '%s', %q", name, value)
			}
		}
		r.given[path[0]] = true
	}
	return nil
}

// takesQuery tells whether a field may stand in the query: one that neither the body nor the path fills (google.api.http).
func (r *route) takesQuery(path []string) bool {
	return r.body != "*" && path[0] != r.body && !slices.Contains(r.fields, strings.Join(path, "."))
}

// fieldPath resolves a dotted path of JSON names, or of proto names, to proto names and the last field; nil when there is
// no such field, or it has no form of text.
func fieldPath(message protoreflect.MessageDescriptor, name string) ([]string, protoreflect.FieldDescriptor) {
	var out []string
	var field protoreflect.FieldDescriptor
	for _, part := range strings.Split(name, ".") {
		if field != nil && (field.Message() == nil || field.IsList()) {
			return nil, nil
		}
		if field != nil {
			message = field.Message()
		}
		if field = message.Fields().ByJSONName(part); field == nil {
			field = message.Fields().ByName(protoreflect.Name(part))
		}
		if field == nil || field.IsMap() {
			return nil, nil
		}
		out = append(out, string(field.Name()))
	}
	if field.IsList() && field.Message() != nil {
		return nil, nil
	}
	return out, field
}

// setText sets a field to a value that came as text.
func setText(message protoreflect.Message, path []string, text string) error {
	field := message.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if field == nil {
		return fmt.Errorf("no field %s", path[0])
	}
	if len(path) > 1 {
		return setText(message.Mutable(field).Message(), path[1:], text)
	}
	if field.Message() != nil { // well-known types, such as a field mask, have a form of text
		return protojson.Unmarshal([]byte(strconv.Quote(text)), message.Mutable(field).Message().Interface())
	}
	value, err := scalar(field, text)
	if err != nil {
		return err
	}
	if field.IsList() {
		message.Mutable(field).List().Append(value)
		return nil
	}
	message.Set(field, value)
	return nil
}

func scalar(field protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BoolKind:
		if text != "true" && text != "false" {
			return protoreflect.Value{}, fmt.Errorf("%q is no boolean", text)
		}
		return protoreflect.ValueOfBool(text == "true"), nil
	case protoreflect.FloatKind:
		f, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(f)), err
	case protoreflect.DoubleKind:
		f, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(f), err
	case protoreflect.Int32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err
	case protoreflect.Int64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), err
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	case protoreflect.BytesKind:
		data, err := base64.StdEncoding.DecodeString(text)
		return protoreflect.ValueOfBytes(data), err
	case protoreflect.EnumKind:
		if v := field.Enum().Values().ByName(protoreflect.Name(text)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), nil
		}
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), err
	default:
		return protoreflect.Value{}, fmt.Errorf("a field of kind %s has no form of text", field.Kind())
	}
}

// encode writes a message as the API does: enums of Cloud Run as numbers when the client asks for them.
func (r *request) encode(message proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{UseEnumNumbers: r.numbers}.Marshal(message)
}
