package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// TestParseDeployOfGoogle reads Spinnaker's cluster objects of the other two providers.
func TestParseDeployOfGoogle(t *testing.T) {
	const common = `"account":"gcp-sim","application":"storefront","stack":"prod","strategy":"rolling","region":"us-central1",`
	place := func(provider string) delivery.Cluster {
		return delivery.Cluster{Provider: provider, Account: "gcp-sim", Region: "us-central1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	}
	for name, test := range map[string]struct {
		cluster string
		want    delivery.GroupSpec
		place   delivery.Cluster
	}{
		"managed instance group": {
			cluster: `{` + common + `"cloudProvider":"gce","image":"storefront-1-1","targetSize":3,"loadBalancers":["storefront"]}`,
			want:    delivery.GroupSpec{Image: "storefront-1-1", LoadBalancer: "storefront", Capacity: delivery.Pinned(3)},
			place:   place("gce"),
		},
		"capacity wins over targetSize": {
			cluster: `{` + common + `"cloudProvider":"gce","image":"i","targetSize":3,"capacity":{"min":1,"max":4,"desired":2}}`,
			want:    delivery.GroupSpec{Image: "i", Capacity: delivery.Capacity{Min: 1, Max: 4, Desired: 2}},
			place:   place("gce"),
		},
		"Cloud Run": {
			cluster: `{` + common + `"cloudProvider":"cloudrun","image":"host/p/r/storefront:1.1","capacity":{"min":0,"max":4,"desired":2}}`,
			want:    delivery.GroupSpec{Image: "host/p/r/storefront:1.1", LoadBalancer: "storefront-prod", Capacity: delivery.Capacity{Max: 4, Desired: 2}},
			place:   place("cloudrun"),
		},
		"Cloud Run with a manifest": {
			cluster: `{` + common + `"cloudProvider":"cloudrun","capacity":{"min":0,"max":4,"desired":2},"manifest":` + goodManifest + `}`,
			want:    delivery.GroupSpec{Image: "host/p/r/storefront:1.1", LoadBalancer: "storefront-prod", Capacity: delivery.Capacity{Max: 4, Desired: 2}},
			place:   place("cloudrun"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseDeploy(DeployType, json.RawMessage(deploy(test.cluster)))
			if err != nil {
				t.Fatal(err)
			}
			test.want.Settings = json.RawMessage(test.cluster)
			if diff := cmp.Diff(test.want, got.Clusters[0].Spec); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.place, got.Clusters[0].Cluster); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const goodManifest = `{"apiVersion":"serving.knative.dev/v1","kind":"Service",
	"metadata":{"name":"storefront-run","labels":{"cloud.googleapis.com/location":"us-central1"}},
	"spec":{"template":{"metadata":{"annotations":{"autoscaling.knative.dev/minScale":"2","autoscaling.knative.dev/maxScale":"10"}},
		"spec":{"containers":[{"image":"host/p/r/storefront:1.1"}]}}}}`

func manifestStage(more string, manifests ...string) string {
	return `{"account":"gcp-sim","cloudProvider":"cloudrun","source":"text","moniker":{"app":"storefront"},` + more + `"manifests":[` + strings.Join(manifests, ",") + `]}`
}

func TestParseDeployManifest(t *testing.T) {
	atOnce, _ := rollout.ParseStrategy(json.RawMessage(`{"strategy":"rolling","maxSurge":"100%"}`))
	steps, _ := rollout.ParseStrategy(json.RawMessage(`{"strategy":"rollingredblack","targetPercentages":[10]}`))
	for name, test := range map[string]struct {
		more string
		want rollout.Strategy
	}{
		"all traffic at once": {``, atOnce},
		"in steps":            {`"strategy":"rollingredblack","targetPercentages":[10],`, steps},
	} {
		t.Run(name, func(t *testing.T) {
			document := manifestStage(test.more, goodManifest)
			got, err := ParseDeploy(DeployManifestType, json.RawMessage(document))
			if err != nil {
				t.Fatal(err)
			}
			one := got.Clusters[0]
			var settings, stage map[string]json.RawMessage
			if json.Unmarshal(one.Spec.Settings, &settings) != nil || json.Unmarshal([]byte(document), &stage) != nil || len(settings) != len(stage) {
				t.Errorf("settings are not the stage: %s", one.Spec.Settings)
			}
			one.Spec.Settings = nil
			want := DeployCluster{
				Cluster:  delivery.Cluster{Provider: "cloudrun", Account: "gcp-sim", Region: "us-central1", Moniker: delivery.Moniker{App: "storefront", Stack: "run"}},
				Spec:     delivery.GroupSpec{Image: "host/p/r/storefront:1.1", LoadBalancer: "storefront-run", Capacity: delivery.Capacity{Min: 2, Max: 10, Desired: 2}},
				Strategy: test.want,
			}
			if diff := cmp.Diff(want, one); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseDeployManifestFindings(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(goodManifest, old, new, 1) }
	for name, test := range map[string]struct{ stage, pointer, message string }{
		"no manifest":                   {`{"account":"a"}`, "/manifests", "is required"},
		"an empty list":                 {manifestStage(``), "/manifests", "is empty"},
		"two manifests":                 {manifestStage(``, goodManifest, goodManifest), "/manifests", "has 2"},
		"no account":                    {`{"manifests":[` + goodManifest + `]}`, "/account", "is required"},
		"another provider":              {`{"account":"a","cloudProvider":"gce","manifests":[` + goodManifest + `]}`, "/cloudProvider", `"gce"`},
		"an artifact":                   {`{"account":"a","source":"artifact","manifests":[` + goodManifest + `]}`, "/source", "artifact"},
		"traffic management":            {manifestStage(`"trafficManagement":{"enabled":true},`, goodManifest), "/trafficManagement/enabled", "strategy"},
		"another kind":                  {manifestStage(``, change(`"kind":"Service"`, `"kind":"Job"`)), "/manifests/0/kind", "Job"},
		"no name":                       {manifestStage(``, change(`"name":"storefront-run",`, ``)), "/manifests/0/metadata/name", "is required"},
		"no region":                     {manifestStage(``, change(`"cloud.googleapis.com/location":"us-central1"`, ``)), "/region", "is required"},
		"another application":           {manifestStage(``, change(`storefront-run`, `other-run`)), "/moniker/app", "other"},
		"another stack":                 {manifestStage(`"stack":"prod",`, goodManifest), "/stack", "prod"},
		"no image":                      {manifestStage(``, change(`"image":"host/p/r/storefront:1.1"`, ``)), "/manifests/0/spec/template/spec/containers", "no image"},
		"bounds in the wrong order":     {manifestStage(``, change(`maxScale":"10"`, `maxScale":"1"`)), "/manifests/0/spec/template/metadata", "more than max"},
		"a strategy of the wrong shape": {manifestStage(`"strategy":"rolling","maxSurge":"x",`, goodManifest), "/maxSurge", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDeploy(DeployManifestType, json.RawMessage(test.stage))
			for _, f := range delivery.FindingsOf(err) {
				if f.Pointer == test.pointer && strings.Contains(f.Message, test.message) {
					return
				}
			}
			t.Errorf("findings %v", delivery.FindingsOf(err))
		})
	}
}

// TestManifestWithASidecar: the image is that of the container that takes requests.
func TestManifestWithASidecar(t *testing.T) {
	containers := `[{"image":"host/p/r/proxy:2"},{"image":"host/p/r/storefront:1.1","ports":[{"containerPort":8080}]}]`
	document := manifestStage(``, strings.Replace(goodManifest, `[{"image":"host/p/r/storefront:1.1"}]`, containers, 1))
	got, err := ParseDeploy(DeployManifestType, json.RawMessage(document))
	if err != nil {
		t.Fatal(err)
	}
	if image := got.Clusters[0].Spec.Image; image != "host/p/r/storefront:1.1" {
		t.Errorf("image %s", image)
	}
}

// TestManifestWithExpressions: what only a run can know is not refused at save time.
func TestManifestWithExpressions(t *testing.T) {
	for _, manifests := range []string{`"${outputs.manifests}"`, `["${outputs.manifest}"]`,
		`[` + strings.Replace(goodManifest, "host/p/r/storefront:1.1", "${parameters.image}", 1) + `]`} {
		document := `{"stages":[{"refId":"1","type":"deployCloudrunManifest","account":"a","region":"r","manifests":` + manifests + `}]}`
		if _, err := Parse(json.RawMessage(document)); err != nil {
			t.Errorf("%s: %v", manifests, err)
		}
	}
}
