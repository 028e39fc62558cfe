package gcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
)

// pathFor fills the template of a rule: the variables get values that no literal has.
func pathFor(t *testing.T, template string) (path string, values []string) {
	t.Helper()
	rest, custom := splitCustom(template)
	for _, part := range splitTemplate(rest) {
		if !strings.HasPrefix(part, "{") {
			path += "/" + part
			continue
		}
		_, pattern, found := strings.Cut(strings.Trim(part, "{}"), "=")
		if !found {
			pattern = "*"
		}
		if strings.Contains(pattern, "**") {
			t.Fatalf("%s has a variable of any length", template)
		}
		for strings.Contains(pattern, "*") {
			pattern = strings.Replace(pattern, "*", fmt.Sprintf("value-%d", len(path)+len(pattern)), 1)
		}
		values = append(values, pattern)
		path += "/" + pattern
	}
	if custom != "" {
		path += ":" + custom
	}
	return path, values
}

// rulesOf are all ways to call a method over REST.
func rulesOf(m *method) []*annotations.HttpRule {
	if m.service == serviceRun && m.descriptor.Parent().Name() == "Operations" {
		return []*annotations.HttpRule{runOperations()[string(m.descriptor.Name())]}
	}
	rule, _ := proto.GetExtension(m.descriptor.Options(), annotations.E_Http).(*annotations.HttpRule)
	return append([]*annotations.HttpRule{rule}, rule.AdditionalBindings...)
}

// eachMethod calls a function for every method that is spoken over REST, by name.
func eachMethod(f func(m *method)) {
	methods := sharedRouter().methods
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		if methods[name].service != serviceMonitoring {
			f(methods[name])
		}
	}
}

// TestEveryMethodIsFound builds a path for each rule of each method and looks the method up by it.
func TestEveryMethodIsFound(t *testing.T) {
	count := 0
	eachMethod(func(m *method) {
		for _, rule := range rulesOf(m) {
			count++
			verb, template := verbOf(rule)
			path, values := pathFor(t, template)
			found, got := sharedRouter().find(verb, path)
			if found == nil {
				t.Errorf("%s: %s %s leads nowhere", m.name, verb, path)
				continue
			}
			if found.method != m || found.body != rule.Body || !slices.Equal(got, values) {
				t.Errorf("%s: %s %s leads to %s with %q", m.name, verb, path, found.method.name, got)
			}
		}
	})
	if count < 1000 {
		t.Errorf("there are only %d rules", count)
	}
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		verb, path string
		method     string // empty: none
		values     []string
	}{
		{"GET", "/compute/v1/projects/p/regions/r/urlMaps/x", "RegionUrlMaps.Get", []string{"p", "r", "x"}},
		{"PATCH", "/compute/v1/projects/p/regions/r/urlMaps/x", "RegionUrlMaps.Patch", []string{"p", "r", "x"}},
		{"GET", "/compute/v1/projects/p/regions/r/urlMaps", "RegionUrlMaps.List", []string{"p", "r"}},
		{"POST", "/compute/v1/projects/p/regions/r/urlMaps/x/validate", "RegionUrlMaps.Validate", []string{"p", "r", "x"}},
		{"GET", "/compute/v1/projects/example.com:p", "Projects.Get", []string{"example.com:p"}},
		{"GET", "/compute/v1/projects/p/global/images/family/f", "Images.GetFromFamily", []string{"p", "f"}},
		{"GET", "/v2/projects/p/locations/l/services/s", "Services.GetService", []string{"projects/p/locations/l/services/s"}},
		{"GET", "/v2/projects/p/locations/l/services/s:getIamPolicy", "Services.GetIamPolicy", []string{"projects/p/locations/l/services/s"}},
		{"PATCH", "/v2/projects/p/locations/l/services/s", "Services.UpdateService", []string{"projects/p/locations/l/services/s"}},
		{"GET", "/v2/projects/p/locations/l/services/s/revisions/v", "Revisions.GetRevision", []string{"projects/p/locations/l/services/s/revisions/v"}},
		{"GET", "/v2/projects/p/locations/l/workerPools/w/revisions/v", "Revisions.GetRevision", []string{"projects/p/locations/l/workerPools/w/revisions/v"}},
		{"POST", "/v2/projects/p/locations/l/operations/o:wait", "Operations.WaitOperation", []string{"projects/p/locations/l/operations/o"}},
		{"POST", "/v1/projects/-/serviceAccounts/a@b:generateAccessToken", "IAMCredentials.GenerateAccessToken", []string{"projects/-/serviceAccounts/a@b"}},
		{"PUT", "/v2/projects/p/locations/l/services/s", "", nil},
		{"GET", "/compute/v1/projects/p/regions//urlMaps/x", "", nil},
		{"GET", "/compute/v1/projects/p/regions/r/urlMap/x", "", nil},
		{"GET", "/compute/v1/projects/p/regions/r/urlMaps/x/", "", nil},
		{"GET", "/", "", nil},
	} {
		found, values := sharedRouter().find(test.verb, test.path)
		switch {
		case found == nil && test.method != "":
			t.Errorf("%s %s leads nowhere", test.verb, test.path)
		case found != nil && (found.method.name != test.method || !slices.Equal(values, test.values)):
			t.Errorf("%s %s leads to %s with %q", test.verb, test.path, found.method.name, values)
		}
	}
}

