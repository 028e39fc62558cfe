package cloudrun_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Cloud { return newCloud(t) })
}

// shop is the cluster of these tests.
var shop = delivery.Moniker{App: "shop", Stack: "test"}

const latest = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST

func codeOf(err error) string {
	var e *delivery.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (c *cloud) create(group, version string) delivery.Change {
	cluster := c.bare(shop)
	spec := c.Spec(images+":"+version, 1, true)
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1/" + cluster.Key() + "/" + group + "#create"), Kind: delivery.CreateGroup,
		Cluster: cluster, Deployment: "01TEST/1", Group: group, Spec: &spec,
	}
}

func (c *cloud) destroy(group string) delivery.Change {
	return delivery.Change{Key: "destroy", Kind: delivery.DestroyGroup, Cluster: c.bare(shop), Group: group}
}

func with(t *testing.T, spec delivery.GroupSpec, field, value string) delivery.GroupSpec {
	t.Helper()
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(spec.Settings, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = json.RawMessage(value)
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	spec.Settings = raw
	return spec
}

// apply carries a change through.
func (c *cloud) apply(t *testing.T, change delivery.Change) {
	t.Helper()
	c.until(t, change.String(), func() bool {
		receipt, err := c.target.Apply(t.Context(), change)
		if err != nil && !delivery.KindOf(err).Retryable() {
			t.Fatalf("%v: %v", change, err)
		}
		return receipt.Done
	})
}

func (c *cloud) observe(t *testing.T) delivery.Snapshot {
	t.Helper()
	seen, err := c.target.Observe(t.Context(), c.bare(shop), shop.Cluster())
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func (c *cloud) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 20 s; traffic %q", what, c.traffic(shop.Cluster()))
}

// healthy waits until the group is.
func (c *cloud) healthy(t *testing.T, group string) {
	t.Helper()
	c.until(t, group+" to be healthy", func() bool {
		g := c.observe(t).Group(group)
		return g != nil && g.Healthy() == 1
	})
}

// failed waits until a problem of the group is reported.
func (c *cloud) failed(t *testing.T, group string) {
	t.Helper()
	c.until(t, group+" to fail", func() bool {
		g := c.observe(t).Group(group)
		return g != nil && len(g.Problems) > 0 && !c.service(shop.Cluster()).GetReconciling()
	})
}

func (c *cloud) weigh(t *testing.T, weights ...delivery.Weight) delivery.Change {
	t.Helper()
	return delivery.Change{
		Key: "weigh", Kind: delivery.SetRouting, Cluster: c.bare(shop), Weights: weights, Fingerprint: c.observe(t).Routing.Fingerprint,
	}
}

func all(group string) delivery.Weight { return delivery.Weight{ServerGroup: group, Percent: 100} }

// TestGroupWithoutTag: a group whose entry has no tag gets one when it loses its
// traffic, and so stays where the traffic can come back to.
func TestGroupWithoutTag(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	old, group := shop.ServerGroup(0), shop.ServerGroup(1)
	c.seed(shop.Cluster(), old)
	c.apply(t, c.create(group, "1.1"))
	c.healthy(t, group)
	c.apply(t, c.weigh(t, all(group)))
	if got, want := c.traffic(shop.Cluster()), fmt.Sprintf("%s=0#v000 %s=100#v001", old, group); got != want {
		t.Errorf("traffic %q; want %q", got, want)
	}
	if g := c.observe(t).Group(old); g == nil || !g.Complete {
		t.Errorf("the group without traffic: %+v", g)
	}
}

// TestForeignRevision: traffic of the latest revision is pinned by the creation, so
// that none moves; the first weights take it from the foreign revision, which keeps
// the address of its tag.
func TestForeignRevision(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	foreign := shop.Cluster() + "-00001-abc"
	c.update(&runpb.Service{Name: location + "/services/" + shop.Cluster(), Traffic: []*runpb.TrafficTarget{
		{Type: latest, Percent: 100}, {Type: latest, Tag: "live"},
	}}, "traffic")
	group := shop.ServerGroup(1)
	c.apply(t, c.create(group, "1.1"))
	if got, want := c.traffic(shop.Cluster()), fmt.Sprintf("%s=0#live %s=100 %s=0#v001", foreign, foreign, group); got != want {
		t.Errorf("traffic %q; want %q", got, want)
	}
	c.healthy(t, group)
	if seen := c.observe(t); seen.Group(foreign) != nil || seen.Routing.Percent(group) != 0 {
		t.Errorf("beside the foreign revision: %+v", seen)
	}
	c.apply(t, c.weigh(t, all(group)))
	if got, want := c.traffic(shop.Cluster()), fmt.Sprintf("%s=0#live %s=100#v001", foreign, group); got != want {
		t.Errorf("traffic %q; want %q", got, want)
	}
	refused := c.destroy(foreign)
	if _, err := c.target.Apply(t.Context(), refused); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("destroy of a foreign revision: %v", err)
	}
}

