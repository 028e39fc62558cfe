package gcp

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/compute/apiv1/computepb"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Services as they are called in events and faults.
const (
	serviceCompute    = "compute"
	serviceRun        = "run"
	serviceIAM        = "iamcredentials"
	serviceMonitoring = "monitoring"
)

// method is one method of an API, as its descriptor has it.
type method struct {
	// name is the service's and the method's, such as "RegionUrlMaps.Patch".
	name    string
	service string
	// write is false for what only reads, whatever its verb is.
	write      bool
	descriptor protoreflect.MethodDescriptor
	input      protoreflect.MessageType
}

// route leads requests of one verb and path to a method.
type route struct {
	method   *method
	segments []segment
	// fields are the paths of the request's fields that the variables fill, such as "service.name".
	fields []string
	// body is the field that the body fills, "*" for all of the request, empty for none.
	body string
}

// segment is one part of a path: a literal, or a part of a variable.
type segment struct {
	literal  string // empty: any text
	variable int    // index into route.fields; -1 for none
}

// routeKey narrows the search for a route down.
type routeKey struct {
	verb     string
	segments int
	custom   string // what follows the colon at the end of a path
}

// router finds the method of a request.
type router struct {
	routes  map[routeKey][]*route
	methods map[string]*method // by service and name
}

// sharedRouter is the router of all clouds: nothing changes it once it is made.
var sharedRouter = sync.OnceValue(newRouter)

// newRouter reads the descriptors of all APIs that are spoken over REST.
func newRouter() *router {
	r := &router{routes: map[routeKey][]*route{}, methods: map[string]*method{}}
	for _, api := range []struct {
		service string
		file    protoreflect.FileDescriptor
	}{
		{serviceCompute, computepb.File_google_cloud_compute_v1_compute_proto},
		{serviceRun, runpb.File_google_cloud_run_v2_service_proto},
		{serviceRun, runpb.File_google_cloud_run_v2_revision_proto},
		{serviceIAM, credentialspb.File_google_iam_credentials_v1_iamcredentials_proto},
	} {
		for i := range api.file.Services().Len() {
			r.addService(api.service, api.file.Services().Get(i))
		}
	}
	r.addRunOperations()
	r.addMonitoring()
	for _, candidates := range r.routes {
		slices.SortStableFunc(candidates, literalsFirst)
	}
	return r
}

// literalsFirst orders routes so that ".../urlMaps/listUsable" is no URL map of that name.
func literalsFirst(a, b *route) int {
	return slices.CompareFunc(a.segments, b.segments, func(x, y segment) int {
		switch {
		case x.literal != "" && y.literal == "":
			return -1
		case x.literal == "" && y.literal != "":
			return 1
		default:
			return 0
		}
	})
}

func (r *router) addService(service string, s protoreflect.ServiceDescriptor) {
	for i := range s.Methods().Len() {
		d := s.Methods().Get(i)
		rule, _ := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule == nil {
			continue
		}
		m := r.addMethod(service, d, rule)
		r.addRule(m, rule)
		for _, more := range rule.AdditionalBindings {
			r.addRule(m, more)
		}
	}
}

// addRunOperations routes Cloud Run's operations. Their paths stand in no descriptor but in the API's discovery document
// (run-api.json, projects.locations.operations), against which a test holds them.
func (r *router) addRunOperations() {
	s := longrunningpb.File_google_longrunning_operations_proto.Services().ByName("Operations")
	for name, rule := range runOperations() {
		r.addRule(r.addMethod(serviceRun, s.Methods().ByName(protoreflect.Name(name)), rule), rule)
	}
}

// addMonitoring makes the methods of Monitoring known. They have no routes: its clients speak gRPC.
func (r *router) addMonitoring() {
	s := monitoringpb.File_google_monitoring_v3_metric_service_proto.Services().ByName("MetricService")
	for i := range s.Methods().Len() {
		d := s.Methods().Get(i)
		rule, _ := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
		r.addMethod(serviceMonitoring, d, rule)
	}
}

func runOperations() map[string]*annotations.HttpRule {
	const operation = "/v2/{name=projects/*/locations/*/operations/*}"
	return map[string]*annotations.HttpRule{
		"GetOperation":    {Pattern: &annotations.HttpRule_Get{Get: operation}},
		"DeleteOperation": {Pattern: &annotations.HttpRule_Delete{Delete: operation}},
		"WaitOperation":   {Pattern: &annotations.HttpRule_Post{Post: operation + ":wait"}, Body: "*"},
		"ListOperations":  {Pattern: &annotations.HttpRule_Get{Get: "/v2/{name=projects/*/locations/*}/operations"}},
	}
}