// TestReads lists the methods that only read although they are no GETs: a method that is wrongly taken for a read has no
// effect on stale reads and replays.
func TestReads(t *testing.T) {
	reads := map[string]bool{}
	eachMethod(func(m *method) {
		verb, _ := verbOf(rulesOf(m)[0])
		if verb == http.MethodGet && m.write {
			t.Errorf("%s is a GET that writes", m.name)
		}
		name := string(m.descriptor.Name())
		if verb != http.MethodGet && !m.write && name != "TestIamPermissions" {
			reads[m.name] = true
		}
	})
	want := []string{
		"Advice.CalendarMode", "Advice.Capacity", "Advice.CapacityHistory",
		"BackendServices.GetHealth", "GlobalNetworkEndpointGroups.ListNetworkEndpoints", "GlobalOperations.Wait",
		"IAMCredentials.GenerateAccessToken", "IAMCredentials.GenerateIdToken", "IAMCredentials.SignBlob", "IAMCredentials.SignJwt",
		"InstanceGroupManagers.ListManagedInstances", "InstanceGroupManagers.ListPerInstanceConfigs", "InstanceGroups.ListInstances",
		"NetworkEndpointGroups.ListNetworkEndpoints", "NodeGroups.ListNodes", "Operations.WaitOperation", "Projects.ListXpnHosts",
		"RegionBackendServices.GetHealth", "RegionInstanceGroupManagers.ListManagedInstances",
		"RegionInstanceGroupManagers.ListPerInstanceConfigs", "RegionInstanceGroups.ListInstances",
		"RegionNetworkEndpointGroups.ListNetworkEndpoints", "RegionOperations.Wait", "RegionUrlMaps.Validate",
		"Routers.Preview", "TargetPools.GetHealth", "UrlMaps.Validate", "ZoneOperations.Wait",
	}
	if got := slices.Sorted(maps.Keys(reads)); !slices.Equal(got, want) {
		t.Errorf("POSTs that read:\n%q, want\n%q", got, want)
	}
}

// document is a part of a discovery document.
type document struct {
	Revision   string                    `json:"revision"`
	Parameters map[string]schema         `json:"parameters"`
	Schemas    map[string]schema         `json:"schemas"`
	Resources  map[string]resourceSchema `json:"resources"`
}

type resourceSchema struct {
	Methods   map[string]methodSchema   `json:"methods"`
	Resources map[string]resourceSchema `json:"resources"`
}

type methodSchema struct {
	ID         string            `json:"id"`
	HTTPMethod string            `json:"httpMethod"`
	FlatPath   string            `json:"flatPath"`
	Parameters map[string]schema `json:"parameters"`
}

// schema is the type of a property, parameter or list item.
type schema struct {
	Ref         string            `json:"$ref"`
	Description string            `json:"description"`
	ReadOnly    bool              `json:"readOnly"`
	Enum        []string          `json:"enum"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Additional  *schema           `json:"additionalProperties"`
}

// discovery reads the discovery document of an API, such as "compute/v1/compute-api.json".
func discovery(t *testing.T, file string) document {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		t.Fatalf("locate the discovery documents: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
	return d
}

// TestRunOperationsAreThoseOfTheDocument compares the only paths that are written by hand.
func TestRunOperationsAreThoseOfTheDocument(t *testing.T) {
	document := discovery(t, "run/v2/run-api.json")
	methods := document.Resources["projects"].Resources["locations"].Resources["operations"].Methods
	rules := runOperations()
	if len(methods) != len(rules) {
		t.Errorf("the document has %d methods, the router %d", len(methods), len(rules))
	}
	for name, m := range methods {
		rule := rules[strings.ToUpper(name[:1])+name[1:]+"Operation"]
		if name == "list" {
			rule = rules["ListOperations"]
		}
		if rule == nil {
			t.Errorf("%s has no rule", m.ID)
			continue
		}
		verb, template := verbOf(rule)
		path, _ := pathFor(t, template)
		if verb != m.HTTPMethod || !sameShape(path, "/"+m.FlatPath) {
			t.Errorf("%s is %s %s, not %s %s", m.ID, m.HTTPMethod, m.FlatPath, verb, template)
		}
	}
}

// sameShape compares a path that pathFor made with a flat path, such as "/v2/projects/{projectsId}/locations".
func sameShape(path, flat string) bool {
	a, customA := splitCustom(path)
	b, customB := splitCustom(flat)
	left, right := strings.Split(a, "/"), strings.Split(b, "/")
	return customA == customB && slices.EqualFunc(left, right, func(x, y string) bool {
		return x == y || strings.HasPrefix(x, "value-") && strings.HasPrefix(y, "{")
	})
}
