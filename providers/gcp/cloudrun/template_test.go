package cloudrun

import (
	"encoding/json"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-cd/slipway/delivery"
)

const bigManifest = `{
  "apiVersion": "serving.knative.dev/v1", "kind": "Service",
  "metadata": {"name": "shop-test", "namespace": "123456", "labels": {"cloud.googleapis.com/location": "us-central1"}},
  "spec": {"template": {
    "metadata": {
      "labels": {"team": "shop"},
      "annotations": {
        "run.googleapis.com/execution-environment": "gen2", "run.googleapis.com/cpu-throttling": "false",
        "run.googleapis.com/vpc-access-connector": "projects/p/locations/us-central1/connectors/c",
        "run.googleapis.com/vpc-access-egress": "all-traffic", "run.googleapis.com/client-name": "gcloud",
        "autoscaling.knative.dev/minScale": "1", "autoscaling.knative.dev/maxScale": "5", "example.com/note": "x"
      }
    },
    "spec": {
      "containerConcurrency": 40, "timeoutSeconds": 60, "serviceAccountName": "run@p.iam.gserviceaccount.com",
      "containers": [
        {"name": "side", "image": "docker.io/envoy:1"},
        {"name": "app", "image": "us-docker.pkg.dev/p/r/shop:1.0", "command": ["/app"], "args": ["-v"],
         "ports": [{"name": "h2c", "containerPort": 9000}],
         "env": [{"name": "A", "value": "1"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "3"}}}],
         "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
         "startupProbe": {"httpGet": {"path": "/up", "port": 9000}, "periodSeconds": 5},
         "livenessProbe": {"tcpSocket": {"port": 9000}}}
      ]
    }
  }}
}`

var change = delivery.Change{
	Key: "key", Deployment: "deployment", Group: "shop-test-v003",
	Cluster: delivery.Cluster{Provider: Provider, Account: "a", Region: "us-central1", Moniker: delivery.Moniker{App: "shop", Stack: "test"}},
}

func parse(t *testing.T, spec delivery.GroupSpec) settings {
	t.Helper()
	s, found := parseSettings(spec)
	if found = append(found, s.check(change.Cluster, "p")...); len(found) > 0 {
		t.Fatalf("findings %+v", found)
	}
	return s
}

func owners(more map[string]string) map[string]string {
	out := map[string]string{
		"slipway.dev/application": "shop", "slipway.dev/cluster": "shop-test", "slipway.dev/server-group": "shop-test-v003",
		"slipway.dev/deployment": "deployment", "slipway.dev/change": "key",
	}
	for key, value := range more {
		out[key] = value
	}
	return out
}