// TestTagURL: the address of the tag leads to a revision that takes no traffic yet.
func TestTagURL(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	group := shop.ServerGroup(1)
	c.apply(t, c.create(group, "1.1"))
	c.healthy(t, group)
	service := c.service(shop.Cluster())
	host := ""
	for _, status := range service.GetTrafficStatuses() {
		if status.GetTag() == "v001" && status.GetRevision() == group {
			host = must(url.Parse(status.GetUri())).Host
		}
	}
	if host == "" {
		t.Fatalf("no address in %v", service.GetTrafficStatuses())
	}
	for wanted, name := range map[string]string{"1.1": host, "1.0": ""} {
		got := ""
		c.until(t, "an answer of "+wanted, func() bool {
			got = ask(t, service.GetUri(), name)
			return strings.Contains(got, `"`+wanted+`"`)
		})
	}
}

// ask returns what an address answers, under another host name when one is given:
// not every resolver knows names below localhost.
func ask(t *testing.T, at, host string) string {
	t.Helper()
	request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil))
	request.Host = host
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return string(must(io.ReadAll(answer.Body)))
}

// TestOvertaken lets somebody change the service between the target's read and its
// write.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	path, foreign := location+"/services/"+shop.Cluster(), shop.Cluster()+"-00001-abc"
	relabel := func(value string) func() {
		return func() { c.update(&runpb.Service{Name: path, Labels: map[string]string{"team": value}}, "labels") }
	}
	route := func(entries ...*runpb.TrafficTarget) func() {
		return func() { c.update(&runpb.Service{Name: path, Traffic: entries}, "traffic") }
	}
	first := c.create(shop.ServerGroup(1), "1.1")
	c.before(http.MethodPatch, route(&runpb.TrafficTarget{Type: latest, Percent: 100, Tag: "live"}))
	c.apply(t, first)
	if got, want := c.traffic(shop.Cluster()), fmt.Sprintf("%s=100#live %s=0#v001", foreign, first.Group); got != want {
		t.Errorf("the creation took something away: %q; want %q", got, want)
	}
	c.healthy(t, first.Group)

	weigh := c.weigh(t, all(first.Group))
	c.before(http.MethodPatch, relabel("a"))
	if receipt, err := c.target.Apply(t.Context(), weigh); err != nil || receipt.Waiting == "" {
		t.Errorf("weights while a label changes: %+v, %v", receipt, err)
	}
	c.apply(t, weigh)

	second := c.create(shop.ServerGroup(2), "1.1")
	c.apply(t, second)
	c.healthy(t, second.Group)
	weigh = c.weigh(t, all(second.Group))
	c.before(http.MethodPatch, route(
		&runpb.TrafficTarget{Type: 2, Revision: first.Group, Percent: 60, Tag: "v001"}, &runpb.TrafficTarget{Type: 2, Revision: second.Group, Percent: 40, Tag: "v002"}))
	if _, err := c.target.Apply(t.Context(), weigh); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("weights that were not decided on what is: %v", err)
	}
	if got := c.traffic(shop.Cluster()); !strings.Contains(got, second.Group+"=40") {
		t.Errorf("traffic %q", got)
	}
	c.apply(t, c.weigh(t, all(first.Group)))
	c.before(http.MethodPatch, relabel("b"))
	c.apply(t, c.destroy(second.Group))
	if c.observe(t).Group(second.Group) != nil {
		t.Error("the destroyed revision is still there")
	}
}

