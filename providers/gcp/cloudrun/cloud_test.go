package cloudrun_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/providers/gcp/cloudrun"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
	simgcp "github.com/slipway-cd/slipway/simcloud/gcp"
)

const (
	account  = "gcp-test"
	project  = "shop-test-1"
	region   = "us-central1"
	location = "projects/" + project + "/locations/" + region
	images   = "us-docker.pkg.dev/" + project + "/images/shop"
	// scale makes Cloud Run's 3 s for an operation pass in 50 ms.
	scale = 60
)

// cloud is a simulated project that is reached through Google's SDK, by the target
// and by the tests themselves.
type cloud struct {
	world     *simcloud.World
	target    *cloudrun.Target
	services  *run.ServicesClient
	revisions *run.RevisionsClient
	server    *simgcp.Cloud
	endpoint  string

	mu     sync.Mutex
	seeded map[string]bool
	// between is called once, with the next request of its method before it is
	// answered.
	method  string
	between func()
}

var _ providertest.Cloud = (*cloud)(nil)

func newCloud(t *testing.T) *cloud {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{
		Scale: scale, Seed: 1, PropagationMin: 100 * time.Millisecond, PropagationMax: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(world.Close)
	c := &cloud{world: world, server: simgcp.New(world, simgcp.Options{PageSize: 2, Logger: slog.New(slog.DiscardHandler)}), seeded: map[string]bool{}}
	endpoint := httptest.NewServer(c)
	t.Cleanup(endpoint.Close)
	c.endpoint = endpoint.URL
	c.server.SeedProject(simgcp.SeedProject{Account: account, Project: project, Token: "secret", Regions: map[string][]string{region: {"a", "b"}}})
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", Version: "1.0", BootDelay: time.Second}, {Name: "shop-1.1", Version: "1.1", BootDelay: time.Second},
		{Name: "shop-sick", BootDelay: time.Second, NeverHealthy: true},
	} {
		image.Account = account
		if _, err := world.Images.Publish(image); err != nil {
			t.Fatal(err)
		}
	}
	session, err := gcp.Open(t.Context(), gcp.Options{Account: account, Project: project, Endpoint: endpoint.URL, AccessToken: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if c.target, err = cloudrun.New(t.Context(), session, region, cloudrun.Options{Settle: time.Second, Drain: time.Second}); err != nil {
		t.Fatal(err)
	}
	c.services = must(run.NewServicesRESTClient(t.Context(), session.ClientOptions()...))
	c.revisions = must(run.NewRevisionsRESTClient(t.Context(), session.ClientOptions()...))
	return c
}

// ServeHTTP answers as the simulator does, after what a test put in between.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	between := c.between
	if between != nil && r.Method == c.method {
		c.between = nil
	} else {
		between = nil
	}
	c.mu.Unlock()
	if between != nil {
		between()
	}
	c.server.ServeHTTP(w, r)
}

// before lets something happen between the target's next request of the method and
// what it read before.
func (c *cloud) before(method string, what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.method, c.between = method, what
}

func (c *cloud) Target() delivery.Target { return c.target }

// Cluster returns a cluster whose service exists and sends everything to a revision
// that somebody else made.
func (c *cloud) Cluster(m delivery.Moniker) delivery.Cluster {
	c.seed(m.Cluster(), m.Cluster()+"-00001-abc")
	return c.bare(m)
}

// bare returns a cluster without a service.
func (c *cloud) bare(m delivery.Moniker) delivery.Cluster {
	return delivery.Cluster{Provider: cloudrun.Provider, Account: account, Region: region, Moniker: m}
}

// seed makes a service with one revision and waits until it serves.
func (c *cloud) seed(service, revision string) {
	c.mu.Lock()
	known := c.seeded[service]
	c.seeded[service] = true
	c.mu.Unlock()
	if known {
		return
	}
	err := c.server.SeedService(simgcp.SeedService{
		Project: project, Region: region, Service: service, Revision: revision, Image: images + ":1.0", Drain: time.Second,
	})
	if err != nil {
		panic(err) // a mistake in the test itself
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range 4000 {
		if s := c.service(service); !s.GetReconciling() && len(s.GetTrafficStatuses()) == 1 {
			return
		}
		<-ticker.C
	}
	panic("service " + service + " does not serve")
}

// object is a deploy stage's cluster object; tests overwrite its fields.
func object() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"startupProbePath": json.RawMessage(`"/healthz"`),
		"timeoutSeconds":   json.RawMessage(`1`),
	}
}

