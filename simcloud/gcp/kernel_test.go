package gcp

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"cloud.google.com/go/auth"
	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// kernel is a cloud behind a real socket with handlers of its own: a URL map that counts its patches in its fingerprint,
// and a Cloud Run service that can be read and deleted.
type kernel struct {
	t     *testing.T
	world *simcloud.World
	cloud *Cloud
	url   string
	maps  *compute.RegionUrlMapsClient
	runs  *run.ServicesClient
}

const kernelMap = "projects/shop/regions/us-central1/urlMaps/x"

func newKernel(t *testing.T, options Options) *kernel {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{})
	t.Cleanup(world.Close)
	k := &kernel{t: t, world: world, cloud: New(world, options)}
	k.cloud.SeedProject(SeedProject{Account: "gcp-sim", Project: "shop", Token: "secret", Regions: map[string][]string{"us-central1": {"a", "b"}}})
	k.cloud.projects["shop"].data.resources[kernelMap] = &resource{path: kernelMap, message: &computepb.UrlMap{Name: proto.String("x")}}
	for name, h := range map[string]handler{
		"compute/RegionUrlMaps.Get":   handle(getMap),
		"compute/RegionUrlMaps.Patch": handle(patchMap),
		"run/Services.GetService": handle(func(_ *call, in *runpb.GetServiceRequest) (*runpb.Service, error) {
			return &runpb.Service{Name: in.Name, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL}, nil
		}),
	} {
		k.cloud.handlers[name] = h
	}
	server := httptest.NewServer(k.cloud)
	t.Cleanup(server.Close)
	k.url = server.URL
	k.maps, k.runs = k.clients("secret")
	return k
}

func getMap(c *call, in *computepb.GetRegionUrlMapRequest) (*computepb.UrlMap, error) {
	path := pathOf(in.Project, "regions", in.Region, "urlMaps", in.UrlMap)
	if found := lookup[*computepb.UrlMap](c.data, path); found != nil {
		return found, nil
	}
	return nil, notFound(path)
}

func patchMap(c *call, in *computepb.PatchRegionUrlMapRequest) (*computepb.Operation, error) {
	path := pathOf(in.Project, "regions", in.Region, "urlMaps", in.UrlMap)
	found := lookup[*computepb.UrlMap](c.data, path)
	found.Fingerprint = proto.String(found.GetFingerprint() + "+")
	return c.begin(operationSpec{kind: "patch", target: path, scope: pathOf(in.Project, "regions", in.Region)}), nil
}

// fixedToken is a source of one token.
type fixedToken string

func (f fixedToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(f), Type: "Bearer"}, nil
}

func (k *kernel) options(token string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(k.url), option.WithAuthCredentials(auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: fixedToken(token)})),
	}
}

// clients are the SDK's, without its own retries, so that tests see every error.
func (k *kernel) clients(token string) (*compute.RegionUrlMapsClient, *run.ServicesClient) {
	k.t.Helper()
	maps, err := compute.NewRegionUrlMapsRESTClient(k.t.Context(), k.options(token)...)
	if err != nil {
		k.t.Fatal(err)
	}
	runs, err := run.NewServicesRESTClient(k.t.Context(), k.options(token)...)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		if err := errors.Join(maps.Close(), runs.Close()); err != nil {
			k.t.Error(err)
		}
	})
	return maps, runs
}

// once ends a call's retries.
var once = gax.WithRetry(nil)

func (k *kernel) get(maps *compute.RegionUrlMapsClient, project string) (*computepb.UrlMap, error) {
	return maps.Get(k.t.Context(), &computepb.GetRegionUrlMapRequest{Project: project, Region: "us-central1", UrlMap: "x"}, once)
}

// patch returns the name of the operation.
func (k *kernel) patch(requestID string) (string, error) {
	in := &computepb.PatchRegionUrlMapRequest{Project: "shop", Region: "us-central1", UrlMap: "x", UrlMapResource: &computepb.UrlMap{Description: proto.String("d")}}
	if requestID != "" {
		in.RequestId = &requestID
	}
	op, err := k.maps.Patch(k.t.Context(), in, once)
	if err != nil {
		return "", err
	}
	return op.Name(), nil
}

func (k *kernel) getService(runs *run.ServicesClient) (*runpb.Service, error) {
	return runs.GetService(k.t.Context(), &runpb.GetServiceRequest{Name: "projects/shop/locations/us-central1/services/s"}, once)
}

// fingerprint is how many patches the map has seen, by a read of the project's user.
func (k *kernel) fingerprint() int {
	k.t.Helper()
	found, err := k.get(k.maps, "shop")
	if err != nil {
		k.t.Fatal(err)
	}
	return len(found.GetFingerprint())
}

// last is the event of the latest call.
func (k *kernel) last() simcloud.Event {
	k.t.Helper()
	var last simcloud.Event
	for _, e := range k.world.Log.Events() {
		if e.Kind == simcloud.APICall {
			last = e
		}
	}
	return last
}

// told is what a client learns from an error: the status, Compute's reason, and the reason of an ErrorInfo. The library does
// not read the ErrorInfo of an error that lists reasons.
type told struct {
	status       int
	reason, info string
}

func tell(err error) told {
	var out told
	var legacy *googleapi.Error
	if errors.As(err, &legacy) {
		out.status = legacy.Code
		if len(legacy.Errors) > 0 {
			out.reason = legacy.Errors[0].Reason
		}
	}
	var modern *apierror.APIError
	if errors.As(err, &modern) {
		out.info = modern.Reason()
	}
	return out
}
