package gcp_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

const (
	shopProject = "shop"
	shopRegion  = "us-central1"
	oldGroup    = "shop-prod-v000"
	newGroup    = "shop-prod-v001"
)

// computeRig is a cloud behind a real socket, with Compute Engine's real clients.
type computeRig struct {
	t     *testing.T
	world *simcloud.World
	cloud *gcp.Cloud
	url   string

	images         *compute.ImagesClient
	templates      *compute.RegionInstanceTemplatesClient
	managers       *compute.RegionInstanceGroupManagersClient
	autoscalers    *compute.RegionAutoscalersClient
	checks         *compute.RegionHealthChecksClient
	services       *compute.RegionBackendServicesClient
	maps           *compute.RegionUrlMapsClient
	operations     *compute.RegionOperationsClient
	zoneOperations *compute.ZoneOperationsClient
	instances      *compute.InstancesClient
}

// newComputeRig starts a world. With scale 0 time passes by advance only.
func newComputeRig(t *testing.T, scale float64, options gcp.Options) *computeRig {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: scale, Seed: 1, PropagationMin: time.Second, PropagationMax: 3 * time.Second})
	t.Cleanup(world.Close)
	r := &computeRig{t: t, world: world, cloud: gcp.New(world, options)}
	server := httptest.NewServer(r.cloud)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.cloud.SeedProject(gcp.SeedProject{
		Account: "gcp-sim", Project: shopProject, Token: "secret", Regions: map[string][]string{shopRegion: {"a", "b", "c", "f"}, "europe-west1": {"b"}},
	})
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", Version: "1.0"}, {Name: "shop-1.1", Version: "1.1"}, {Name: "sick-1.0", NeverHealthy: true},
	} {
		image.BootDelay = 5 * time.Second
		if _, err := r.cloud.SeedImage(shopProject, image); err != nil {
			t.Fatal(err)
		}
	}
	r.connect()
	return r
}

// options are those of every client.
func (r *computeRig) options() []option.ClientOption {
	return []option.ClientOption{option.WithEndpoint(r.url), option.WithAuthCredentials(auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: runToken{}}))}
}

func (r *computeRig) connect() {
	ctx, o := r.t.Context(), r.options()
	r.images = need(compute.NewImagesRESTClient(ctx, o...))(r.t)
	r.templates = need(compute.NewRegionInstanceTemplatesRESTClient(ctx, o...))(r.t)
	r.managers = need(compute.NewRegionInstanceGroupManagersRESTClient(ctx, o...))(r.t)
	r.autoscalers = need(compute.NewRegionAutoscalersRESTClient(ctx, o...))(r.t)
	r.checks = need(compute.NewRegionHealthChecksRESTClient(ctx, o...))(r.t)
	r.services = need(compute.NewRegionBackendServicesRESTClient(ctx, o...))(r.t)
	r.maps = need(compute.NewRegionUrlMapsRESTClient(ctx, o...))(r.t)
	r.operations = need(compute.NewRegionOperationsRESTClient(ctx, o...))(r.t)
	r.zoneOperations = need(compute.NewZoneOperationsRESTClient(ctx, o...))(r.t)
	r.instances = need(compute.NewInstancesRESTClient(ctx, o...))(r.t)
}

// need fails the test on an error: need(f())(t).
func need[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// advance moves the clock in steps that let the groups look at their instances.
func (r *computeRig) advance(d time.Duration) {
	for ; d > 0; d -= time.Second {
		r.world.Clock.Advance(time.Second)
	}
}

// soon waits for a condition while time passes.
func (r *computeRig) soon(what string, condition func() bool) {
	r.t.Helper()
	eventually(r.t, what, func() bool {
		if r.world.Clock.Scale() == 0 {
			r.world.Clock.Advance(time.Second)
		}
		return condition()
	})
}

// done waits for an operation's end, good or bad, and returns it.
func (r *computeRig) done(op *compute.Operation, err error) *computepb.Operation {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	r.soon("operation "+op.Name(), func() bool {
		err := op.Poll(r.t.Context())
		if err != nil && !op.Done() {
			r.t.Fatal(err)
		}
		return op.Done()
	})
	return op.Proto()
}

// why is the status and reason of an error: "412 conditionNotMet".
func why(err error) string {
	var e *googleapi.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	if len(e.Errors) == 0 {
		return fmt.Sprint(e.Code)
	}
	return fmt.Sprintf("%d %s", e.Code, e.Errors[0].Reason)
}

// allOf reads an iterator to its end.
func allOf[T any](t *testing.T, next func() (T, error)) []T {
	t.Helper()
	var out []T
	for {
		one, err := next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
}
