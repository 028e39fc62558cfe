package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// DeployType is the stage type that deploys a new server group to each of its clusters.
const DeployType = "deploy"

// DeployStage is the input of a deploy stage.
type DeployStage struct {
	// Clusters has one entry per cluster object and region, in the document's
	// order and inside it sorted by region. No two are the same cluster.
	Clusters []DeployCluster
}

// DeployCluster is one deployment that a deploy stage asks for.
type DeployCluster struct {
	Cluster  delivery.Cluster
	Spec     delivery.GroupSpec
	Strategy rollout.Strategy
	// Source is which of the cluster's groups Spec.From is to be, chosen when the
	// deployment has its turn; empty when Spec.From says it or there is none.
	Source delivery.Selection
	// UseSourceCapacity asks for the capacity of the newest serving group, or of the
	// one that is cloned, instead of Spec.Capacity, which then holds only where there is
	// none. An update in place leaves the capacity then.
	UseSourceCapacity bool
	// MayBeRouted is true while an expression says which load balancers there are.
	MayBeRouted bool
	// Pointer is the JSON pointer of the cluster object relative to the stage, to
	// which findings with pointers into Spec.Settings are appended.
	Pointer string
}

// Input is what a deployment to the cluster as it was seen is asked to do. Who
// carries it out adds deployment, server group and fence. The spec's settings are
// left out: they are in the stored stage.
func (c DeployCluster) Input(seen delivery.Snapshot, capabilities delivery.Capabilities) rollout.Input {
	in := rollout.Input{Cluster: c.Cluster, Spec: c.Spec, Strategy: c.Strategy, Capabilities: capabilities}
	in.Spec.Settings = nil
	if c.UseSourceCapacity && c.Strategy.InPlace {
		in.Spec.Capacity = delivery.Capacity{} // it stays what it is
		return in
	}
	if source := seen.NewestServing(); c.UseSourceCapacity && source != nil {
		in.Spec.Capacity = source.Capacity
	}
	return in
}

// deployTypes are the stage types that deploy, with their readers.
func deployTypes() map[string]func(object) DeployStage {
	return map[string]func(object) DeployStage{DeployType: readDeploy, DeployManifestType: readManifestStage,
		CreateServerGroupType: readCreateServerGroup, CloneType: readClone}
}

// Deploys reports whether stages of the type deploy: ParseDeploy reads them.
func Deploys(stageType string) bool { return deployTypes()[stageType] != nil }

// ParseDeploy reads an evaluated stage of a type that deploys. An Invalid error
// carries findings with pointers relative to the stage, for example
// /clusters/0/capacity/min.
func ParseDeploy(stageType string, context json.RawMessage) (DeployStage, error) {
	read := deployTypes()[stageType]
	if read == nil {
		return DeployStage{}, delivery.Errorf(delivery.Invalid, "stage type %q does not deploy", stageType)
	}
	r := &reader{}
	var stage DeployStage
	if o, ok := r.document(context); ok {
		stage = read(o)
	}
	r.refuseMissing(func(missingImage) bool { return true })
	if err := delivery.InvalidError("deploy stage is not valid", r.findings); err != nil {
		return DeployStage{}, err
	}
	return stage, nil
}

// ParseIntended is ParseDeploy for a stage before its turn: a cluster whose image
// an earlier stage has yet to find has an empty Spec.Image.
func ParseIntended(stageType string, context json.RawMessage) (DeployStage, error) {
	read := deployTypes()[stageType]
	if read == nil {
		return DeployStage{}, delivery.Errorf(delivery.Invalid, "stage type %q does not deploy", stageType)
	}
	r := &reader{}
	var stage DeployStage
	if o, ok := r.document(context); ok {
		stage = read(o)
	}
	return stage, delivery.InvalidError("deploy stage is not valid", r.findings)
}

// Intended reads as much of a stage that deploys as can be known before its
// expressions are evaluated. What is wrong with it is Parse's to say.
func Intended(stage StageSpec) DeployStage {
	read := deployTypes()[stage.Type]
	if read == nil {
		return DeployStage{}
	}
	r := &reader{deferred: true}
	o, ok := r.document(stage.Context())
	if !ok {
		return DeployStage{}
	}
	return read(o)
}

func readDeploy(o object) DeployStage {
	o.require("clusters")
	var stage DeployStage
	for i, raw := range o.list("clusters") {
		if o.r.deferred && isExpression(raw) {
			continue
		}
		if cluster, ok := o.r.object(fmt.Sprintf("%s/%d", o.pointer("clusters"), i), raw); ok {
			stage.Clusters = append(stage.Clusters, readCluster(cluster, raw, i)...)
		}
	}
	if raw, ok := o.fields["clusters"]; ok && delivery.JSONKind(raw) == "list" && len(o.list("clusters")) == 0 {
		o.refuse("clusters", "is empty; there is nothing to deploy")
	}
	refuseRepeated(o, stage)
	return stage
}

