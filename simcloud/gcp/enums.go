package gcp

import (
	_ "embed"
	"encoding/json"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed enums.json
var enumsFile []byte

// computePackage is where the messages of Compute live.
const computePackage = "google.cloud.compute.v1."

// enums are the values of Compute's fields of text, by message and JSON name: "BackendService.protocol". The descriptors
// have plain strings there, the discovery document has the values. Its schemas are called as the messages are.
var enums = sync.OnceValue(func() map[string][]string {
	var file struct {
		Enums map[string][]string `json:"enums"`
	}
	if err := json.Unmarshal(enumsFile, &file); err != nil {
		panic(err) // the file is a part of the program
	}
	return file.Enums
})

// enumOf returns the values that a field of text, or the items of a list of texts, may have; nil for any text.
func enumOf(field protoreflect.FieldDescriptor) []string {
	if field.Kind() != protoreflect.StringKind {
		return nil
	}
	message, ours := strings.CutPrefix(string(field.Parent().FullName()), computePackage)
	if !ours {
		return nil
	}
	return enums()[message+"."+field.JSONName()]
}
