package gcp_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

const (
	runLocation = "projects/shop/locations/us-central1"
	runImages   = "us-docker.pkg.dev/shop/images/shop"
	latest      = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	byRevision  = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
)

// runRig is a cloud behind a real socket, with Cloud Run's real clients.
type runRig struct {
	t         *testing.T
	world     *simcloud.World
	cloud     *gcp.Cloud
	services  *run.ServicesClient
	revisions *run.RevisionsClient
}

// newRunRig starts a world that runs 60 times as fast as real time.
func newRunRig(t *testing.T, options gcp.Options) *runRig {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: 60, PropagationMin: time.Second, PropagationMax: 3 * time.Second})
	t.Cleanup(world.Close)
	r := &runRig{t: t, world: world, cloud: gcp.New(world, options)}
	server := httptest.NewServer(r.cloud)
	t.Cleanup(server.Close)
	r.cloud.SeedProject(gcp.SeedProject{
		Account: "gcp-sim", Project: "shop", Token: "secret", Regions: map[string][]string{"us-central1": {"a", "b"}},
	})
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", Version: "1.0"}, {Name: "shop-1.1", Version: "1.1"}, {Name: "shop-sick", NeverHealthy: true},
		{Name: "shop-crash", HealthAfter: time.Hour, CrashAfter: 5 * time.Second},
	} {
		image.Account, image.BootDelay = "gcp-sim", 5*time.Second
		if _, err := world.Images.Publish(image); err != nil {
			t.Fatal(err)
		}
	}
	clientOptions := []option.ClientOption{
		option.WithEndpoint(server.URL),
		option.WithAuthCredentials(auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: runToken{}})),
	}
	var err error
	if r.services, err = run.NewServicesRESTClient(t.Context(), clientOptions...); err != nil {
		t.Fatal(err)
	}
	if r.revisions, err = run.NewRevisionsRESTClient(t.Context(), clientOptions...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(r.services.Close(), r.revisions.Close()) })
	return r
}

// runToken is a source of the project's token.
type runToken struct{}

func (runToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: "secret", Type: "Bearer"}, nil
}

// eventually waits for a condition that the simulated clock and real sockets bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		timer := time.NewTimer(5 * time.Millisecond)
		<-timer.C
	}
}

// ownedBy are the annotations by which a revision tells who owns it.
func ownedBy(revision, deployment string) map[string]string {
	return map[string]string{
		"slipway.dev/application": "shop", "slipway.dev/cluster": "shop-run", "slipway.dev/server-group": revision,
		"slipway.dev/deployment": deployment, "slipway.dev/capacity": "1,3,1",
	}
}

// template is one of a revision of the service shop-run.
func template(revision, version string) *runpb.RevisionTemplate {
	return &runpb.RevisionTemplate{
		Revision: revision, Annotations: ownedBy(revision, "deploy-"+revision),
		Containers: []*runpb.Container{{Image: runImages + ":" + version}},
	}
}

// pinned is a part of the traffic.
func pinned(revision string, percent int32, tag string) *runpb.TrafficTarget {
	return &runpb.TrafficTarget{Type: byRevision, Revision: revision, Percent: percent, Tag: tag}
}

const shop = runLocation + "/services/shop-run"

// seed makes the service shop-run, whose revision shop-run-v000 serves, and returns its loopback URL.
func (r *runRig) seed(min int) string {
	r.t.Helper()
	err := r.cloud.SeedService(gcp.SeedService{
		Project: "shop", Region: "us-central1", Service: "shop-run", Revision: "shop-run-v000", Image: runImages + ":1.0",
		Annotations: ownedBy("shop-run-v000", "seed"), Min: min,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.settled(shop)
	return r.cloud.RunServices()[0].URL
}

func (r *runRig) get(name string) *runpb.Service {
	r.t.Helper()
	s, err := r.services.GetService(r.t.Context(), &runpb.GetServiceRequest{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// settled waits until a service does not change any more.
func (r *runRig) settled(name string) *runpb.Service {
	r.t.Helper()
	var s *runpb.Service
	eventually(r.t, name+" to settle", func() bool {
		s = r.get(name)
		return !s.Reconciling
	})
	return s
}

func (r *runRig) revision(name string) *runpb.Revision {
	r.t.Helper()
	out, err := r.revisions.GetRevision(r.t.Context(), &runpb.GetRevisionRequest{Name: shop + "/revisions/" + name})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// update begins to change fields of a service, shop-run when it has no name.
func (r *runRig) update(s *runpb.Service, paths ...string) (*run.UpdateServiceOperation, error) {
	s.Name = cmp.Or(s.Name, shop)
	in := &runpb.UpdateServiceRequest{Service: s}
	if len(paths) > 0 {
		in.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
	}
	return r.services.UpdateService(r.t.Context(), in)
}

// change changes fields of a service as update does, and returns what became of it.
func (r *runRig) change(s *runpb.Service, paths ...string) *runpb.Service {
	r.t.Helper()
	op, err := r.update(s, paths...)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := r.ended(op)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// ended waits for the end of an operation. The client's own Wait sleeps for seconds.
func (r *runRig) ended(op *run.UpdateServiceOperation) (*runpb.Service, error) {
	r.t.Helper()
	var out *runpb.Service
	var err error
	eventually(r.t, "operation "+op.Name(), func() bool {
		out, err = op.Poll(r.t.Context())
		return op.Done() || err != nil
	})
	return out, err
}

// route gives the traffic of shop-run to revisions.
func (r *runRig) route(traffic ...*runpb.TrafficTarget) *runpb.Service {
	r.t.Helper()
	return r.change(&runpb.Service{Traffic: traffic}, "traffic")
}

// refusedAs is the HTTP status and canonical code of an error.
func refusedAs(err error) string {
	var e *googleapi.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	var body struct {
		Error struct{ Status string }
	}
	_ = json.Unmarshal([]byte(e.Body), &body)
	return fmt.Sprintf("%d %s", e.Code, body.Error.Status)
}

// failedAs is the canonical code and text of an operation's error.
func failedAs(err error) (uint32, string) {
	s := status.Convert(errors.Unwrap(err))
	return uint32(s.Code()), s.Message()
}

func conditionOf(list []*runpb.Condition, kind string) *runpb.Condition {
	for _, c := range list {
		if c.Type == kind {
			return c
		}
	}
	return &runpb.Condition{}
}

// statuses renders where the traffic of a service goes.
func statuses(s *runpb.Service) string {
	var parts []string
	for _, t := range s.TrafficStatuses {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s=%d#%s", t.Revision, t.Percent, t.Tag), "#"))
	}
	return strings.Join(parts, " ")
}

// containers counts the containers of a revision that have not ended.
func (r *runRig) containers(revision string) int {
	n := 0
	for _, i := range r.world.Fleet.Instances() {
		if i.Launched().Group == revision && i.State() != simcloud.StateTerminated {
			n++
		}
	}
	return n
}