func (c *cloud) Spec(image string, size int, behindLoadBalancer bool) delivery.GroupSpec {
	raw, err := json.Marshal(object())
	if err != nil {
		panic(err) // raw messages always marshal
	}
	return delivery.GroupSpec{Image: image, Capacity: delivery.Pinned(size), Settings: raw}
}

func (c *cloud) Images() (good, sick string) { return images + ":1.1", images + ":sick" }

// Writes counts those whose answer got lost, too: Google's SDK repeats no write.
func (c *cloud) Writes() int {
	n := 0
	for _, e := range c.world.Log.Events() {
		if e.Kind == simcloud.APICall && e.Write && e.Effect {
			n++
		}
	}
	return n
}

// calls counts the requests since an event, by method.
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
	c.fault(simcloud.Fault{Match: simcloud.Match{Writes: true, Nth: nth}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter}, Times: 1})
}

func (c *cloud) fault(f simcloud.Fault) {
	if _, err := c.world.Faults.Add(f); err != nil {
		panic(err) // a mistake in the test itself
	}
}

func (c *cloud) Pieces() []string {
	out := []string{}
	ctx := context.Background()
	for _, s := range every(c.services.ListServices(ctx, &runpb.ListServicesRequest{Parent: location}).Next) {
		out = append(out, "service "+last(s.GetName()))
		for _, t := range s.GetTraffic() {
			out = append(out, fmt.Sprintf("traffic %s %d %s", t.GetRevision(), t.GetPercent(), t.GetTag()))
		}
	}
	for _, r := range every(c.revisions.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: location + "/services/-"}).Next) {
		out = append(out, "revision "+last(r.GetName()))
	}
	slices.Sort(out)
	return out
}

// Plant makes a revision of the name in its service. A name without a number is
// that of a service.
func (c *cloud) Plant(t *testing.T, name string) {
	t.Helper()
	m, _, ok := delivery.ParseServerGroup(name)
	if !ok {
		c.seed(name, name+"-00001-abc")
		return
	}
	service := c.service(m.Cluster())
	if service == nil {
		c.seed(m.Cluster(), name)
		return
	}
	c.update(&runpb.Service{
		Name: service.GetName(), Template: &runpb.RevisionTemplate{Revision: name, Containers: []*runpb.Container{{Image: images + ":1.0"}}},
	}, "template")
}

func (c *cloud) update(s *runpb.Service, fields ...string) {
	must(c.services.UpdateService(context.Background(), &runpb.UpdateServiceRequest{Service: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}}))
}

// service returns the service of that name, or nil.
func (c *cloud) service(name string) *runpb.Service {
	s, err := c.services.GetService(context.Background(), &runpb.GetServiceRequest{Name: location + "/services/" + name})
	if delivery.KindOf(gcp.Classify(err, "get service")) == delivery.NotFound {
		return nil
	}
	return must(s, err)
}

// traffic renders a service's stored entries, sorted.
func (c *cloud) traffic(service string) string {
	var parts []string
	for _, t := range c.service(service).GetTraffic() {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s=%d#%s", t.GetRevision(), t.GetPercent(), t.GetTag()), "#"))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func every[T any](next func() (T, error)) []T {
	var out []T
	for {
		item, err := next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		out = append(out, must(item, err))
	}
}

func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// must is for calls of the tests' own, which the simulator has no reason to refuse.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
