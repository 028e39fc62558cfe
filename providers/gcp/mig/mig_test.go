package mig_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Cloud { return newCloud(t) })
}

// shop is the cluster of these tests.
var shop = delivery.Moniker{App: "shop", Stack: "test"}

func codeOf(err error) string {
	var e *delivery.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (c *cloud) create(group, image string, size int) delivery.Change {
	cluster := c.Cluster(shop)
	spec := c.Spec(image, size, true)
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1/" + cluster.Key() + "/" + group + "#create"), Kind: delivery.CreateGroup,
		Cluster: cluster, Deployment: "01TEST/1", Group: group, Spec: &spec,
	}
}

func (c *cloud) resize(group, step string, to delivery.Capacity) delivery.Change {
	return delivery.Change{Key: delivery.ChangeKey("01TEST/1#" + step), Kind: delivery.ResizeGroup, Cluster: c.Cluster(shop), Group: group, Capacity: &to}
}

func (c *cloud) destroy(group string) delivery.Change {
	return delivery.Change{Key: delivery.ChangeKey("01TEST/1#destroy/" + group), Kind: delivery.DestroyGroup, Cluster: c.Cluster(shop), Group: group}
}

// with returns the spec with another value of one field; without it when value is empty.
func with(spec delivery.GroupSpec, field, value string) delivery.GroupSpec {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(spec.Settings, &fields); err != nil {
		panic(err)
	}
	fields[field] = json.RawMessage(value)
	if value == "" {
		delete(fields, field)
	}
	spec.Settings = must(json.Marshal(fields))
	return spec
}

// apply carries a change through and returns how many writes it took.
func (c *cloud) apply(t *testing.T, change delivery.Change) int {
	t.Helper()
	writes := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		receipt, err := c.target.Apply(t.Context(), change)
		if err != nil && !delivery.KindOf(err).Retryable() {
			t.Fatalf("%v: %v", change, err)
		}
		if receipt.Wrote != "" {
			writes++
		}
		if receipt.Done {
			return writes
		}
	}
	t.Fatalf("%v is not done", change)
	return 0
}

// refused applies a change until it is refused.
func (c *cloud) refused(t *testing.T, change delivery.Change) error {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		receipt, err := c.target.Apply(t.Context(), change)
		if err != nil && !delivery.KindOf(err).Retryable() {
			return err
		}
		if receipt.Done {
			break
		}
	}
	t.Fatalf("%v is not refused", change)
	return nil
}

func (c *cloud) observe(t *testing.T, loadBalancer string) delivery.Snapshot {
	t.Helper()
	return must(c.target.Observe(t.Context(), c.Cluster(shop), loadBalancer))
}

func (c *cloud) weigh(t *testing.T, weights ...delivery.Weight) delivery.Change {
	t.Helper()
	seen := c.observe(t, "").Routing
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1#weigh/" + seen.Fingerprint), Kind: delivery.SetRouting, Cluster: c.Cluster(shop), Weights: weights, Fingerprint: seen.Fingerprint,
	}
}

func (c *cloud) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 20 s", what)
}

// TestCalls counts the requests of one observation, so that a change which asks
// for more shows here and not as throttling in production.
func TestCalls(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 2 {
		c.apply(t, c.create(shop.ServerGroup(i), "shop-1-1", 1))
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: shop.ServerGroup(0), Percent: 100}))
	c.until(t, "all are healthy", func() bool {
		seen := c.observe(t, balancer)
		return seen.Groups[0].Healthy() == 1 && seen.Groups[1].Healthy() == 1
	})
	for loadBalancer, maps := range map[string]string{balancer: "RegionUrlMaps.Get", "": "RegionUrlMaps.List"} {
		since := c.world.Log.Last()
		c.observe(t, loadBalancer)
		want := map[string]int{
			"RegionInstanceGroupManagers.List": 1, "RegionInstanceTemplates.List": 1, "RegionAutoscalers.List": 1, "RegionBackendServices.List": 1,
			"RegionOperations.List": 1, maps: 1, "RegionInstanceGroupManagers.ListManagedInstances": 2, "RegionBackendServices.GetHealth": 2,
		}
		if got := c.calls(since); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("observe %q: %v; want %v", loadBalancer, got, want)
		}
	}
}

