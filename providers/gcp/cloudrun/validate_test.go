package cloudrun_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// manifestOf wraps what stands in the parts of a manifest.
func manifestOf(top, template, spec, containers string) string {
	return fmt.Sprintf(`{"apiVersion":"serving.knative.dev/v1","kind":"Service"%s,"spec":{"template":{%s"spec":{%s"containers":[%s]}}}}`,
		top, template, spec, containers)
}

const good = `{"image":"us-docker.pkg.dev/p/r/shop:1.1"}`

// TestValidateNamesTheField gives one wrong value after the other.
func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	cluster := c.Cluster(shop)
	writes := c.Writes()
	in := func(fields string) string {
		return manifestOf("", "", "", `{"image":"us-docker.pkg.dev/p/r/shop:1.1",`+fields+`}`)
	}
	annotated := func(key, value string) string {
		return manifestOf("", fmt.Sprintf(`"metadata":{"annotations":{%q:%q}},`, key, value), "", good)
	}
	const container = "/manifest/spec/template/spec/containers/0"
	for _, test := range []struct{ field, value, pointer, message string }{
		{"port", `"80"`, "/port", "want a whole number"},
		{"port", `70000`, "/port", "want 1 to 65535"},
		{"env", `["A"]`, "/env", "want an object"},
		{"env", `{"1A":"x"}`, "/env/1A", "no name of an environment variable"},
		{"env", `{"PORT":"80"}`, "/env/PORT", "set by Cloud Run"},
		{"cpu", `"3"`, "/cpu", "1, 2, 4, 6 or 8"},
		{"cpu", `"0.01"`, "/cpu", "0.08 to 1"},
		{"cpu", `"1500m"`, "/cpu", "1, 2, 4, 6 or 8"},
		{"cpu", `"two"`, "/cpu", `such as "1" or "500m"`},
		{"memory", `"512"`, "/memory", "128Mi to 32Gi"},
		{"memory", `"64Gi"`, "/memory", "128Mi to 32Gi"},
		{"memory", `"1 GB"`, "/memory", `such as "512Mi"`},
		{"concurrency", `2000`, "/concurrency", "want 1 to 1000"},
		{"timeoutSeconds", `4000`, "/timeoutSeconds", "want 1 to 3600"},
		{"startupProbePath", `"healthz"`, "/startupProbePath", "begins with /"},
		{"labels", `{"Team":"x"}`, "/labels/Team", "no key of a label"},
		{"labels", `{"a/b":"x"}`, "/labels/a~1b", "no key of a label"},
		{"labels", `{"team":"Ä"}`, "/labels/team", "no value of a label"},
		{"scaleDown", `true`, "/scaleDown", "cannot be used"},
		{"loadBalancers", `["other"]`, "/loadBalancers/0", "service of that name"},
		{"loadBalancers", `["shop-test","other"]`, "/loadBalancers", "2 load balancers"},
		{"manifest", `"text"`, "/manifest", "want an object"},
		{"manifest", strings.Replace(manifestOf("", "", "", good), "Service", "Job", 1), "/manifest/kind", "want Service"},
		{"manifest", strings.Replace(manifestOf("", "", "", good), "v1", "v2", 1), "/manifest/apiVersion", "want serving.knative.dev/v1"},
		{"manifest", manifestOf(`,"metadata":{"name":"other"}`, "", "", good), "/manifest/metadata/name", "cluster shop-test"},
		{"manifest", manifestOf(`,"metadata":{"namespace":"other"}`, "", "", good), "/manifest/metadata/namespace", project},
		{"manifest", manifestOf(`,"metadata":{"labels":{"cloud.googleapis.com/location":"europe-west1"}}`, "", "", good), "/manifest/metadata/labels/cloud.googleapis.com~1location", "us-central1"},
		{"manifest", manifestOf(`,"metadata":{"labels":{"team":"x"}}`, "", "", good), "/manifest/metadata/labels/team", "belongs to whoever made it"},
		{"manifest", manifestOf(`,"metadata":{"annotations":{"a":"b"}}`, "", "", good), "/manifest/metadata/annotations", "belongs to whoever made it"},
		{"manifest", manifestOf(`,"status":{}`, "", "", good), "/manifest/status", "cannot be used"},
		{"manifest", manifestOf("", `"metadata":{"name":"shop-test-v009"},`, "", good), "/manifest/spec/template/metadata/name", "named after the server group"},
		{"manifest", `{"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"traffic":[],"template":{"spec":{"containers":[` + good + `]}}}}`, "/manifest/spec/traffic", "strategy"},
		{"manifest", manifestOf("", "", `"volumes":[],`, good), "/manifest/spec/template/spec/volumes", "not understood"},
		{"manifest", manifestOf("", "", `"containerConcurrency":5000,`, good), "/manifest/spec/template/spec/containerConcurrency", "want 1 to 1000"},
		{"manifest", in(`"ports":[{"containerPort":80}]},{"image":"a:1","ports":[{"containerPort":81}]`), "/manifest/spec/template/spec/containers/1/ports", "requests go to one container"},
		{"manifest", in(`"name":"a"},{"image":"a:1"`), "/manifest/spec/template/spec/containers", "none with a port"},
		{"manifest", in(`"lifecycle":{}`), container + "/lifecycle", "not understood"},
		{"manifest", in(`"ports":[{"containerPort":80},{"containerPort":81}]`), container + "/ports", "allows one"},
		{"manifest", in(`"ports":[{"containerPort":0}]`), container + "/ports/0/containerPort", "want 1 to 65535"},
		{"manifest", in(`"ports":[{"name":"tcp","containerPort":80}]`), container + "/ports/0/name", "http1 or h2c"},
		{"manifest", in(`"env":[{"name":"A","valueFrom":{"configMapKeyRef":{}}}]`), container + "/env/0/valueFrom/configMapKeyRef", "not understood"},
		{"manifest", in(`"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s"}}}]`), container + "/env/0/valueFrom/secretKeyRef", "version as key"},
		{"manifest", in(`"env":[{"name":"K_REVISION","value":"x"}]`), container + "/env/0/name", "set by Cloud Run"},
		{"manifest", in(`"resources":{"limits":{"cpu":"9"}}`), container + "/resources/limits/cpu", "cores"},
		{"manifest", in(`"resources":{"limits":{"nvidia.com/gpu":"1"}}`), container + "/resources/limits/nvidia.com~1gpu", "cpu or memory"},
		{"manifest", in(`"startupProbe":{"periodSeconds":5}`), container + "/startupProbe", "one of httpGet"},
		{"manifest", in(`"startupProbe":{"initialDelaySeconds":300,"tcpSocket":{"port":80}}`), container + "/startupProbe/initialDelaySeconds", "want 0 to 240"},
		{"manifest", annotated("autoscaling.knative.dev/maxScale", "7"), "/manifest/spec/template/metadata/annotations/autoscaling.knative.dev~1maxScale", "capacity says 1"},
		{"manifest", annotated("run.googleapis.com/cloudsql-instances", "a"), "/manifest/spec/template/metadata/annotations/run.googleapis.com~1cloudsql-instances", "not understood"},
		{"manifest", annotated("run.googleapis.com/execution-environment", "gen3"), "/manifest/spec/template/metadata/annotations/run.googleapis.com~1execution-environment", "gen1 or gen2"},
		{"manifest", annotated("run.googleapis.com/vpc-access-connector", "short"), "/manifest/spec/template/metadata/annotations/run.googleapis.com~1vpc-access-connector", "projects/"},
		{"manifest", annotated("slipway.dev/change", "x"), "/manifest/spec/template/metadata/annotations/slipway.dev~1change", "reserved"},
		{"manifests", `[` + manifestOf("", "", "", good) + `,` + manifestOf("", "", "", good) + `]`, "/manifests", "one manifest too many"},
		{"manifests", `[` + manifestOf(`,"metadata":{"name":"other"}`, "", "", good) + `]`, "/manifests/0/metadata/name", "cluster shop-test"},
		{"manifests", `[` + manifestOf(`,"data":{}`, "", "", good) + `]`, "/manifests/0/data", "not understood"},
	} {
		spec := with(t, c.Spec(images+":1.1", 1, true), test.field, test.value)
		findings, err := c.target.Validate(t.Context(), cluster, spec)
		if err != nil {
			t.Errorf("%s=%s: %v", test.field, test.value, err)
			continue
		}
		if len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%s=%s: findings %+v; want %s with %q", test.field, test.value, findings, test.pointer, test.message)
		}
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("validation wrote %d times", n)
	}
}

