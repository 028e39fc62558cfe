package api

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func TestEveryRouteHasAnAccessRule(t *testing.T) {
	for _, r := range routes {
		if r.access.action == undecided {
			t.Errorf("%s %s has no access rule", r.method, r.path)
		}
		if r.access.scope == ofPath && !strings.Contains(r.path, ":app") {
			t.Errorf("%s %s: the rule is about the path's application, but the path has none", r.method, r.path)
		}
	}
}

func TestNothingPublicWrites(t *testing.T) {
	for _, r := range routes {
		if r.access.action == public && r.method != "GET" {
			t.Errorf("%s %s is public", r.method, r.path)
		}
	}
}

func TestARouteWithoutARuleIsRefused(t *testing.T) {
	err := (&Server{}).authorize(delivery.Anonymous, undecided, resource{})
	if delivery.KindOf(err) != delivery.Denied {
		t.Errorf("got %v, want Denied", err)
	}
}

// TestTableIsAllThatGinServes finds routes that were added past the table.
func TestTableIsAllThatGinServes(t *testing.T) {
	var want, got []string
	parameter := regexp.MustCompile(`:[a-zA-Z]+`) // gin has another name for some
	for _, r := range routes {
		want = append(want, r.method+" "+parameter.ReplaceAllString(r.path, ":"))
	}
	engine, ok := New(Dependencies{}).Handler().(*gin.Engine)
	if !ok {
		t.Fatal("the handler is no gin engine")
	}
	for _, r := range engine.Routes() {
		if r.Method == http.MethodHead { // comes with GET
			continue
		}
		got = append(got, r.Method+" "+parameter.ReplaceAllString(r.Path, ":"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table and router differ (-table +router):\n%s", diff)
	}
}

func loadDocument(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIHasTheSameRoutes(t *testing.T) {
	var table, document []string
	parameter := regexp.MustCompile(`:([a-zA-Z]+)`)
	for _, r := range routes {
		table = append(table, r.method+" "+parameter.ReplaceAllString(r.path, "{$1}"))
	}
	for path, item := range loadDocument(t).Paths.Map() {
		for method, operation := range item.Operations() {
			document = append(document, method+" "+path)
			for name := range strings.SplitSeq(path, "/") {
				if strings.HasPrefix(name, "{") && operation.Parameters.GetByInAndName("path", strings.Trim(name, "{}")) == nil {
					t.Errorf("%s %s: parameter %s is not described", method, path, name)
				}
			}
		}
	}
	slices.Sort(table)
	slices.Sort(document)
	if diff := cmp.Diff(table, document); diff != "" {
		t.Errorf("table and openapi.yaml differ (-table +openapi.yaml):\n%s", diff)
	}
}

// TestOpenAPIHasTheSameFields compares the wire types with the schemas, and
// which of their fields may be absent.
func TestOpenAPIHasTheSameFields(t *testing.T) {
	schemas := loadDocument(t).Components.Schemas
	for name, value := range map[string]any{
		"Version": v1.Version{}, "Health": v1.Health{}, "Problem": v1.Problem{}, "FieldError": v1.FieldError{}, "User": v1.User{},
		"Account": v1.Account{}, "ApplicationDetail": v1.ApplicationDetail{}, "Execution": v1.Execution{}, "Stage": v1.Stage{},
		"StageTask": v1.StageTask{}, "Deployment": v1.Deployment{}, "Event": v1.Event{}, "Task": v1.Task{}, "Ref": v1.Ref{},
		"Plan": v1.Plan{}, "Moniker": v1.Moniker{}, "Cluster": v1.Cluster{}, "ServerGroup": v1.ServerGroup{}, "LoadBalancer": v1.LoadBalancer{},
		"InstanceDetail": v1.InstanceDetail{}, "Image": v1.Image{}, "Judgment": v1.Judgment{},
		"EventRef": v1.EventRef{}, "FailedStage": v1.FailedStage{}, "TaskDetail": v1.TaskDetail{}, "ExpressionCapabilities": v1.ExpressionCapabilities{},
		"QuietPeriod": v1.QuietPeriod{}, "SearchPage": v1.SearchPage{}, "NamedLoadBalancer": v1.NamedLoadBalancer{},
		"PipelineCheck": v1.PipelineCheck{}, "BulkSave": v1.BulkSave{}, "CanaryConfigSummary": v1.CanaryConfigSummary{}, "CanaryConfigID": v1.CanaryConfigID{},
		"ProjectCluster": v1.ProjectCluster{}, "NotificationType": v1.NotificationType{},
	} {
		schema := schemas[name]
		if schema == nil {
			t.Errorf("openapi.yaml has no schema %s", name)
			continue
		}
		compareFields(t, name, reflect.TypeOf(value), schema.Value)
	}
}

func compareFields(t *testing.T, at string, typ reflect.Type, schema *openapi3.Schema) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Uint8 {
		if typ.Kind() == reflect.Slice {
			schema = schema.Items.Value
		}
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ.NumField() == 0 {
		return
	}
	var fields, required []string
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, name)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
		if property := schema.Properties[name]; property != nil {
			compareFields(t, at+"."+name, field.Type, property.Value)
		}
	}
	var properties []string
	for name := range schema.Properties {
		properties = append(properties, name)
	}
	for _, list := range [][]string{fields, required, properties, schema.Required} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(fields, properties); diff != "" {
		t.Errorf("%s: fields differ (-type +schema):\n%s", at, diff)
	}
	if diff := cmp.Diff(required, schema.Required); diff != "" {
		t.Errorf("%s: required fields differ (-type +schema):\n%s", at, diff)
	}
}

// TestEveryKindHasAStatus keeps the table of problems whole, and the codes in
// openapi.yaml with it.
func TestEveryKindHasAStatus(t *testing.T) {
	codes := loadDocument(t).Components.Schemas["Problem"].Value.Properties["code"].Value.Enum
	for kind := delivery.Internal; kind <= delivery.Unavailable; kind++ {
		row, ok := problemOf[kind]
		if !ok || row.status < 400 || row.title == "" {
			t.Errorf("kind %s has no row in the table of problems", kind)
		}
		if !slices.Contains(codes, any(kind.String())) {
			t.Errorf("openapi.yaml does not have code %s", kind)
		}
	}
}
