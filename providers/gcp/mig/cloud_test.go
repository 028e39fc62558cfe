package mig_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/providers/gcp/mig"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
	simgcp "github.com/slipway-cd/slipway/simcloud/gcp"
)

const (
	account  = "gcp-test"
	project  = "shop-test"
	region   = "us-central1"
	balancer = "shop"
	// placeholder is the backend service that the load balancer begins with: it has
	// no backends.
	placeholder = balancer
	check       = "alive"
	// scale makes a health check's 5 s pass in 83 ms.
	scale = 60
)

// cloud is a simulated project that is reached through Google's SDK, by the target
// and by the tests themselves.
type cloud struct {
	world  *simcloud.World
	server *simgcp.Cloud
	target *mig.Target

	templates   *compute.RegionInstanceTemplatesClient
	managers    *compute.RegionInstanceGroupManagersClient
	autoscalers *compute.RegionAutoscalersClient
	services    *compute.RegionBackendServicesClient
	urlMaps     *compute.RegionUrlMapsClient
	operations  *compute.RegionOperationsClient

	proxies         *compute.RegionTargetHttpProxiesClient
	forwardingRules *compute.ForwardingRulesClient
}

var _ providertest.Cloud = (*cloud)(nil)

func newCloud(t *testing.T) *cloud { return newCloudWith(t, simgcp.Options{}) }

func newCloudWith(t *testing.T, o simgcp.Options) *cloud {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: scale, Seed: 1, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(world.Close)
	o.PageSize, o.Logger = 2, slog.New(slog.DiscardHandler)
	if o.OperationTime == 0 {
		o.OperationTime = time.Second // 17 ms at the most
	}
	server := simgcp.New(world, o)
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	server.SeedProject(simgcp.SeedProject{Account: account, Project: project, Token: "token", Regions: map[string][]string{region: {"a", "b", "c"}}})
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", BootDelay: 2 * time.Second},
		{Name: "shop-1.1", BootDelay: 2 * time.Second},
		{Name: "sick-1.0", BootDelay: time.Second, NeverHealthy: true},
	} {
		must(server.SeedImage(project, image))
	}
	if err := server.SeedLoadBalancer(simgcp.SeedLoadBalancer{Project: project, Region: region, Name: balancer, HealthCheck: check}); err != nil {
		t.Fatal(err)
	}
	session := must(gcp.Open(t.Context(), gcp.Options{Account: account, Project: project, Endpoint: endpoint.URL, AccessToken: "token"}))
	c := &cloud{world: world, server: server, target: must(mig.New(session, region, mig.Options{Settle: time.Second, DrainingTimeout: 5 * time.Second}))}
	c.connect(t.Context(), session.ClientOptions())
	return c
}

func (c *cloud) connect(ctx context.Context, o []option.ClientOption) {
	c.templates = must(compute.NewRegionInstanceTemplatesRESTClient(ctx, o...))
	c.managers = must(compute.NewRegionInstanceGroupManagersRESTClient(ctx, o...))
	c.autoscalers = must(compute.NewRegionAutoscalersRESTClient(ctx, o...))
	c.services = must(compute.NewRegionBackendServicesRESTClient(ctx, o...))
	c.urlMaps = must(compute.NewRegionUrlMapsRESTClient(ctx, o...))
	c.operations = must(compute.NewRegionOperationsRESTClient(ctx, o...))
	c.proxies = must(compute.NewRegionTargetHttpProxiesRESTClient(ctx, o...))
	c.forwardingRules = must(compute.NewForwardingRulesRESTClient(ctx, o...))
}

func path(collection, name string) string {
	return fmt.Sprintf("projects/%s/regions/%s/%s/%s", project, region, collection, name)
}

// done waits for an operation's end.
func done(op *compute.Operation, err error) {
	if err != nil {
		panic(err)
	}
	for !op.Done() {
		if err := op.Poll(context.Background()); err != nil {
			panic(err)
		}
	}
	if op.Proto().GetError() != nil {
		panic(op.Proto().GetError().String())
	}
}

func (c *cloud) Target() delivery.Target { return c.target }

func (c *cloud) Cluster(m delivery.Moniker) delivery.Cluster {
	return delivery.Cluster{Provider: mig.Provider, Account: account, Region: region, Moniker: m}
}

// object is a deploy stage's cluster object; tests overwrite its fields.
func object() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"availabilityZones":   json.RawMessage(`{"us-central1":["us-central1-a","us-central1-b"]}`),
		"instanceType":        json.RawMessage(`"e2-small"`),
		"healthCheck":         json.RawMessage(`"alive"`),
		"autoHealingPolicy":   json.RawMessage(`{"healthCheck":"alive","initialDelaySec":20}`),
		"loadBalancingPolicy": json.RawMessage(`{"namedPorts":[{"name":"web","port":8080}]}`),
	}
}

func (c *cloud) Spec(image string, size int, behindLoadBalancer bool) delivery.GroupSpec {
	fields := object()
	spec := delivery.GroupSpec{Image: image, Capacity: delivery.Pinned(size)}
	if behindLoadBalancer {
		spec.LoadBalancer = balancer
		fields["loadBalancers"] = json.RawMessage(`["` + balancer + `"]`)
	}
	spec.Settings = must(json.Marshal(fields))
	return spec
}

