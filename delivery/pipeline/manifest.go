package pipeline

import (
	"cmp"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// DeployManifestType is the stage type that deploys a Cloud Run service from its
// manifest, as Spinnaker calls it.
const DeployManifestType = "deployCloudrunManifest"

// cloudRun is Spinnaker's cloudProvider of Cloud Run.
const cloudRun = "cloudrun"

// defaultMaxScale is how many instances a Cloud Run revision may have when its
// manifest does not say ("Maximum instances" in Cloud Run's documentation).
const defaultMaxScale = 100

// readManifestStage reads a stage that deploys one service. It is one deployment;
// its settings are the stage itself.
func readManifestStage(o object) DeployStage {
	account := o.requiredText("account")
	if provider := o.text("cloudProvider"); provider != "" && provider != cloudRun {
		o.refuse("cloudProvider", "is %q; this stage deploys to %q", provider, cloudRun)
	}
	if source := o.text("source"); source != "" && source != "text" {
		o.refuse("source", "is %q; only manifests in the stage itself (text) can be deployed", source)
	}
	if management, ok := o.child("trafficManagement"); ok && management.flag("enabled", false) {
		management.refuse("enabled", "is true; how traffic moves is said by strategy")
	}
	m, ok := readManifests(o)
	if !ok {
		return DeployStage{}
	}
	cluster := delivery.Cluster{Provider: cloudRun, Account: account, Region: cmp.Or(o.text("region"), m.location), Moniker: m.moniker}
	if cluster.Region == "" && !o.dynamic("region") {
		o.refuse("region", "is required: in the stage or as the manifest's label %s", locationLabel)
	}
	checkMoniker(o, m.moniker)
	settings, err := json.Marshal(o.fields)
	if err != nil {
		o.r.refuse(o.at, "is not an object: %v", err)
	}
	return DeployStage{Clusters: []DeployCluster{{
		Cluster: cluster, Strategy: readManifestStrategy(o, settings),
		Spec: delivery.GroupSpec{Image: m.image, LoadBalancer: cluster.Name(), Capacity: m.capacity, Settings: settings},
	}}}
}

// readManifests returns the one manifest of the stage; ok is false when there is
// none or it is not known yet.
func readManifests(o object) (manifest, bool) {
	o.require("manifests")
	all := o.objects("manifests")
	switch n := len(o.list("manifests")); {
	case n == 0 && o.given("manifests") && !o.dynamic("manifests") && delivery.JSONKind(o.fields["manifests"]) == "list":
		o.refuse("manifests", "is empty; there is nothing to deploy")
	case n > 1:
		o.refuse("manifests", "has %d manifests; a stage deploys one service", n)
	case len(all) == 1:
		return readManifest(all[0]), true
	}
	return manifest{}, false
}

// checkMoniker refuses names in the stage that say something else than the
// service's name does.
func checkMoniker(o object, m delivery.Moniker) {
	if moniker, ok := o.child("moniker"); ok {
		if app := moniker.text("app"); app != "" && m.App != "" && app != m.App {
			moniker.refuse("app", "is %q, but the service's name says %q", app, m.App)
		}
	}
	for _, f := range []struct{ name, want string }{{"stack", m.Stack}, {"details", m.Detail}} {
		if got := o.text(f.name); got != "" && m.App != "" && got != f.want {
			o.refuse(f.name, "is %q, but the service's name says %q", got, f.want)
		}
	}
}

// readManifestStrategy is the stage's strategy; without one all traffic moves at
// once when the revision is ready, as Cloud Run does by itself.
func readManifestStrategy(o object, raw json.RawMessage) rollout.Strategy {
	if o.text("strategy") == "" && !o.dynamic("strategy") {
		o.fields["strategy"], o.fields["maxSurge"] = json.RawMessage(`"rolling"`), json.RawMessage(`"100%"`)
		defer func() { delete(o.fields, "strategy"); delete(o.fields, "maxSurge") }()
		if merged, err := json.Marshal(o.fields); err == nil {
			raw = merged
		}
	}
	return readStrategy(o, raw)
}

// manifest is what is read of a Knative service.
type manifest struct {
	moniker  delivery.Moniker
	location string
	image    string
	capacity delivery.Capacity
}

// Where Cloud Run's manifests keep the region and the bounds of scaling (Cloud
// Run's YAML reference).
const (
	locationLabel = "cloud.googleapis.com/location"
	minScale      = "autoscaling.knative.dev/minScale"
	maxScale      = "autoscaling.knative.dev/maxScale"
)

func readManifest(o object) manifest {
	if kind := o.text("kind"); kind != "Service" && !o.dynamic("kind") {
		o.refuse("kind", "is %q; must be Service of serving.knative.dev/v1", kind)
	}
	var m manifest
	if metadata, ok := o.child("metadata"); ok {
		m.moniker, _, _ = delivery.ParseServerGroup(metadata.requiredText("name") + "-v000")
		if labels, ok := metadata.child("labels"); ok {
			m.location = labels.text(locationLabel)
		}
	} else {
		o.require("metadata")
	}
	m.capacity = delivery.Capacity{Max: defaultMaxScale, Desired: 1}
	spec, ok := descend(o, "spec", "template")
	if !ok {
		o.require("spec")
		return m
	}
	if annotations, ok := descend(spec, "metadata", "annotations"); ok {
		if n, ok := annotations.whole(minScale); ok {
			m.capacity.Min = n
		}
		if n, ok := annotations.whole(maxScale); ok {
			m.capacity.Max = n
		}
	}
	m.capacity.Desired = max(m.capacity.Min, 1)
	for _, f := range append(m.capacity.Validate(), m.capacity.TooLarge()...) {
		spec.refuse("metadata", "scales from %d to %d instances: %s", m.capacity.Min, m.capacity.Max, f.Message)
	}
	m.image = readContainerImage(spec)
	return m
}

// readContainerImage returns the image of the container that takes requests: the
// one with ports, else the first.
func readContainerImage(template object) string {
	inner, ok := template.child("spec")
	if !ok {
		template.require("spec")
		return ""
	}
	image, known := "", !inner.dynamic("containers")
	containers := inner.objects("containers")
	for i, container := range containers {
		if i == 0 || len(container.list("ports")) > 0 {
			image = container.text("image")
		}
		known = known && !container.dynamic("image")
	}
	if image == "" && known && len(inner.list("containers")) == len(containers) {
		inner.refuse("containers", "name no image to deploy")
	}
	return image
}

// descend goes down a path of objects that may be absent.
func descend(o object, path ...string) (object, bool) {
	for _, name := range path {
		next, ok := o.child(name)
		if !ok {
			return object{}, false
		}
		o = next
	}
	return o, true
}
