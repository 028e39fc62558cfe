package aws

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"
)

// The SDK's modules carry the wire form of every operation with every member filled. The decoder must know all of them.

var modules sync.Map // name -> folder

// moduleFolder is where the SDK module of a service lies.
func moduleFolder(t *testing.T, name string) string {
	t.Helper()
	if dir, ok := modules.Load(name); ok {
		return dir.(string)
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+name).Output()
	if err != nil {
		t.Fatalf("locate the SDK module of %s: %v", name, err)
	}
	dir := strings.TrimSpace(string(out))
	modules.Store(name, dir)
	return dir
}

// snapshot reads a recorded message: its first line, headers and body.
func snapshot(t *testing.T, module, kind, name string) (string, http.Header, []byte) {
	t.Helper()
	file := filepath.Join(moduleFolder(t, module), kind+"_snapshot", name+"."+kind+".snap")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	rest = bytes.TrimPrefix(rest, []byte("\n"))
	head, body, found := bytes.Cut(rest, []byte("\n\n"))
	if !found {
		t.Fatalf("%s has no body", file)
	}
	header := http.Header{}
	for line := range strings.SplitSeq(string(head), "\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			header.Set(key, value)
		}
	}
	return string(first), header, body
}

// recorded builds the HTTP request of an action's snapshot.
func recorded(t *testing.T, svc *service, action string) *http.Request {
	t.Helper()
	first, header, body := snapshot(t, svc.module, "request", action)
	method, path, _ := strings.Cut(first, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/"+svc.name+"/aws4_request, SignedHeaders=host, Signature=0")
	return r
}

// eachOperation runs a test for every action that the simulator answers.
func eachOperation(t *testing.T, test func(t *testing.T, svc *service, o *operation)) {
	services := newServices()
	for _, svc := range services {
		for _, o := range svc.operations {
			t.Run(svc.title+"/"+o.name, func(t *testing.T) { test(t, svc, o) })
		}
	}
}

// TestDecodesEveryMember feeds the recorded request of every supported action to the decoder: no member may be unknown,
// and encoding the result again must give exactly the members of the request.
func TestDecodesEveryMember(t *testing.T) {
	services := newServices()
	eachOperation(t, func(t *testing.T, svc *service, o *operation) {
		req, refusal := services.parse(recorded(t, svc, o.name))
		if refusal != nil {
			t.Fatal(refusal)
		}
		if req.action != o.name || req.service.name != svc.name {
			t.Fatalf("routed to %s %s", req.service.name, req.action)
		}
		want := map[string]string{}
		req.members.paths("", want)
		input := o.input()
		d := decoder{lists: req.protocol, service: svc, action: o.name, lenient: true}
		if refusal := d.decode(req.members, input); refusal != nil {
			t.Fatal(refusal)
		}
		got := map[string]string{}
		encodeForm(reflect.ValueOf(input).Elem(), req.protocol, "", got)
		if diff := cmp.Diff(normalized(want), normalized(got)); diff != "" {
			t.Errorf("members (-sent +understood):\n%s", diff)
		}
	})
}

// normalized makes times comparable: both wires write whole seconds.
func normalized(members map[string]string) map[string]string {
	for path, value := range members {
		if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
			members[path] = strconv.FormatInt(at.Unix(), 10)
		}
	}
	return members
}

// encodeForm is the inverse of the decoder, written apart from it.
func encodeForm(v reflect.Value, lists protocol, path string, out map[string]string) {
	switch x := v.Interface().(type) {
	case refused:
		addAll(x, path, out)
		return
	case ignored:
		addAll(x, path, out)
		return
	case time.Time:
		if !x.IsZero() {
			out[path] = x.Format(time.RFC3339Nano)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			encodeForm(v.Elem(), lists, path, out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("wire"), ",")
			if name == "" {
				name = v.Type().Field(i).Name
			}
			encodeForm(v.Field(i), lists, strings.TrimPrefix(path+"."+name, "."), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			item := path + ".member."
			if lists == ec2Query {
				item = path + "."
			}
			encodeForm(v.Index(i), lists, item+strconv.Itoa(i+1), out)
		}
	default:
		if text := fmt.Sprint(v.Interface()); !v.IsZero() {
			out[path] = text
		}
	}
}

func addAll(members map[string]string, path string, out map[string]string) {
	for below, value := range members {
		out[strings.TrimSuffix(path+"."+below, ".")] = value
	}
}

// TestRefusesUnknownMembers sends each recorded request with one member more.
func TestRefusesUnknownMembers(t *testing.T) {
	services := newServices()
	eachOperation(t, func(t *testing.T, svc *service, o *operation) {
		if svc.protocol == rpcCBOR {
			return // built from a map below
		}
		form := url.Values{"Action": {o.name}, "Version": {svc.version}, "NoSuchMember": {"1"}}
		r := recorded(t, svc, o.name)
		r.Body = http.NoBody
		r.URL.RawQuery = form.Encode()
		req, refusal := services.parse(r)
		if refusal != nil {
			t.Fatal(refusal)
		}
		d := decoder{lists: req.protocol, service: svc, action: o.name, lenient: true}
		refusal = d.decode(req.members, o.input())
		if refusal == nil || !strings.Contains(refusal.message, "NoSuchMember") {
			t.Errorf("an unknown member was answered with %v", refusal)
		}
	})
	t.Run("cbor", func(t *testing.T) {
		tree, err := cborTree(cbor.Encode(cbor.Map{"NoSuchMember": cbor.String("1")}))
		if err != nil {
			t.Fatal(err)
		}
		svc := services["monitoring"]
		d := decoder{lists: rpcCBOR, service: svc, action: "ListMetrics"}
		if refusal := d.decode(tree, &listMetricsInput{}); refusal == nil {
			t.Error("an unknown member was accepted")
		}
	})
}

// TestRefusesUnsimulatedMembers sends every member of the table "refused" alone: using it must be an error that names it.
func TestRefusesUnsimulatedMembers(t *testing.T) {
	services := newServices()
	eachOperation(t, func(t *testing.T, svc *service, o *operation) {
		req, refusal := services.parse(recorded(t, svc, o.name))
		if refusal != nil {
			t.Fatal(refusal)
		}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(o.input()).Elem()) {
			if f.Type != refusedType {
				continue
			}
			alone := &node{kids: map[string]*node{tagOf(f).name: req.members.kids[tagOf(f).name]}}
			d := decoder{lists: req.protocol, service: svc, action: o.name}
			value := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
			refusal := d.structure(alone, value.Elem(), "")
			if refusal == nil || refusal.code != "UnsupportedOperation" || !strings.Contains(refusal.message, tagOf(f).name) {
				t.Errorf("using %s was answered with %v", tagOf(f).name, refusal)
			}
		}
	})
}