func (c *cloud) Images() (good, sick string) { return "shop-1-1", "sick-1-0" }

// Writes counts those as well whose answer got lost: this SDK repeats no write.
func (c *cloud) Writes() int {
	n := 0
	for _, e := range c.world.Log.Events() {
		if e.Kind == simcloud.APICall && e.Write && e.Effect {
			n++
		}
	}
	return n
}

// calls counts the requests since an event, by action.
func (c *cloud) calls(since int64) map[string]int {
	out := map[string]int{}
	for _, e := range c.world.Log.After(since, 0) {
		if e.Kind == simcloud.APICall {
			out[e.Action]++
		}
	}
	return out
}

func (c *cloud) LoseAnswer(nth int) {
	c.fault(simcloud.Fault{Match: simcloud.Match{Writes: true, Nth: nth, Action: "Region*"}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter}, Times: 1})
}

func (c *cloud) fault(f simcloud.Fault) {
	if _, err := c.world.Faults.Add(f); err != nil {
		panic(err) // a mistake in the test itself
	}
}

// Pieces leaves out what is being deleted: it exists until a moment that no look
// can be in time for.
func (c *cloud) Pieces() []string {
	ctx := context.Background()
	going := map[string]bool{}
	for _, o := range all(c.operations.List(ctx, &computepb.ListRegionOperationsRequest{Project: project, Region: region, Filter: proto.String("status != DONE")})) {
		if o.GetOperationType() == "delete" {
			going[o.GetTargetLink()] = true
		}
	}
	out := []string{}
	add := func(what, link, name string) {
		if !going[link] {
			out = append(out, what+" "+name)
		}
	}
	for _, v := range all(c.managers.List(ctx, &computepb.ListRegionInstanceGroupManagersRequest{Project: project, Region: region})) {
		add("group", v.GetSelfLink(), v.GetName())
	}
	for _, v := range all(c.templates.List(ctx, &computepb.ListRegionInstanceTemplatesRequest{Project: project, Region: region})) {
		add("template", v.GetSelfLink(), v.GetName())
	}
	for _, v := range all(c.services.List(ctx, &computepb.ListRegionBackendServicesRequest{Project: project, Region: region})) {
		add("backend service", v.GetSelfLink(), v.GetName())
	}
	for _, v := range all(c.autoscalers.List(ctx, &computepb.ListRegionAutoscalersRequest{Project: project, Region: region})) {
		add("autoscaler", v.GetSelfLink(), v.GetName())
	}
	for _, m := range all(c.urlMaps.List(ctx, &computepb.ListRegionUrlMapsRequest{Project: project, Region: region})) {
		for service, weight := range weights(m.GetDefaultService(), m.GetDefaultRouteAction()) {
			out = append(out, fmt.Sprintf("destination %s %s %d", m.GetName(), service, weight))
		}
	}
	slices.Sort(out)
	return out
}

// weights are the destinations of a default, by the names of the backend services.
func weights(service string, action *computepb.HttpRouteAction) map[string]uint32 {
	out := map[string]uint32{}
	if service != "" {
		out[last(service)] = 100
	}
	for _, w := range action.GetWeightedBackendServices() {
		out[last(w.GetBackendService())] = w.GetWeight()
	}
	return out
}

func last(url string) string { return url[strings.LastIndex(url, "/")+1:] }

func (c *cloud) Plant(t *testing.T, name string) {
	t.Helper()
	done(c.templates.Insert(t.Context(), &computepb.InsertRegionInstanceTemplateRequest{
		Project: project, Region: region, InstanceTemplateResource: &computepb.InstanceTemplate{
			Name: proto.String(name), Properties: &computepb.InstanceProperties{
				MachineType:       proto.String("e2-small"),
				NetworkInterfaces: []*computepb.NetworkInterface{{Network: proto.String("global/networks/default")}},
				Disks: []*computepb.AttachedDisk{{Boot: proto.Bool(true), InitializeParams: &computepb.AttachedDiskInitializeParams{
					SourceImage: proto.String("projects/" + project + "/global/images/shop-1-0"),
				}}},
			},
		},
	}))
	done(c.managers.Insert(t.Context(), &computepb.InsertRegionInstanceGroupManagerRequest{
		Project: project, Region: region, InstanceGroupManagerResource: &computepb.InstanceGroupManager{
			Name: proto.String(name), BaseInstanceName: proto.String(name), TargetSize: proto.Int32(0),
			InstanceTemplate: proto.String(path("instanceTemplates", name)),
			NamedPorts:       []*computepb.NamedPort{{Name: proto.String("web"), Port: proto.Int32(8080)}},
		},
	}))
}

// all reads a list to its end.
func all[V any](list interface{ Next() (V, error) }) []V {
	var out []V
	for {
		v, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		out = append(out, must(v, err))
	}
}

// must is for calls of the tests' own, which the simulator has no reason to refuse.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
