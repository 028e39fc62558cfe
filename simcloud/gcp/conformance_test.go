package gcp

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The adapters' source tells which methods they call: each method has an input of its own type, so that whoever names the
// type calls the method. Each of these methods must have a handler, and be routed and checked as its descriptor says.

// inputPackages are the packages of the inputs, by import path.
var inputPackages = map[string]string{
	"cloud.google.com/go/compute/apiv1/computepb":             serviceCompute,
	"cloud.google.com/go/run/apiv2/runpb":                     serviceRun,
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb": serviceIAM,
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb":    serviceMonitoring,
	"cloud.google.com/go/longrunning/autogen/longrunningpb":   serviceRun,
}

// runClient is the package whose long-running operations poll by a method of their own.
const runClient = "cloud.google.com/go/run/apiv2"

// TestAdaptersCallWhatIsSimulated walks everything under providers/gcp.
func TestAdaptersCallWhatIsSimulated(t *testing.T) {
	calls, files := adapterCalls(t, filepath.FromSlash("../../providers/gcp"))
	if files > 0 && len(calls) == 0 {
		t.Errorf("%d files of the adapters call nothing", files)
	}
	handlers := newHandlers()
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		m := calls[name]
		if handlers[name] == nil {
			t.Errorf("%s is called and not simulated", name)
		}
		if m.service == serviceMonitoring {
			mustRefuseMessage(t, m)
			t.Logf("%-55s gRPC", name)
			continue
		}
		if clients[string(m.descriptor.Parent().Name())] == nil {
			t.Errorf("%s: TestClientsAreUnderstood does not know the client", name)
		}
		for _, rule := range rulesOf(m) {
			s := sampleOf(t, m, rule)
			t.Logf("%-55s %-6s %s", name, s.verb, templateOf(rule))
			got, refusal := read(s.http(t, ""))
			if refusal != nil || got.method != m {
				t.Errorf("%s: %s %s is read as %+v, %v", name, s.verb, s.path, got, refusal)
				continue
			}
			s.mustRefuse(t)
		}
	}
}

func templateOf(rule *annotations.HttpRule) string {
	_, template := verbOf(rule)
	return template
}

// mustRefuseMessage checks an input that comes as a message, with each required field missing.
func mustRefuseMessage(t *testing.T, m *method) {
	t.Helper()
	input := m.input.New()
	fill(input)
	if refusal := fromMessage(m, input.Interface()).check(); refusal != nil {
		t.Errorf("%s: %v", m.name, refusal)
	}
	for _, path := range requiredIn(input, "", false) {
		without := proto.Clone(input.Interface())
		clearField(without.ProtoReflect(), strings.Split(path, "."))
		if field := m.descriptor.Input().Fields().ByJSONName(path); field != nil && field.Kind() == protoreflect.EnumKind {
			continue // its zero value cannot be told from none
		}
		if refusal := fromMessage(m, without).check(); refusal == nil || !strings.Contains(refusal.message, path) {
			t.Errorf("%s without %s: %v", m.name, path, refusal)
		}
	}
}

// adapterCalls returns the methods that the source in a folder calls, by service and name, and how many files it read
// below the folder itself: what the adapters share calls nothing.
func adapterCalls(t *testing.T, root string) (map[string]*method, int) {
	t.Helper()
	byInput := map[string][]*method{}
	for _, m := range sharedRouter().methods {
		key := m.service + "/" + string(m.descriptor.Input().Name())
		byInput[key] = append(byInput[key], m)
	}
	calls, files := map[string]*method{}, 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if filepath.Dir(path) != root {
			files++
		}
		for _, key := range inputsIn(t, path) {
			for _, m := range byInput[key] {
				calls[m.service+"/"+m.name] = m
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return calls, files
}

// inputsIn lists the types of inputs that a file names, by service.
func inputsIn(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	packages, runs := map[string]string{}, false
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		name := imported[strings.LastIndex(imported, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if service := inputPackages[imported]; service != "" {
			packages[name] = service
		}
		runs = runs || imported == runClient
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && packages[from.Name] != "" {
			out = append(out, packages[from.Name]+"/"+selector.Sel.Name)
		}
		if runs && selector.Sel.Name == "Poll" {
			out = append(out, serviceRun+"/GetOperationRequest")
		}
		return true
	})
	return out
}

// TestInputsIn reads this package's own source, whose calls are known.
func TestInputsIn(t *testing.T) {
	calls, _ := adapterCalls(t, ".")
	if calls["iamcredentials/IAMCredentials.GenerateAccessToken"] == nil {
		t.Errorf("found %d calls, and not the one of iam.go", len(calls))
	}
	got := inputsIn(t, "kernel_test.go")
	for _, want := range []string{"compute/PatchRegionUrlMapRequest", "run/GetServiceRequest"} {
		if !slices.Contains(got, want) {
			t.Errorf("kernel_test.go names %s, and %q were found", want, got)
		}
	}
}
