package gcp

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// check refuses an input that lacks a required field, carries a value that its enum does not have, or a malformed
// request id. What is required stands in the descriptors, what an enum of Compute has in the discovery document.
func (r *request) check() *apiError {
	message := r.input.ProtoReflect()
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if required(field) && !message.Has(field) && !r.given[string(field.Name())] {
			return r.missing(pathTo(field))
		}
		if !message.Has(field) {
			continue
		}
		if refusal := r.checkTop(message, field); refusal != nil {
			return refusal
		}
	}
	return r.checkRequestID()
}

// maxResults is the largest page that may be asked for: "Acceptable values are 0 to 500, inclusive" (discovery document).
const maxResults = 500

func (r *request) checkTop(message protoreflect.Message, field protoreflect.FieldDescriptor) *apiError {
	if field.Message() != nil && !field.IsList() && !field.IsMap() {
		return r.checkInside(message.Get(field).Message(), pathTo(field), true)
	}
	if r.method.service == serviceCompute && field.Name() == "max_results" && message.Get(field).Uint() > maxResults {
		return invalidValue("maxResults", message.Get(field).String(), "Values must be within the range: [0, 500]")
	}
	return r.checkField(message, field, field.JSONName())
}

// pathTo is what refusals call a field of the input. Compute calls the body "resource", whatever the message's field is.
func pathTo(field protoreflect.FieldDescriptor) string {
	if strings.HasSuffix(string(field.Name()), "_resource") {
		return "resource"
	}
	return field.JSONName()
}

// partial tells whether the body is a part of a resource.
func (r *request) partial() bool {
	name := r.method.descriptor.Name()
	return strings.HasPrefix(string(name), "Patch") || strings.HasPrefix(string(name), "Update")
}

// checkInside checks a message of the body; top is true for the body itself. What only the API fills in has no enum and
// nothing required: a client may send back what it read.
func (r *request) checkInside(message protoreflect.Message, at string, top bool) *apiError {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		path := at + "." + field.JSONName()
		if !message.Has(field) {
			// An update names the part of the resource that it changes: the rest may be left out.
			if required(field) && !(top && r.partial()) {
				return r.missing(path)
			}
			continue
		}
		if refusal := r.checkField(message, field, path); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (r *request) checkField(message protoreflect.Message, field protoreflect.FieldDescriptor, path string) *apiError {
	value := message.Get(field)
	switch {
	case field.IsMap():
		return r.checkMap(field, value.Map(), path)
	case field.IsList():
		for i := range value.List().Len() {
			if refusal := r.checkValue(field, value.List().Get(i), path); refusal != nil {
				return refusal
			}
		}
		return nil
	default:
		return r.checkValue(field, value, path)
	}
}

func (r *request) checkMap(field protoreflect.FieldDescriptor, values protoreflect.Map, path string) *apiError {
	var refusal *apiError
	if field.MapValue().Message() != nil {
		values.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			refusal = r.checkInside(value.Message(), path+"."+key.String(), false)
			return refusal == nil
		})
	}
	return refusal
}

func (r *request) checkValue(field protoreflect.FieldDescriptor, value protoreflect.Value, path string) *apiError {
	if field.Message() != nil {
		return r.checkInside(value.Message(), path, false)
	}
	allowed := enumOf(field)
	if field.Kind() == protoreflect.StringKind && len(allowed) > 0 && !slices.Contains(allowed, value.String()) {
		return invalidValue(path, value.String(), "Must be one of ["+strings.Join(allowed, ", ")+"]")
	}
	return nil
}

func required(field protoreflect.FieldDescriptor) bool {
	return behaves(field, annotations.FieldBehavior_REQUIRED)
}

func behaves(field protoreflect.FieldDescriptor, behavior annotations.FieldBehavior) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, behavior)
}

func (r *request) missing(path string) *apiError {
	if r.method.service == serviceCompute {
		return &apiError{status: 400, reason: "required", message: "Required field '" + path + "' not specified"}
	}
	return &apiError{status: 400, grpc: "INVALID_ARGUMENT", message: path + ": Required field is missing."}
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// requestID returns the client's request id, empty when the method has none or none was given.
func (r *request) requestID() string {
	field := r.input.ProtoReflect().Descriptor().Fields().ByName("request_id")
	if field == nil {
		return ""
	}
	return r.input.ProtoReflect().Get(field).String()
}

// checkRequestID wants "a valid UUID with the exception that zero UUID is not supported" (discovery document).
func (r *request) checkRequestID() *apiError {
	id := r.requestID()
	if id == "" || uuid.MatchString(id) && strings.Trim(id, "0-") != "" {
		return nil
	}
	return invalidValue("requestId", id, "Must be a valid UUID, and not the zero UUID.")
}