// TestCalls counts the requests of one observation, so that a change which asks
// for more shows here and not as throttling in production.
func TestCalls(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	for i := range 2 {
		c.apply(t, c.create(shop.ServerGroup(i), "1.1"))
	}
	since := c.world.Log.Last()
	c.observe(t)
	// Three revisions are two of the simulator's small pages.
	if got, want := fmt.Sprint(c.calls(since)), "map[Revisions.ListRevisions:2 Services.GetService:1]"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestOddDeploymentID: what a group's annotation says of its deployment is the id
// to the letter, else the deployment would not know its own group.
func TestOddDeploymentID(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	for i, id := range []delivery.DeploymentID{"01TEST/deploy #1 (prod)/a/r/c", "01TEST/größe=50%/a/r/c", `01TEST/"4\/a/r/=`} {
		change := c.create(shop.ServerGroup(i), "1.1")
		change.Deployment = id
		c.apply(t, change)
		if got := c.observe(t).Group(change.Group).Deployment; got != id {
			t.Errorf("deployment %q; want %q", got, id)
		}
	}
}

// TestErrors wants the kind and the code of what Cloud Run answers.
func TestErrors(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	c.apply(t, c.create(shop.ServerGroup(1), "1.1"))
	for _, test := range []struct {
		name   string
		effect simcloud.Effect
		want   delivery.Kind
		code   string
	}{
		{"throttled", simcloud.Effect{Kind: simcloud.EffectThrottle}, delivery.Throttled, "RATE_LIMIT_EXCEEDED"},
		{"down", simcloud.Effect{Kind: simcloud.EffectError, Status: 503}, delivery.Transient, "UNAVAILABLE"},
		{"reset", simcloud.Effect{Kind: simcloud.EffectReset}, delivery.Transient, ""},
		{"forbidden", simcloud.Effect{Kind: simcloud.EffectError, Status: 403, Code: "PERMISSION_DENIED"}, delivery.Denied, "PERMISSION_DENIED"},
	} {
		c.fault(simcloud.Fault{Match: simcloud.Match{Action: "Services.GetService"}, Effect: test.effect})
		_, err := c.target.Observe(t.Context(), c.bare(shop), "")
		c.world.Faults.Clear()
		if delivery.KindOf(err) != test.want || codeOf(err) != test.code {
			t.Errorf("%s: kind %v, code %q, %v", test.name, delivery.KindOf(err), codeOf(err), err)
		}
	}
	if _, err := c.target.Observe(t.Context(), c.bare(shop), "another"); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("another load balancer: %v", err)
	}
	for name, change := range map[string]delivery.Change{
		"unknown change":        {Kind: "explode", Cluster: c.bare(shop), Group: shop.ServerGroup(1)},
		"weights of a stranger": c.weigh(t, all("other-v001")),
		"weights of a part":     c.weigh(t, delivery.Weight{ServerGroup: shop.ServerGroup(1), Percent: 99}),
		"no spec":               {Kind: delivery.CreateGroup, Cluster: c.bare(shop), Group: shop.ServerGroup(5)},
	} {
		if _, err := c.target.Apply(t.Context(), change); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.target.Apply(t.Context(), c.weigh(t, all(shop.ServerGroup(9)))); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("weights of a missing revision: %v", err)
	}
}

// TestStaleReads lets each read of a creation see the state before the last
// write: it ends with one group all the same.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	c.apply(t, c.create(shop.ServerGroup(1), "1.1"))
	c.fault(simcloud.Fault{Match: simcloud.Match{Reads: true, Probability: 0.3}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 40}})
	c.apply(t, c.create(shop.ServerGroup(2), "1.1"))
	c.apply(t, c.destroy(shop.ServerGroup(1)))
	c.world.Faults.Clear()
	seen := c.observe(t)
	if len(seen.Groups) != 1 || !seen.Groups[0].Complete || len(seen.Routing.Weights) != 1 {
		t.Errorf("after stale reads: %+v", seen)
	}
}