// TestCloudWatchResponses compares the shape of our CBOR answers with the recorded ones.
func TestCloudWatchResponses(t *testing.T) {
	at := stamp{time.Unix(946684800, 0).UTC()}
	full := map[string]any{
		"GetMetricData": &getMetricDataOutput{
			NextToken: ptr("n"), Messages: listOf([]metricMessage{{"c", "v"}}),
			MetricDataResults: listOf([]metricResult{{
				Id: "i", Label: "l", StatusCode: "Complete", Timestamps: listOf([]stamp{at}), Values: listOf([]float64{1}),
				Messages: listOf([]metricMessage{{"c", "v"}}),
			}}),
		},
		"ListMetrics": &listMetricsOutput{
			NextToken: ptr("n"), OwningAccounts: listOf([]string{"1"}),
			Metrics: listOf([]metricXML{{"n", "m", listOf([]dimensionXML{{"n", "v"}})}}),
		},
	}
	for action, output := range full {
		t.Run(action, func(t *testing.T) {
			status, header, body := snapshot(t, "cloudwatch", "response", action)
			if status != "200" {
				t.Fatalf("the snapshot has status %s", status)
			}
			want, err := cbor.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			w := &recorder{header: http.Header{}}
			req := &request{protocol: rpcCBOR, action: action, service: newServices()["monitoring"]}
			if err := writeResponse(w, req, "id", output); err != nil {
				t.Fatal(err)
			}
			got, err := cbor.Decode(w.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(shape(want), shape(got)); diff != "" {
				t.Errorf("shape (-AWS +simulator):\n%s", diff)
			}
			for _, name := range []string{"Content-Type", "Smithy-Protocol"} {
				if w.header.Get(name) != header.Get(name) {
					t.Errorf("%s: %q, AWS sends %q", name, w.header.Get(name), header.Get(name))
				}
			}
		})
	}
}

// TestCloudWatchErrors compares the shape of our CBOR errors with a recorded one.
func TestCloudWatchErrors(t *testing.T) {
	_, header, body := snapshotError(t, "InvalidParameterValueException")
	want, err := cbor.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	w := &recorder{header: http.Header{}}
	req := &request{protocol: rpcCBOR, service: newServices()["monitoring"]}
	if err := writeError(w, req, "id", refuse("InvalidParameterValue", "text")); err != nil {
		t.Fatal(err)
	}
	got, err := cbor.Decode(w.body)
	if err != nil {
		t.Fatal(err)
	}
	wanted, ours := keys(want), keys(got)
	if !slices.Equal(wanted, ours) {
		t.Errorf("members %v, AWS sends %v", ours, wanted)
	}
	if a, b := shape(want.(cbor.Map)["__type"]), shape(got.(cbor.Map)["__type"]); a != b || string(got.(cbor.Map)["__type"].(cbor.String)) != "InvalidParameterValueException" {
		t.Errorf("the type is %v", got)
	}
	if w.header.Get("Content-Type") != header.Get("Content-Type") {
		t.Errorf("content type %q", w.header.Get("Content-Type"))
	}
}

func snapshotError(t *testing.T, name string) (string, http.Header, []byte) {
	t.Helper()
	dir := moduleFolder(t, "cloudwatch")
	data, err := os.ReadFile(filepath.Join(dir, "response_snapshot", name+".error.snap"))
	if err != nil {
		t.Fatal(err)
	}
	status, rest, _ := bytes.Cut(data, []byte("\n"))
	head, body, _ := bytes.Cut(rest, []byte("\n\n"))
	header := http.Header{}
	for line := range strings.SplitSeq(string(head), "\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			header.Set(key, value)
		}
	}
	return string(status), header, body
}

func keys(v cbor.Value) []string {
	var names []string
	for name := range v.(cbor.Map) {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// shape is a value with its scalars replaced by their types.
func shape(v cbor.Value) any {
	switch x := v.(type) {
	case cbor.Map:
		m := map[string]any{}
		for name, item := range x {
			m[name] = shape(item)
		}
		return m
	case cbor.List:
		if len(x) == 0 {
			return []any{}
		}
		return []any{shape(x[0])}
	case *cbor.Tag:
		return fmt.Sprintf("tag %d", x.ID)
	default:
		return fmt.Sprintf("%T", v)
	}
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}