// readCluster reads one cluster object into one deployment per region.
func readCluster(o object, raw json.RawMessage, index int) []DeployCluster {
	provider := readProvider(o)
	where := delivery.Cluster{Provider: provider, Account: o.requiredText("account"), Moniker: readMoniker(o)}
	image, known := readImage(o, provider)
	after := len(o.r.findings)
	base := DeployCluster{
		Cluster: where,
		Spec: delivery.GroupSpec{
			Image: image, LoadBalancer: readLoadBalancer(o), Capacity: readCapacity(o), Settings: raw,
		},
		Strategy:          readStrategy(o, raw),
		MayBeRouted:       o.dynamic("loadBalancers"),
		UseSourceCapacity: o.flag("useSourceCapacity", false) || leavesCapacity(o),
		Pointer:           fmt.Sprintf("/clusters/%d", index),
	}
	base.Spec.Match = base.Strategy.Match
	if !base.UseSourceCapacity {
		refuseOversized(o, base.Strategy, base.Spec.Capacity)
	}
	refuseEmptyDark(o, base)
	if provider == cloudRun && base.Spec.LoadBalancer == "" {
		base.Spec.LoadBalancer = base.Cluster.Name() // the service is the load balancer
	}
	var out []DeployCluster
	regions := readRegions(o)
	images := readImageByRegion(o, image, regions)
	for _, region := range regions {
		one := base
		one.Cluster.Region = region
		one.Spec.Image = cmp.Or(image, images[region])
		if one.Spec.Image == "" && known && !o.dynamic(imageByRegion) {
			o.r.missing = append(o.r.missing, one.missingIn(o, after))
		}
		out = append(out, one)
	}
	if len(regions) == 0 && image == "" && known {
		o.r.missing = append(o.r.missing, base.missingIn(o, after))
	}
	return out
}

// refuseEmptyDark refuses a dark release without an instance, to which nothing can lead.
// Every other strategy can deploy such a group where none takes traffic yet.
func refuseEmptyDark(o object, c DeployCluster) {
	if c.Strategy.Kind != rollout.Dark || c.Cluster.Provider == cloudRun || c.UseSourceCapacity || o.dynamic("useSourceCapacity") {
		return
	}
	var capacity struct {
		Desired any `json:"desired"`
	}
	if raw := o.fields["capacity"]; json.Unmarshal(raw, &capacity) == nil && (capacity.Desired == 0.0 || capacity.Desired == "0") {
		o.r.refuse(o.pointer("capacity")+"/desired", "is 0; strategy dark needs an instance that its match can lead to")
	}
}

// readProvider returns cloudProvider, or its older name provider, or Spinnaker's
// default "aws".
func readProvider(o object) string {
	name, older := o.text("cloudProvider"), o.text("provider")
	switch {
	case name != "" && older != "" && name != older:
		o.refuse("provider", "is %q, but cloudProvider is %q", older, name)
	case name == "" && older == "":
		return "aws"
	case name == "":
		return older
	}
	return name
}

func readMoniker(o object) delivery.Moniker {
	m := delivery.Moniker{App: o.requiredText("application"), Stack: o.text("stack"), Detail: o.text("freeFormDetails")}
	for _, f := range m.Validate() {
		if name := strings.TrimPrefix(f.Pointer, "/"); o.dynamic(name) || (name == "application" && m.App == "") {
			continue
		}
		o.r.refuse(o.at+f.Pointer, "%s", f.Message)
	}
	return m
}

// readImage returns the first given of amiName, imageId and image, or the image
// of a Cloud Run manifest. known is false when it is empty and still not missing:
// an expression says it, or what is wrong with it has been said.
func readImage(o object, provider string) (image string, known bool) {
	known = true
	for _, name := range [...]string{"amiName", "imageId", "image"} {
		if image := o.text(name); image != "" {
			return image, true
		}
		if o.given(name) && (o.dynamic(name) || delivery.JSONKind(o.fields[name]) != "string") {
			known = false
		}
	}
	if provider == cloudRun && o.given("manifest") {
		manifest, ok := o.child("manifest")
		if !ok {
			return "", false
		}
		return readManifest(manifest).image, false
	}
	return "", known
}

func readLoadBalancer(o object) string {
	names := o.texts("loadBalancers")
	if len(names) > 1 {
		o.refuse("loadBalancers", "names %d load balancers; a cluster is behind one or none", len(names))
	}
	if len(names) == 0 {
		return ""
	}
	if names[0] == "" {
		o.r.refuse(o.pointer("loadBalancers")+"/0", "must not be empty")
	}
	return names[0]
}