func TestValidateImages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	cluster := c.Cluster(shop)
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for image, message := range map[string]string{
		"":                                    "is missing",
		"shop":                                "neither a tag nor a digest",
		"us-docker.pkg.dev/p/r/shop":          "neither a tag nor a digest",
		"localhost:5000/shop":                 "neither a tag nor a digest",
		"us-docker.pkg.dev/p/r/Shop:1":        "no name of a container image",
		"us-docker.pkg.dev/p/r/shop:":         "no name of a container image",
		"https://us-docker.pkg.dev/p/r:1":     "no name of a container image",
		"shop@sha256:12":                      "no name of a container image",
		"shop:1":                              "",
		"localhost:5000/shop:1":               "",
		"us-docker.pkg.dev/p/r/shop:1.1-rc_2": "",
		"us-docker.pkg.dev/p/r/a--b/shop__x" + digest: "",
		"us-docker.pkg.dev/p/r/shop:1" + digest:       "",
	} {
		findings, err := c.target.Validate(t.Context(), cluster, c.Spec(image, 1, true))
		switch {
		case err != nil:
			t.Errorf("image %q: %v", image, err)
		case message == "" && len(findings) > 0:
			t.Errorf("image %q: findings %+v", image, findings)
		case message != "" && (len(findings) != 1 || findings[0].Pointer != "/image" || !strings.Contains(findings[0].Message, message)):
			t.Errorf("image %q: findings %+v; want %q", image, findings, message)
		}
	}
	bare := manifestOf("", "", "", `{"image":"us-docker.pkg.dev/p/r/shop"}`)
	spec := with(t, c.Spec("us-docker.pkg.dev/p/r/shop", 1, true), "manifest", bare)
	if findings, err := c.target.Validate(t.Context(), cluster, spec); err != nil || len(findings) != 1 || findings[0].Pointer != "/manifest/spec/template/spec/containers/0/image" {
		t.Errorf("image of the manifest: %+v, %v", findings, err)
	}
}