// TestErrors wants the kind and the code of what Compute Engine answers.
func TestErrors(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1-1", 0))
	for _, test := range []struct {
		name   string
		effect simcloud.Effect
		want   delivery.Kind
		code   string
	}{
		{"throttled", simcloud.Effect{Kind: simcloud.EffectThrottle}, delivery.Throttled, "rateLimitExceeded"},
		{"down", simcloud.Effect{Kind: simcloud.EffectError, Status: 503}, delivery.Transient, "backendError"},
		{"reset", simcloud.Effect{Kind: simcloud.EffectReset}, delivery.Transient, ""},
		{"forbidden", simcloud.Effect{Kind: simcloud.EffectError, Status: 403, Code: "forbidden"}, delivery.Denied, "forbidden"},
		{"not ready", simcloud.Effect{Kind: simcloud.EffectError, Status: 400, Code: "resourceNotReady"}, delivery.NotReady, "resourceNotReady"},
	} {
		c.fault(simcloud.Fault{Match: simcloud.Match{Action: "RegionInstanceGroupManagers.List"}, Effect: test.effect})
		_, err := c.target.Observe(t.Context(), c.Cluster(shop), "")
		c.world.Faults.Clear()
		if delivery.KindOf(err) != test.want || codeOf(err) != test.code {
			t.Errorf("%s: kind %v, code %q, %v", test.name, delivery.KindOf(err), codeOf(err), err)
		}
	}
	if _, err := c.target.Observe(t.Context(), c.Cluster(shop), "nope"); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("unknown load balancer: %v", err)
	}
	if _, err := c.target.Apply(t.Context(), delivery.Change{Kind: "explode", Cluster: c.Cluster(shop), Group: shop.ServerGroup(1)}); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("unknown change: %v", err)
	}
}

// TestStaleReads lets reads of a creation see the state before the last write: it
// ends with one group all the same.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1-1", 0))
	c.fault(simcloud.Fault{Match: simcloud.Match{Reads: true, Probability: 0.3}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 40}})
	c.apply(t, c.create(shop.ServerGroup(2), "shop-1-1", 0))
	c.world.Faults.Clear()
	seen := c.observe(t, "")
	if len(seen.Groups) != 2 || !seen.Groups[1].Complete || len(seen.Routing.Weights) != 2 {
		t.Errorf("after stale reads: %+v", seen)
	}
}

// TestOddDeploymentID: what a group's description says of its deployment is the id
// to the letter, else the deployment would not know its own group.
func TestOddDeploymentID(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	change.Deployment = `01TEST/größe="50%" #1/a/r/c`
	c.apply(t, change)
	if got := c.observe(t, balancer).Group(change.Group).Deployment; got != change.Deployment {
		t.Errorf("deployment %q; want %q", got, change.Deployment)
	}
}

// TestImageOfAFamily: a group runs the image that the family's name meant when it
// was made.
func TestImageOfAFamily(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "family/shop", 0)
	c.apply(t, change)
	if g := c.observe(t, balancer).Group(change.Group); g.Image != "shop-1-1" || g.ImageID != "projects/"+project+"/global/images/shop-1-1" {
		t.Errorf("image %q, id %q", g.Image, g.ImageID)
	}
	template := must(c.templates.Get(t.Context(), &computepb.GetRegionInstanceTemplateRequest{Project: project, Region: region, InstanceTemplate: change.Group}))
	if source := template.GetProperties().GetDisks()[0].GetInitializeParams().GetSourceImage(); !strings.HasSuffix(source, "/global/images/shop-1-1") {
		t.Errorf("source image %q", source)
	}
}