// readCapacity reads capacity, or for managed instance groups the older
// targetSize in its place.
func readCapacity(o object) delivery.Capacity {
	if leavesCapacity(o) {
		return delivery.Capacity{}
	}
	if !o.given("capacity") && o.given("targetSize") {
		n, _ := o.whole("targetSize")
		if n < 0 {
			o.refuse("targetSize", "is %d; must not be negative", n)
		}
		if n > delivery.MaxInstances {
			o.refuse("targetSize", "is %d; a server group has at most %d instances", n, delivery.MaxInstances)
		}
		return delivery.Pinned(max(n, 0))
	}
	o.require("capacity")
	c, ok := o.child("capacity")
	if !ok {
		return delivery.Capacity{}
	}
	var out delivery.Capacity
	known := true
	for _, f := range []struct {
		name  string
		value *int
	}{{"min", &out.Min}, {"max", &out.Max}, {"desired", &out.Desired}} {
		c.require(f.name)
		n, ok := c.whole(f.name)
		*f.value = n
		known = known && ok
		if n < 0 {
			c.refuse(f.name, "is %d; must not be negative", n)
			known = false
		}
	}
	wrong := out.TooLarge()
	if known {
		wrong = append(wrong, out.Validate()...)
	}
	for _, f := range wrong {
		c.r.refuse(c.at+f.Pointer, "%s", f.Message)
	}
	return out
}

// leavesCapacity reports whether the stage updates in place and names no capacity:
// the server group keeps its own.
func leavesCapacity(o object) bool {
	inPlace := string(o.fields["inPlace"]) == "true" || o.dynamic("inPlace")
	return inPlace && !o.given("capacity") && !o.given("targetSize")
}

// readRegions returns the keys of availabilityZones in order; without them the
// one region of "region".
func readRegions(o object) []string {
	if !o.given("availabilityZones") {
		if region := o.text("region"); region != "" || o.dynamic("region") {
			return []string{region}
		}
		o.refuse("availabilityZones", "is required: the regions to deploy to, each with its zones")
		return nil
	}
	zones, ok := o.child("availabilityZones")
	if !ok {
		return nil
	}
	regions := zones.names()
	if len(regions) == 0 {
		o.refuse("availabilityZones", "names no region")
	}
	for _, region := range regions {
		if region == "" || strings.Contains(region, "${") {
			o.refuse("availabilityZones", "%q is not the name of a region", region)
		}
		zones.texts(region)
	}
	return regions
}

// readStrategy leaves the reading to rollout. Fields that are not known yet are
// hidden from it, and what it says about them is left out.
func readStrategy(o object, raw json.RawMessage) rollout.Strategy {
	hidden := make(map[string]bool)
	if o.r.deferred {
		visible := make(map[string]json.RawMessage, len(o.fields))
		for name, value := range o.fields {
			if strings.Contains(string(value), "${") {
				hidden[name] = true
				continue
			}
			visible[name] = value
		}
		if out, err := json.Marshal(visible); err == nil {
			raw = out
		}
	}
	strategy, findings := rollout.ParseStrategy(raw)
	if hidden["strategy"] {
		findings = underEveryStrategy(raw)
	}
	for _, f := range findings {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
		if f.Pointer == "/checks" && pausesHidden(hidden) {
			continue
		}
		if !hidden[name] {
			f.Pointer = o.at + f.Pointer
			o.r.findings = append(o.r.findings, f)
		}
	}
	return strategy
}

// refuseOversized refuses sizes of a strategy that a capacity does not have room for,
// where it is known.
func refuseOversized(o object, strategy rollout.Strategy, capacity delivery.Capacity) {
	if capacity.Desired < 1 || o.dynamic("useSourceCapacity") {
		return
	}
	for _, f := range strategy.Oversized(capacity.Desired) {
		o.r.refuse(o.at+f.Pointer, "%s", f.Message)
	}
}

// underEveryStrategy is what is wrong with a cluster object, without its strategy,
// whichever that will be.
func underEveryStrategy(raw json.RawMessage) []delivery.Finding {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	var common []delivery.Finding
	for i, kind := range rollout.Kinds() {
		fields["strategy"] = quoted(string(kind))
		with, err := json.Marshal(fields)
		if err != nil {
			return nil
		}
		_, findings := rollout.ParseStrategy(with)
		if i == 0 {
			common = findings
			continue
		}
		common = slices.DeleteFunc(common, func(f delivery.Finding) bool { return !slices.Contains(findings, f) })
	}
	return common
}

// pausesHidden reports whether it is not known yet if a step of the strategy lasts,
// so that checks can be waited for.
func pausesHidden(hidden map[string]bool) bool {
	return hidden["strategy"] || hidden["steps"] || hidden["pauseBetweenBatches"] || hidden["delayBeforeCleanup"] ||
		hidden["delayBeforeDisableSec"] || hidden["pipelineBeforeCleanup"]
}

// refuseRepeated refuses a stage that deploys to one cluster twice: both would
// be the same deployment.
func refuseRepeated(o object, stage DeployStage) {
	if o.r.deferred && strings.Contains(string(o.fields["clusters"]), "${") {
		return
	}
	first := make(map[string]string)
	for _, c := range stage.Clusters {
		if c.Cluster.Account == "" || c.Cluster.Moniker.App == "" {
			continue
		}
		key := c.Cluster.Key()
		if at, taken := first[key]; taken && at != c.Pointer {
			o.r.refuse(o.at+c.Pointer, "deploys to %s, as %s does", key, o.at+at)
			continue
		}
		first[key] = c.Pointer
	}
}