// TestValidateNames: a name that Cloud Run would refuse is refused before anything
// is written.
func TestValidateNames(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for message, m := range map[string]delivery.Moniker{
		"lower-case letters":       {App: "Shop"},
		"a letter first":           {App: "1shop"},
		"digits and '-' only":      {App: "shop", Stack: "a.b"},
		"Cloud Run allows 49":      {App: strings.Repeat("a", 50)},
		"allows 46 together":       {App: strings.Repeat("a", 43)},
		"'-' only, a letter first": {App: "shop", Stack: "a", Detail: "b-"},
	} {
		findings, err := c.target.Validate(t.Context(), c.bare(m), c.Spec(images+":1.1", 1, true))
		if err != nil || len(findings) != 1 || !strings.Contains(findings[0].Message, message) {
			t.Errorf("%s: findings %+v, %v; want %q", m.Cluster(), findings, err, message)
		}
	}
	longest := delivery.Moniker{App: strings.Repeat("a", 42)}
	if findings, err := c.target.Validate(t.Context(), c.bare(longest), c.Spec(images+":1.1", 1, true)); err != nil || len(findings) != 0 {
		t.Errorf("the longest name: %+v, %v", findings, err)
	}
}

// TestValidateCapacity: a maximum of 0 means something else to Cloud Run, which is
// worth a warning.
func TestValidateCapacity(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec(images+":1.1", 0, true))
	if err != nil || len(findings) != 1 || !findings[0].Warning || findings[0].Pointer != "/capacity/max" {
		t.Errorf("findings %+v, %v", findings, err)
	}
}
