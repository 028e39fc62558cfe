package gcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-cd/slipway/internal/golden"
)

// TestEnums compares the file of enums with the discovery document; -update writes it.
func TestEnums(t *testing.T) {
	g := &enumGatherer{
		t: t, document: discovery(t, "compute/v1/compute-api.json"), seen: map[protoreflect.FullName]bool{},
		enums: map[string][]string{},
	}
	services := computepb.File_google_cloud_compute_v1_compute_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			g.request(methods.Get(j))
		}
	}
	// The library is made from a newer document than the one at hand. A rule for names that does not hold would lose more.
	if len(g.newer) > 50 {
		t.Errorf("the document lacks %d fields: %q", len(g.newer), g.newer)
	}
	golden.Compare(t, "enums.json", g.file())
}

// enumGatherer walks the messages of requests and the schemas of the document side by side.
type enumGatherer struct {
	t        *testing.T
	document document
	seen     map[protoreflect.FullName]bool
	enums    map[string][]string
	newer    []string // fields that the document does not have
}

// request gathers what a method's parameters and body may have.
func (g *enumGatherer) request(d protoreflect.MethodDescriptor) {
	parameters := g.document.Resources[lowerFirst(d.Parent().Name())].Methods[lowerFirst(d.Name())].Parameters
	for i := range d.Input().Fields().Len() {
		field := d.Input().Fields().Get(i)
		if field.Message() != nil && !field.IsMap() {
			g.message(field.Message(), g.document.Schemas[string(field.Message().Name())])
			continue
		}
		g.field(field, parameters[field.JSONName()])
	}
}

func lowerFirst(name protoreflect.Name) string {
	return strings.ToLower(string(name[:1])) + string(name[1:])
}

func (g *enumGatherer) message(d protoreflect.MessageDescriptor, s schema) {
	if g.seen[d.FullName()] {
		return
	}
	g.seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		property, found := s.Properties[field.JSONName()]
		if !found {
			g.newer = append(g.newer, string(d.Name())+"."+field.JSONName())
			continue
		}
		// What only the API fills in is ignored when it comes back from a client.
		if !property.ReadOnly && !strings.Contains(property.Description, "[Output Only]") {
			g.field(field, property)
			g.compare(field)
		}
	}
}

// compare holds a field against the enum that the library has beside it for the sake of its documentation. That lacks values
// that another enum has too.
func (g *enumGatherer) compare(field protoreflect.FieldDescriptor) {
	name := strings.ReplaceAll(field.TextName(), "_", "")
	known := g.enums[string(field.Parent().Name())+"."+field.JSONName()]
	nested := field.Parent().(protoreflect.MessageDescriptor).Enums()
	for i := range nested.Len() {
		e := nested.Get(i)
		if field.Kind() != protoreflect.StringKind || !strings.EqualFold(string(e.Name()), name) {
			continue
		}
		if len(known) == 0 {
			g.t.Errorf("%s has an enum, and none in the document", field.FullName())
		}
		if e.Values().Len() > 1 && !slices.ContainsFunc(known, func(v string) bool { return e.Values().ByName(protoreflect.Name(v)) != nil }) {
			g.t.Errorf("%s has none of the values %q", e.FullName(), known)
		}
	}
}

func (g *enumGatherer) field(field protoreflect.FieldDescriptor, s schema) {
	for _, inner := range []*schema{s.Items, s.Additional} {
		if inner != nil {
			s = *inner
		}
	}
	message := field.Message()
	if field.IsMap() {
		message = field.MapValue().Message()
	}
	switch {
	case message != nil && s.Ref != "":
		g.message(message, g.document.Schemas[s.Ref])
	case message != nil:
		g.message(message, s) // a schema without a name of its own
	case len(s.Enum) > 0:
		g.enums[string(field.Parent().Name())+"."+field.JSONName()] = s.Enum
	}
}

// file renders the enums, one field in a line.
func (g *enumGatherer) file() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n%q: %q,\n\"revision\": %q,\n\"enums\": {\n", "//",
		"Generated from Compute Engine's discovery document by go test ./simcloud/gcp -run TestEnums -update; do not edit.", g.document.Revision)
	for i, name := range slices.Sorted(maps.Keys(g.enums)) {
		if i > 0 {
			b.WriteString(",\n")
		}
		values, err := json.Marshal(g.enums[name])
		if err != nil {
			g.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%q: %s", name, values)
	}
	b.WriteString("\n}\n}\n")
	return b.Bytes()
}

// TestEnumsAreFields looks every name of the file up in the descriptors: one that is not there would check nothing.
func TestEnumsAreFields(t *testing.T) {
	messages := computepb.File_google_cloud_compute_v1_compute_proto.Messages()
	for name, values := range enums() {
		message, field, _ := strings.Cut(name, ".")
		d := messages.ByName(protoreflect.Name(message))
		if d == nil || d.Fields().ByJSONName(field) == nil {
			t.Errorf("the descriptors have no %s", name)
			continue
		}
		if got := enumOf(d.Fields().ByJSONName(field)); !slices.Equal(got, values) || len(got) == 0 {
			t.Errorf("enumOf(%s) is %q, want %q", name, got, values)
		}
	}
}

func TestEnumOf(t *testing.T) {
	for _, test := range []struct {
		message protoreflect.ProtoMessage
		field   string
		value   string // one that must be there, empty when there are none
	}{
		{&computepb.BackendService{}, "loadBalancingScheme", "EXTERNAL_MANAGED"},
		{&computepb.BackendService{}, "name", ""},
		{&computepb.Backend{}, "balancingMode", "RATE"},
		{&computepb.HealthCheck{}, "type", "HTTP"},
		{&computepb.InstanceGroupManagerUpdatePolicy{}, "minimalAction", "REPLACE"},
		{&computepb.Instance{}, "status", ""}, // output only
		{&computepb.GetForwardingRuleRequest{}, "view", "FULL"},
		{&computepb.SslCertificateManagedSslCertificate{}, "domainStatus", ""}, // output only
	} {
		values := enumOf(test.message.ProtoReflect().Descriptor().Fields().ByJSONName(test.field))
		if test.value == "" && values != nil || test.value != "" && !slices.Contains(values, test.value) {
			t.Errorf("%T.%s may be %q", test.message, test.field, values)
		}
	}
}
