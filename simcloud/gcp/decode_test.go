package gcp

import (
	"net/http/httptest"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const (
	urlMap  = "/compute/v1/projects/p/regions/r/urlMaps/x"
	service = "/v2/projects/p/locations/l/services/s"
)

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name, verb, path, body string
		want                   proto.Message
	}{
		{"variables", "GET", urlMap, "", &computepb.GetRegionUrlMapRequest{Project: "p", Region: "r", UrlMap: "x"}},
		{"escapes", "GET", "/compute/v1/projects/p/regions/r/urlMaps/a%20b%2Fc", "", &computepb.GetRegionUrlMapRequest{Project: "p", Region: "r", UrlMap: "a b/c"}},
		{"project of a domain", "GET", "/compute/v1/projects/example.com:p", "", &computepb.GetProjectRequest{Project: "example.com:p"}},
		{
			"query and body", "PATCH", urlMap + "?requestId=6ba7b810-9dad-11d1-80b4-00c04fd430c8", `{"defaultService": "s", "fingerprint": "f"}`,
			&computepb.PatchRegionUrlMapRequest{
				Project: "p", Region: "r", UrlMap: "x", RequestId: proto.String("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
				UrlMapResource: &computepb.UrlMap{DefaultService: proto.String("s"), Fingerprint: proto.String("f")},
			},
		},
		{
			"a zero in the body is given", "PATCH", "/compute/v1/projects/p/regions/r/instanceGroupManagers/m", `{"targetSize": 0, "id": "18446744073709551615"}`,
			&computepb.PatchRegionInstanceGroupManagerRequest{
				Project: "p", Region: "r", InstanceGroupManager: "m",
				InstanceGroupManagerResource: &computepb.InstanceGroupManager{TargetSize: proto.Int32(0), Id: proto.Uint64(18446744073709551615)},
			},
		},
		{
			"a required zero in the query", "POST", "/compute/v1/projects/p/regions/r/instanceGroupManagers/m/resize?size=0", "",
			&computepb.ResizeRegionInstanceGroupManagerRequest{Project: "p", Region: "r", InstanceGroupManager: "m"},
		},
		{
			"names of the proto", "GET", "/compute/v1/projects/p/aggregated/urlMaps?max_results=7&page_token=t&include_all_scopes=true", "",
			&computepb.AggregatedListUrlMapsRequest{
				Project: "p", MaxResults: proto.Uint32(7), PageToken: proto.String("t"), IncludeAllScopes: proto.Bool(true),
			},
		},
		{
			"repeated query", "GET", "/compute/v1/projects/p/aggregated/subnetworks?views=WITH_UTILIZATION", "",
			&computepb.AggregatedListSubnetworksRequest{Project: "p", Views: proto.String("WITH_UTILIZATION")},
		},
		{
			"field mask and nested variable", "PATCH", service + "?updateMask=template,trafficStatuses.percent&allowMissing=true", `{"generation": "3", "ingress": 1}`,
			&runpb.UpdateServiceRequest{
				Service:    &runpb.Service{Name: "projects/p/locations/l/services/s", Generation: 3, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template", "traffic_statuses.percent"}}, AllowMissing: true,
			},
		},
		{
			"the path goes before the body", "PATCH", service + "?updateMask=template", `{"name": "projects/q/locations/l/services/s"}`,
			&runpb.UpdateServiceRequest{
				Service: &runpb.Service{Name: "projects/p/locations/l/services/s"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template"}},
			},
		},
		{
			"system parameters", "GET", service + "?$alt=json%3Benum-encoding%3Dint&$.xgafv=2&key=k&prettyPrint=false", "",
			&runpb.GetServiceRequest{Name: "projects/p/locations/l/services/s"},
		},
		{"an empty body where none belongs", "DELETE", service + "?etag=e", "{}", &runpb.DeleteServiceRequest{Name: "projects/p/locations/l/services/s", Etag: "e"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := read(httptest.NewRequestWithContext(t.Context(), test.verb, test.path, strings.NewReader(test.body)))
			if refusal != nil {
				t.Fatal(refusal)
			}
			if diff := cmp.Diff(test.want, got.input, protocmp.Transform()); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
			if strings.Contains(test.path, "enum-encoding") != got.numbers {
				t.Errorf("enums as numbers: %t", got.numbers)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	const mig = "/compute/v1/projects/p/regions/r/instanceGroupManagers"
	for _, test := range []struct {
		name, verb, path, body string
		want                   string // part of the message
	}{
		{"unknown field", "PATCH", urlMap, `{"noSuchField": 1}`, `Unknown name "noSuchField"`},
		{"unknown nested field", "PATCH", urlMap, `{"defaultRouteAction": {"weightedBackendServices": [{"wait": 1}]}}`, `Unknown name "wait"`},
		{"unknown field in a body for all", "POST", service + ":setIamPolicy", `{"noSuchField": 1}`, `Unknown name "noSuchField"`},
		{"field of another type", "PATCH", urlMap, `{"hostRules": 1}`, "Invalid JSON payload"},
		{"no JSON", "PATCH", urlMap, `{"name": `, "Invalid JSON payload"},
		{"unknown query parameter", "GET", urlMap + "?noSuchField=1", "", `Unknown name "noSuchField": Cannot bind query parameter`},
		{"unknown nested query parameter", "GET", urlMap + "?project.x=1", "", `Unknown name "project.x"`},
		{"query parameter of the body", "PATCH", urlMap + "?urlMapResource.name=x", `{}`, `Unknown name "urlMapResource.name"`},
		{"query parameter of the path", "GET", urlMap + "?project=q", "", `Unknown name "project"`},
		{"query beside a body for all", "POST", service + ":setIamPolicy?updateMask=x", `{"policy": {}}`, `Unknown name "updateMask"`},
		{"query parameter through a list", "POST", mig + "?instanceGroupManagerResource.versions.name=x", `{}`, "Unknown name"},
		{"query parameter of a map", "GET", "/v2/projects/p/locations/l/services?labels=x", "", "Unknown name"},
		{"repeated parameter", "GET", "/compute/v1/projects/p/regions/r/urlMaps?filter=a&filter=b", "", "not repeating"},
		{"malformed number", "GET", "/compute/v1/projects/p/regions/r/urlMaps?maxResults=many", "", "Invalid value at 'maxResults'"},
		{"number too large", "GET", "/compute/v1/projects/p/regions/r/urlMaps?maxResults=501", "", "[0, 500]"},
		{"malformed boolean", "PATCH", service + "?allowMissing=1", `{}`, "Invalid value at 'allowMissing'"},
		{"malformed field mask", "PATCH", service + "?updateMask=a..b", `{}`, "Invalid value at 'updateMask'"},
		{"malformed query", "GET", service + "?a;b", "", "Invalid query"},
		{"body of a GET", "GET", urlMap, `{"name": "x"}`, `Unknown name "name"`},
		{"body of a DELETE", "DELETE", urlMap, `{"name": "x"}`, `Unknown name "name"`},
		{"body too large", "PATCH", urlMap, `{"description": "` + strings.Repeat("x", bodyLimit) + `"}`, "size exceeds"},
		{"missing body", "PATCH", urlMap, "", "Required field 'resource' not specified"},
		{"missing parameter", "POST", mig + "/m/resize", "", "Required field 'size' not specified"},
		{"missing field of a body", "POST", "/v2/projects/p/locations/l/services?serviceId=s", `{}`, "service.template: Required field"},
		{"missing field in a list", "POST", "/v2/projects/p/locations/l/services?serviceId=s", `{"template": {"containers": [{"env": [{"value": "x"}], "image": "i"}]}}`, "service.template.containers.env.name"},
		{"value that the enum does not have", "POST", "/compute/v1/projects/p/regions/r/backendServices", `{"protocol": "HTTP9"}`, "Invalid value for field 'resource.protocol': 'HTTP9'. Must be one of [GRPC, H2C, HTTP,"},
		{"the same in a list", "POST", "/compute/v1/projects/p/regions/r/backendServices", `{"backends": [{"balancingMode": "FAST"}]}`, "'resource.backends.balancingMode': 'FAST'"},
		{"the same in a query", "GET", "/compute/v1/projects/p/regions/r/forwardingRules/f?view=ALL", "", "'view': 'ALL'"},
		{"the same as a proto enum", "PATCH", service, `{"ingress": "INGRESS_TRAFFIC_SOME"}`, "Invalid JSON payload"},
		{"zero request id", "DELETE", urlMap + "?requestId=00000000-0000-0000-0000-000000000000", "", "'requestId'"},
		{"request id of another form", "DELETE", urlMap + "?requestId=first", "", "'requestId': 'first'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, refusal := read(httptest.NewRequestWithContext(t.Context(), test.verb, test.path, strings.NewReader(test.body)))
			if refusal == nil {
				t.Fatal("accepted")
			}
			if refusal.status != 400 || refusal.canonical() != "INVALID_ARGUMENT" || !strings.Contains(refusal.message, test.want) {
				t.Errorf("refused with %d %q, want %q", refusal.status, refusal.message, test.want)
			}
		})
	}
}

// TestFieldPath resolves names of parameters that no method of today has.
func TestFieldPath(t *testing.T) {
	for name, want := range map[string]string{
		"defaultService": "default_service", "default_service": "default_service", "defaultRouteAction.urlRewrite.hostRewrite": "default_route_action.url_rewrite.host_rewrite",
		"hostRules.hosts": "", "hostRules": "", "defaultService.x": "", "x": "", "": "",
	} {
		path, _ := fieldPath((&computepb.UrlMap{}).ProtoReflect().Descriptor(), name)
		if got := strings.Join(path, "."); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// TestEveryRequest sends every method what it demands, then the same with one thing wrong.
func TestEveryRequest(t *testing.T) {
	eachMethod(func(m *method) {
		for _, rule := range rulesOf(m) {
			s := sampleOf(t, m, rule)
			got, refusal := read(s.http(t, ""))
			if refusal != nil {
				t.Errorf("%s: %v", m.name, refusal)
				continue
			}
			if got.method != m {
				t.Errorf("%s is read as %s", m.name, got.method.name)
			}
			s.mustRefuse(t)
		}
	})
}

// mustRefuse sends the sample with each required field missing, and with fields that do not exist.
func (s *sample) mustRefuse(t *testing.T) {
	t.Helper()
	for path, without := range s.lacking() {
		if _, refusal := read(without.http(t, "")); refusal == nil || refusal.status != 400 || !strings.Contains(refusal.message, path) {
			t.Errorf("%s without %s: %v", s.method.name, path, refusal)
		}
	}
	if _, refusal := read(s.http(t, `"noSuchField":1`)); refusal == nil || !strings.Contains(refusal.message, "noSuchField") {
		t.Errorf("%s with an unknown field: %v", s.method.name, refusal)
	}
	with := s.copy()
	with.query.Set("noSuchField", "1")
	if _, refusal := read(with.http(t, "")); refusal == nil || !strings.Contains(refusal.message, "noSuchField") {
		t.Errorf("%s with an unknown parameter: %v", s.method.name, refusal)
	}
}

// TestReadsComeBack fills whole resources as an API would answer them and sends them back as a patch.
func TestReadsComeBack(t *testing.T) {
	for path, resource := range map[string]proto.Message{
		"/compute/v1/projects/p/regions/r/instanceGroupManagers/m": &computepb.InstanceGroupManager{},
		"/compute/v1/projects/p/regions/r/backendServices/b":       &computepb.BackendService{},
		urlMap: &computepb.UrlMap{},
		"/compute/v1/projects/p/regions/r/autoscalers?autoscaler=a": &computepb.Autoscaler{},
		"/compute/v1/projects/p/regions/r/healthChecks/h":           &computepb.HealthCheck{},
		service: &runpb.Service{},
	} {
		fillAll(resource.ProtoReflect(), 0)
		r := (&request{}).encode
		body, err := r(resource)
		if err != nil {
			t.Fatal(err)
		}
		if _, refusal := read(httptest.NewRequestWithContext(t.Context(), "PATCH", path, strings.NewReader(string(body)))); refusal != nil {
			t.Errorf("%s: %v", path, refusal)
		}
	}
}

// fillAll sets every field. Those of text that only the API fills in get a value that no enum has.
func fillAll(message protoreflect.Message, depth int) {
	for _, field := range fieldsOf(message.Descriptor()) {
		if field.IsMap() || field.ContainingOneof() != nil && !field.HasOptionalKeyword() && message.WhichOneof(field.ContainingOneof()) != nil {
			continue
		}
		value := message.NewField(field)
		switch {
		case field.Message() != nil && strings.HasPrefix(string(field.Message().FullName()), "google.protobuf."):
			continue
		case field.Message() != nil && depth > 6:
			continue
		case field.IsList() && field.Message() != nil:
			item := value.List().NewElement()
			fillAll(item.Message(), depth+1)
			value.List().Append(item)
		case field.Message() != nil:
			fillAll(value.Message(), depth+1)
		case field.IsList():
			item, _ := scalar(field, textOf(field))
			value.List().Append(item)
		default:
			value, _ = scalar(field, textOf(field))
		}
		message.Set(field, value)
	}
}