func (r *router) addMethod(service string, d protoreflect.MethodDescriptor, rule *annotations.HttpRule) *method {
	input, err := protoregistry.GlobalTypes.FindMessageByName(d.Input().FullName())
	if err != nil {
		panic(err) // generated packages register their types
	}
	m := &method{
		name: string(d.Parent().Name()) + "." + string(d.Name()), service: service, descriptor: d, input: input, write: writes(d, rule),
	}
	r.methods[service+"/"+m.name] = m
	return m
}

// writes tells whether a method changes anything. Some methods that only read are POSTs: their bodies would not fit
// into a URL. Giving out a token changes nothing that anybody could read.
func writes(d protoreflect.MethodDescriptor, rule *annotations.HttpRule) bool {
	name := string(d.Name())
	switch {
	case rule.GetGet() != "" || strings.HasPrefix(name, "Wait"):
		return false
	case d.Output().Name() == "Operation":
		return true
	}
	for _, prefix := range []string{"Get", "List", "Validate", "TestIamPermissions", "Preview", "CalendarMode", "Capacity", "Generate", "Sign"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

func (r *router) addRule(m *method, rule *annotations.HttpRule) {
	verb, path := verbOf(rule)
	out := &route{method: m, body: rule.Body}
	path, custom := splitCustom(path)
	for _, part := range splitTemplate(path) {
		if !strings.HasPrefix(part, "{") {
			out.segments = append(out.segments, segment{literal: part, variable: -1})
			continue
		}
		field, pattern, found := strings.Cut(part[1:len(part)-1], "=")
		if !found {
			pattern = "*"
		}
		for _, s := range strings.Split(pattern, "/") {
			if s == "*" {
				s = ""
			}
			out.segments = append(out.segments, segment{literal: s, variable: len(out.fields)})
		}
		out.fields = append(out.fields, field)
	}
	key := routeKey{verb, len(out.segments), custom}
	r.routes[key] = append(r.routes[key], out)
}

func verbOf(rule *annotations.HttpRule) (verb, path string) {
	switch p := rule.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	default:
		return "", ""
	}
}

// splitCustom cuts the custom verb off the end of a path: "/v2/{name=a/*}:wait".
func splitCustom(path string) (rest, custom string) {
	last := strings.LastIndex(path, "/")
	if end := strings.LastIndex(path, "}"); end > last {
		last = end
	}
	if colon := strings.LastIndex(path, ":"); colon > last {
		return path[:colon], path[colon+1:]
	}
	return path, ""
}

// splitTemplate splits a path at the slashes that are not inside a variable.
func splitTemplate(path string) []string {
	var out []string
	depth, start := 0, 1
	for i := 1; i < len(path); i++ {
		switch path[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth == 0 {
				out, start = append(out, path[start:i]), i+1
			}
		}
	}
	return append(out, path[start:])
}

// find returns the route of a request and the values of its variables, nil when no API has it. A custom verb goes before
// a name with a colon in it.
func (r *router) find(verb, path string) (*route, []string) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	last := parts[len(parts)-1]
	if colon := strings.LastIndex(last, ":"); colon >= 0 {
		short := append(slices.Clone(parts[:len(parts)-1]), last[:colon])
		if found, values := r.match(routeKey{verb, len(parts), last[colon+1:]}, short); found != nil {
			return found, values
		}
	}
	return r.match(routeKey{verb, len(parts), ""}, parts)
}

func (r *router) match(key routeKey, parts []string) (*route, []string) {
	for _, candidate := range r.routes[key] {
		if values, ok := candidate.match(parts); ok {
			return candidate, values
		}
	}
	return nil, nil
}

func (r *route) match(parts []string) ([]string, bool) {
	values := make([]string, len(r.fields))
	for i, s := range r.segments {
		if s.literal != "" && s.literal != parts[i] || parts[i] == "" {
			return nil, false
		}
		if s.variable >= 0 {
			if values[s.variable] != "" {
				values[s.variable] += "/"
			}
			values[s.variable] += parts[i]
		}
	}
	return values, true
}
