package gcp

import (
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// merge returns a copy of a service with what an update gives: the fields that the paths name, or all that a client may
// set when there are none. A path whose field was not given clears it (google.aip.dev/134). What the API marks as output is
// ignored.
func merge(old, given *runpb.Service, paths []string) (*runpb.Service, *apiError) {
	out := proto.Clone(old).(*runpb.Service)
	if len(paths) == 0 || slices.Contains(paths, "*") {
		fields := out.ProtoReflect().Descriptor().Fields()
		paths = nil
		for i := range fields.Len() {
			paths = append(paths, string(fields.Get(i).Name()))
		}
	}
	given = proto.Clone(given).(*runpb.Service)
	for _, path := range paths {
		if refusal := copyPath(out.ProtoReflect(), given.ProtoReflect(), path, strings.Split(path, ".")); refusal != nil {
			return nil, refusal
		}
	}
	return out, nil
}

// copyPath copies one field from a message into another of its type.
func copyPath(to, from protoreflect.Message, path string, parts []string) *apiError {
	field := to.Descriptor().Fields().ByName(protoreflect.Name(parts[0]))
	if field == nil || len(parts) > 1 && (field.Message() == nil || field.IsMap() || field.IsList()) {
		return runInvalid("Invalid field mask: '%s' is no field of a Service.", path)
	}
	switch {
	case isOutput(field):
	case len(parts) > 1:
		return copyPath(to.Mutable(field).Message(), from.Get(field).Message(), path, parts[1:])
	case from.Has(field):
		to.Set(field, from.Get(field))
	default:
		to.Clear(field)
	}
	return nil
}

// isOutput tells whether a field is none that a client can set. The etag is compared, not stored.
func isOutput(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY) ||
		slices.Contains(behaviors, annotations.FieldBehavior_IDENTIFIER) || field.Name() == "etag" || field.Name() == "name"
}

// copyShared sets the fields of a message to those of another message that have the same name and type.
func copyShared(to, from protoreflect.Message) {
	fields := to.Descriptor().Fields()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if same := fields.ByName(field.Name()); same != nil && same.Kind() == field.Kind() && same.Cardinality() == field.Cardinality() {
			to.Set(same, value)
		}
		return true
	})
}