func TestTemplateOfSettings(t *testing.T) {
	spec := delivery.GroupSpec{
		Image: "us-docker.pkg.dev/p/r/shop:1.1", Capacity: delivery.Capacity{Min: 1, Max: 4, Desired: 2},
		Settings: json.RawMessage(`{"image":"ignored:1","port":8081,"env":{"B":"2","A":"1"},"cpu":"1","memory":"512Mi","serviceAccount":"x@y",
			"concurrency":10,"timeoutSeconds":30,"startupProbePath":"/healthz","labels":{"team":"shop"}}`),
	}
	want := &runpb.RevisionTemplate{
		Revision: "shop-test-v003", Labels: map[string]string{"team": "shop"},
		Annotations: owners(map[string]string{"slipway.dev/capacity": "1,4,2", "slipway.dev/image": "us-docker.pkg.dev/p/r/shop:1.1"}),
		Scaling:     &runpb.RevisionScaling{MinInstanceCount: 1, MaxInstanceCount: 4}, ServiceAccount: "x@y",
		MaxInstanceRequestConcurrency: 10, Timeout: durationpb.New(30 * time.Second),
		Containers: []*runpb.Container{{
			Image: "us-docker.pkg.dev/p/r/shop:1.1", Ports: []*runpb.ContainerPort{{ContainerPort: 8081}},
			Env: []*runpb.EnvVar{
				{Name: "A", Values: &runpb.EnvVar_Value{Value: "1"}}, {Name: "B", Values: &runpb.EnvVar_Value{Value: "2"}},
			},
			Resources:    &runpb.ResourceRequirements{Limits: map[string]string{"cpu": "1", "memory": "512Mi"}, CpuIdle: true},
			StartupProbe: &runpb.Probe{ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: "/healthz"}}},
		}},
	}
	if diff := cmp.Diff(want, parse(t, spec).template(change), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestTemplateOfManifest reads a manifest under both names that stages give it,
// with fields of the stage on top.
func TestTemplateOfManifest(t *testing.T) {
	want := &runpb.RevisionTemplate{
		Revision: "shop-test-v003", Labels: map[string]string{"team": "shop"},
		Annotations: owners(map[string]string{"slipway.dev/capacity": "1,5,1", "slipway.dev/image": "us-docker.pkg.dev/p/r/shop:1.1", "example.com/note": "x"}),
		Scaling:     &runpb.RevisionScaling{MinInstanceCount: 1, MaxInstanceCount: 5}, ServiceAccount: "run@p.iam.gserviceaccount.com",
		MaxInstanceRequestConcurrency: 50, Timeout: durationpb.New(time.Minute),
		ExecutionEnvironment: runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
		VpcAccess:            &runpb.VpcAccess{Connector: "projects/p/locations/us-central1/connectors/c", Egress: runpb.VpcAccess_ALL_TRAFFIC},
		Containers: []*runpb.Container{
			{Name: "side", Image: "docker.io/envoy:1"},
			{
				Name: "app", Image: "us-docker.pkg.dev/p/r/shop:1.1", Command: []string{"/app"}, Args: []string{"-v"},
				Ports: []*runpb.ContainerPort{{Name: "h2c", ContainerPort: 9001}},
				Env: []*runpb.EnvVar{
					{Name: "A", Values: &runpb.EnvVar_Value{Value: "changed"}},
					{Name: "S", Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{SecretKeyRef: &runpb.SecretKeySelector{Secret: "secret", Version: "3"}}}},
				},
				Resources:     &runpb.ResourceRequirements{Limits: map[string]string{"cpu": "4", "memory": "1Gi"}},
				StartupProbe:  &runpb.Probe{PeriodSeconds: 5, ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: "/up", Port: 9000}}},
				LivenessProbe: &runpb.Probe{ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: 9000}}},
			},
		},
	}
	for _, field := range []string{`"manifest":` + bigManifest, `"manifests":[` + bigManifest + `]`} {
		spec := delivery.GroupSpec{
			Image: "us-docker.pkg.dev/p/r/shop:1.1", Capacity: delivery.Capacity{Min: 1, Max: 5, Desired: 1},
			Settings: json.RawMessage(`{"port":9001,"env":{"A":"changed"},"cpu":"4","concurrency":50,` + field + `}`),
		}
		if diff := cmp.Diff(want, parse(t, spec).template(change), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestImageOfTheManifest: a spec is filled in with the first image of the manifest,
// which may be that of a container beside the one that takes requests.
func TestImageOfTheManifest(t *testing.T) {
	spec := delivery.GroupSpec{
		Image: "docker.io/envoy:1", Capacity: delivery.Capacity{Min: 1, Max: 5, Desired: 1}, Settings: json.RawMessage(`{"manifest":` + bigManifest + `}`),
	}
	got := parse(t, spec).template(change)
	if got.Containers[0].Image != "docker.io/envoy:1" || got.Containers[1].Image != "us-docker.pkg.dev/p/r/shop:1.0" {
		t.Errorf("images %s and %s", got.Containers[0].Image, got.Containers[1].Image)
	}
	if got.Annotations[noteImage] != "us-docker.pkg.dev/p/r/shop:1.0" {
		t.Errorf("image %s", got.Annotations[noteImage])
	}
}

// TestTheWayBack: what a revision shows makes the template again that it was made
// of.
func TestTheWayBack(t *testing.T) {
	spec := delivery.GroupSpec{Capacity: delivery.Capacity{Min: 1, Max: 5, Desired: 1}, Settings: json.RawMessage(`{"manifest":` + bigManifest + `}`)}
	template := parse(t, spec).template(change)
	template.SessionAffinity, template.EncryptionKey = true, "key"
	template.NodeSelector = &runpb.NodeSelector{Accelerator: "nvidia-l4"}
	template.GpuZonalRedundancyDisabled = proto.Bool(true)
	template.Volumes = []*runpb.Volume{{Name: "v"}}
	revision := &runpb.Revision{
		Name: "projects/p/locations/r/services/shop-test/revisions/shop-test-v003", Uid: "uid", Generation: 1, Service: "shop-test",
		Labels: template.Labels, Annotations: template.Annotations, Scaling: template.Scaling, VpcAccess: template.VpcAccess,
		MaxInstanceRequestConcurrency: template.MaxInstanceRequestConcurrency, Timeout: template.Timeout, ServiceAccount: template.ServiceAccount,
		Containers: template.Containers, Volumes: template.Volumes, ExecutionEnvironment: template.ExecutionEnvironment,
		EncryptionKey: template.EncryptionKey, SessionAffinity: true, NodeSelector: template.NodeSelector, GpuZonalRedundancyDisabled: proto.Bool(true),
		Conditions: []*runpb.Condition{terminal(runpb.Condition_CONDITION_SUCCEEDED)}, Etag: "etag",
	}
	if diff := cmp.Diff(template, templateOf(revision), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestCapacityOf(t *testing.T) {
	for name, test := range map[string]struct {
		notes   map[string]string
		scaling *runpb.RevisionScaling
		want    delivery.Capacity
	}{
		"ours":             {map[string]string{noteCapacity: writeCapacity(delivery.Capacity{Min: 1, Max: 9, Desired: 3})}, &runpb.RevisionScaling{MinInstanceCount: 1, MaxInstanceCount: 9}, delivery.Capacity{Min: 1, Max: 9, Desired: 3}},
		"ours, none":       {map[string]string{noteCapacity: "0,0,0"}, nil, delivery.Capacity{}},
		"somebody else's":  {nil, &runpb.RevisionScaling{MinInstanceCount: 2, MaxInstanceCount: 9}, delivery.Capacity{Min: 2, Max: 9, Desired: 2}},
		"without bounds":   {nil, nil, delivery.Capacity{Min: 0, Max: 1, Desired: 1}},
		"a note by a hand": {map[string]string{noteCapacity: "many"}, &runpb.RevisionScaling{MaxInstanceCount: 9}, delivery.Capacity{Max: 9, Desired: 1}},
	} {
		if got := capacityOf(test.notes, test.scaling); got != test.want {
			t.Errorf("%s: %+v; want %+v", name, got, test.want)
		}
	}
}
