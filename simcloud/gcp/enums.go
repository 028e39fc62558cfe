package gcp

import "google.golang.org/protobuf/reflect/protoreflect"

// enumOf returns the values that a field of text may have, nil for any text.
func enumOf(protoreflect.FieldDescriptor) []string { return nil }
