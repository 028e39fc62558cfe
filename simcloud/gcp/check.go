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
			return r.missing(field.JSONName())
		}
		// An update names the part of the resource that it changes: the rest may be left out.
		if field.Message() != nil && !field.IsList() && !field.IsMap() && message.Has(field) {
			if refusal := r.checkInside(message.Get(field).Message(), field.JSONName(), !r.partial()); refusal != nil {
				return refusal
			}
		}
	}
	return r.checkRequestID()
}

// partial tells whether the body is a part of a resource.
func (r *request) partial() bool {
	name := r.method.descriptor.Name()
	return strings.HasPrefix(string(name), "Patch") || strings.HasPrefix(string(name), "Update")
}

// checkInside checks a message of the body; top tells whether the message's own required fields must be there.
func (r *request) checkInside(message protoreflect.Message, at string, top bool) *apiError {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		path := at + "." + field.JSONName()
		if !message.Has(field) {
			// Names are filled in from the path.
			if top && required(field) && field.Name() != "name" {
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
		return nil
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

func (r *request) checkValue(field protoreflect.FieldDescriptor, value protoreflect.Value, path string) *apiError {
	if field.Message() != nil {
		return r.checkInside(value.Message(), path, true)
	}
	allowed := enumOf(field)
	if field.Kind() == protoreflect.StringKind && len(allowed) > 0 && !slices.Contains(allowed, value.String()) {
		return invalidValue(path, value.String(), "Must be one of ["+strings.Join(allowed, ", ")+"]")
	}
	return nil
}

func required(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_REQUIRED)
}

func (r *request) missing(path string) *apiError {
	if r.method.service == serviceCompute {
		return &apiError{status: 400, reason: "required", message: "Required field '" + strings.TrimPrefix(path, "resource.") + "' not specified"}
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