// TestNewGroupCopiesTheServingOne: ports, health check, draining and how requests
// are balanced come from the backend service that serves now.
func TestNewGroupCopiesTheServingOne(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	spec := with(*first.Spec, "connectionDrainingTimeoutSec", "17")
	spec = with(spec, "loadBalancingPolicy", `{"balancingMode":"RATE","maxRatePerInstance":50,"namedPorts":[{"name":"admin","port":9000},{"name":"api","port":8081}]}`)
	spec = with(spec, "portName", `"api"`)
	first.Spec = &spec
	c.apply(t, first)
	serving := c.service(t.Context(), first.Group)
	serving.TimeoutSec, serving.LocalityLbPolicy = proto.Int32(77), proto.String("LEAST_REQUEST")
	done(c.services.Update(t.Context(), &computepb.UpdateRegionBackendServiceRequest{Project: project, Region: region, BackendService: first.Group, BackendServiceResource: serving}))
	second := c.create(shop.ServerGroup(2), "shop-1-1", 0)
	bare := *second.Spec
	for _, field := range []string{"healthCheck", "loadBalancingPolicy"} {
		bare = with(bare, field, "")
	}
	second.Spec = &bare
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), bare); err != nil || len(findings) != 0 {
		t.Errorf("validate: %v, %v", findings, err)
	}
	c.apply(t, second)
	got, want := c.service(t.Context(), second.Group), c.service(t.Context(), first.Group)
	if got.GetPortName() != "api" || got.GetConnectionDraining().GetDrainingTimeoutSec() != 17 || fmt.Sprint(got.GetHealthChecks()) != fmt.Sprint(want.GetHealthChecks()) ||
		got.GetTimeoutSec() != 77 || got.GetLocalityLbPolicy() != "LEAST_REQUEST" || got.GetBackends()[0].GetBalancingMode() != "RATE" || got.GetBackends()[0].GetMaxRatePerInstance() != 50 || got.GetLoadBalancingScheme() != "EXTERNAL_MANAGED" {
		t.Errorf("backend service %v; want it like %v", got, want)
	}
	ports := c.manager(t.Context(), second.Group).GetNamedPorts()
	if len(ports) != 2 || ports[1].GetName() != "api" || ports[1].GetPort() != 8081 {
		t.Errorf("named ports %v", ports)
	}
}

// TestAutoscaler: the stage's autoscaler is stopped while the group is pinned, and
// moves the size between the bounds once it has them.
func TestAutoscaler(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	spec := with(*change.Spec, "autoscalingPolicy", `{"mode":"ONLY_SCALE_OUT","coolDownPeriodSec":45,"cpuUtilization":{"utilizationTarget":0.7}}`)
	change.Spec, change.Capacity = &spec, &delivery.Capacity{Max: 4}
	for writes := 1; writes <= 5; writes++ {
		c.until(t, "the next write", func() bool { return must(c.target.Apply(t.Context(), change)).Wrote != "" })
		if g := c.observe(t, balancer).Group(change.Group); g.Complete != (writes == 5) {
			t.Errorf("after %d writes: %+v", writes, g)
		}
	}
	c.apply(t, change)
	group := change.Group
	if g := c.observe(t, balancer).Group(group); g.Capacity != delivery.Pinned(0) || !g.Complete {
		t.Errorf("made as %+v", g)
	}
	wide := delivery.Capacity{Min: 1, Max: 4, Desired: 2}
	for i, test := range []struct {
		to     delivery.Capacity
		writes int
	}{
		{delivery.Pinned(2), 1}, // the size
		{wide, 1},               // the autoscaler
		{wide, 0},
		{delivery.Pinned(2), 1}, // the autoscaler
		{delivery.Pinned(3), 1}, // the size
		{wide, 2},               // the size, the autoscaler
		{delivery.Capacity{Min: 2, Max: 5, Desired: 2}, 1},
		{delivery.Pinned(0), 2}, // the autoscaler, the size
	} {
		if n := c.apply(t, c.resize(group, fmt.Sprintf("step/%d", i), test.to)); n != test.writes {
			t.Errorf("step %d to %+v took %d writes; want %d", i, test.to, n, test.writes)
		}
		if got := c.observe(t, balancer).Group(group).Capacity; got != test.to {
			t.Errorf("step %d: capacity %+v; want %+v", i, got, test.to)
		}
		policy := c.autoscaler(t.Context(), group).GetAutoscalingPolicy()
		mode := map[bool]string{true: "OFF", false: "ONLY_SCALE_OUT"}[test.to.Min == test.to.Max]
		if policy.GetMode() != mode || policy.GetCoolDownPeriodSec() != 45 || policy.GetCpuUtilization().GetUtilizationTarget() != 0.7 {
			t.Errorf("step %d: policy %v; want mode %s and the rest as it was", i, policy, mode)
		}
	}
	c.apply(t, c.destroy(group))
	if pieces := c.Pieces(); len(pieces) != 2 {
		t.Errorf("left behind: %v", pieces)
	}
}

