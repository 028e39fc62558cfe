package gcp

import (
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// outputFields are those that a client cannot set.
var outputFields = []protoreflect.Name{"id", "kind", "self_link", "creation_timestamp", "region", "zone", "fingerprint"}

// stampNew fills in what the API itself gives a new resource.
func stampNew(message proto.Message, kind, path string, id uint64, now time.Time) {
	text := map[protoreflect.Name]string{
		"kind": kind, "self_link": selfLink(path), "creation_timestamp": stamp(now), "name": nameOf(path),
	}
	parts := strings.Split(path, "/")
	switch parts[2] {
	case "regions":
		text["region"] = selfLink(strings.Join(parts[:4], "/"))
	case "zones":
		text["zone"] = selfLink(strings.Join(parts[:4], "/"))
	}
	m := message.ProtoReflect()
	for _, name := range outputFields {
		unset(m, name)
	}
	for name, value := range text {
		if field := m.Descriptor().Fields().ByName(name); field != nil {
			m.Set(field, protoreflect.ValueOfString(value))
		}
	}
	if field := m.Descriptor().Fields().ByName("id"); field != nil {
		m.Set(field, protoreflect.ValueOfUint64(id))
	}
}

func unset(m protoreflect.Message, name protoreflect.Name) {
	if field := m.Descriptor().Fields().ByName(name); field != nil {
		m.Clear(field)
	}
}

// merged returns a copy of a resource with a patch applied as a JSON merge patch: "this method supports PATCH semantics and
// uses the JSON merge patch format and processing rules" (discovery document). Messages merge, lists and values replace.
// Removing a field takes an explicit null, which no client library can send: a patch only adds, an update replaces all.
func merged[T proto.Message](stored, patch T, kept ...protoreflect.Name) T {
	out, change := proto.Clone(stored).(T), proto.Clone(patch).(T)
	for _, name := range append(append([]protoreflect.Name{"name"}, outputFields...), kept...) {
		unset(change.ProtoReflect(), name)
	}
	mergeInto(out.ProtoReflect(), change.ProtoReflect())
	return out
}

func mergeInto(into, patch protoreflect.Message) {
	patch.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			target := into.Mutable(field).Map()
			value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				target.Set(key, entry)
				return true
			})
		case field.Message() != nil && !field.IsList():
			mergeInto(into.Mutable(field).Message(), value.Message())
		default:
			into.Set(field, value)
		}
		return true
	})
}

// replaced returns what an update makes of a resource: the new message with the fields that the API itself sets.
func replaced[T proto.Message](stored, update T, kept ...protoreflect.Name) T {
	out := proto.Clone(update).(T)
	from, to := stored.ProtoReflect(), out.ProtoReflect()
	for _, name := range append(append([]protoreflect.Name{"name"}, outputFields...), kept...) {
		field := from.Descriptor().Fields().ByName(name)
		if field == nil {
			continue
		}
		to.Clear(field)
		if from.Has(field) {
			to.Set(field, from.Get(field))
		}
	}
	return out
}

// checkFingerprint refuses a change that was not made from the present state ("an up-to-date fingerprint must be provided in
// order to update the UrlMap, otherwise the request will fail with error 412 conditionNotMet", discovery document). The
// text is the one that hashicorp/terraform-provider-google looks for (google/transport/error_retry_predicates.go).
func checkFingerprint(given *string, stored string) *apiError {
	if given != nil && *given == stored {
		return nil
	}
	return &apiError{status: http.StatusPreconditionFailed, reason: "conditionNotMet", message: "Invalid fingerprint."}
}