// TestMissingAutoscaler: a group behind no load balancer is whole once it has the
// autoscaler that it was to have.
func TestMissingAutoscaler(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	spec := with(c.Spec("shop-1-1", 0, false), "autoscalingPolicy", `{}`)
	change.Spec = &spec
	for writes := 1; writes <= 3; writes++ {
		c.until(t, "the next write", func() bool { return must(c.target.Apply(t.Context(), change)).Wrote != "" })
		if g := c.observe(t, "").Group(change.Group); g.Complete != (writes == 3) {
			t.Errorf("after %d writes: %+v", writes, g)
		}
	}
}

// TestDefaultAutoscaler: a group without autoscalingPolicy gets an autoscaler with
// its bounds.
func TestDefaultAutoscaler(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 1)
	c.apply(t, change)
	wide := delivery.Capacity{Min: 1, Max: 3, Desired: 1}
	if n := c.apply(t, c.resize(change.Group, "unpin", wide)); n != 1 {
		t.Errorf("%d writes", n)
	}
	policy := c.autoscaler(t.Context(), change.Group).GetAutoscalingPolicy()
	if policy.GetMode() != "ON" || policy.GetMinNumReplicas() != 1 || policy.GetMaxNumReplicas() != 3 || policy.GetCpuUtilization().GetUtilizationTarget() != 0.6 {
		t.Errorf("policy %v", policy)
	}
}

// TestAutoscalerOfOthers: an autoscaler that has a group's name and scales another
// group is neither read as the group's nor deleted with it.
func TestAutoscalerOfOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	c.Plant(t, "other-team")
	done(c.autoscalers.Insert(t.Context(), &computepb.InsertRegionAutoscalerRequest{Project: project, Region: region, AutoscalerResource: &computepb.Autoscaler{
		Name: proto.String(change.Group), Target: proto.String(path("instanceGroupManagers", "other-team")),
		AutoscalingPolicy: &computepb.AutoscalingPolicy{MinNumReplicas: proto.Int32(0), MaxNumReplicas: proto.Int32(3)},
	}}))
	before := c.Pieces()
	writes := c.Writes()
	c.apply(t, c.destroy(change.Group))
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("destroying nothing wrote %d times", n)
	}
	c.apply(t, change)
	if g := c.observe(t, balancer).Group(change.Group); g.Capacity != delivery.Pinned(0) {
		t.Errorf("capacity %+v", g.Capacity)
	}
	c.apply(t, c.destroy(change.Group))
	if after := c.Pieces(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("left %v; want %v", after, before)
	}
}

// TestUndoneChangeIsMadeAgain: a request id that was used does not keep a change
// from being made again that somebody undid.
func TestUndoneChangeIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	c.apply(t, change)
	grow := c.resize(change.Group, "grow", delivery.Pinned(2))
	c.apply(t, grow)
	done(c.managers.Resize(t.Context(), &computepb.ResizeRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: change.Group, Size: 0}))
	if n := c.apply(t, grow); n != 1 {
		t.Errorf("%d writes", n)
	}
	if size := c.manager(t.Context(), change.Group).GetTargetSize(); size != 2 {
		t.Errorf("size %d", size)
	}
}
