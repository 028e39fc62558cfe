package gcp_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestSettled: a seeded service is on its way until every proxy sends its traffic.
func TestSettled(t *testing.T) {
	t.Parallel()
	r := newRunRig(t, gcp.Options{})
	if !r.cloud.Settled() {
		t.Error("an empty cloud is not settled")
	}
	err := r.cloud.SeedService(gcp.SeedService{Project: "shop", Region: "us-central1", Service: "shop-run", Revision: "shop-run-v000", Image: runImages + ":1.0"})
	if err != nil {
		t.Fatal(err)
	}
	if r.cloud.Settled() {
		t.Error("settled while the first revision starts")
	}
	eventually(t, "the service to serve", r.cloud.Settled)
	for _, listener := range r.world.LoadBalancers()[0].Listeners() {
		for worker, rules := range listener.Effective {
			if !maps.Equal(rules[shop+"#traffic"], listener.Stored[shop+"#traffic"]) || len(rules[shop+"#traffic"]) == 0 {
				t.Errorf("settled, and worker %d sends traffic by %v", worker, rules)
			}
		}
	}
}

// create makes a service and returns what became of it.
func (r *runRig) create(id string, s *runpb.Service) *runpb.Service {
	r.t.Helper()
	op, err := r.services.CreateService(r.t.Context(), &runpb.CreateServiceRequest{Parent: runLocation, ServiceId: id, Service: s})
	if err != nil {
		r.t.Fatal(err)
	}
	var out *runpb.Service
	eventually(r.t, "the creation of "+id, func() bool {
		out, err = op.Poll(r.t.Context())
		return op.Done() || err != nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func TestRunCreate(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	s := r.create("web", &runpb.Service{
		Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: runImages + ":1.0"}}},
		// What the API puts out is ignored when it comes in.
		Generation: 7, LatestReadyRevision: "nonsense", Uri: "https://nonsense", Etag: "nonsense",
	})
	name := regexp.MustCompile(`^projects/shop/locations/us-central1/services/web/revisions/(web-00001-[a-z0-9]{3})$`).FindStringSubmatch(s.LatestCreatedRevision)
	if name == nil {
		t.Fatalf("latest created revision is %q", s.LatestCreatedRevision)
	}
	switch {
	case s.Name != runLocation+"/services/web" || s.Generation != 1 || s.ObservedGeneration != 1 || s.Reconciling:
		t.Errorf("the service is %v", s)
	case s.LatestReadyRevision != s.LatestCreatedRevision || statuses(s) != name[1]+"=100":
		t.Errorf("ready %q, traffic %q", s.LatestReadyRevision, statuses(s))
	case len(s.Traffic) != 1 || s.Traffic[0].Type != latest || s.Traffic[0].Percent != 100:
		t.Errorf("traffic defaults to %v", s.Traffic)
	case s.TerminalCondition.State != runpb.Condition_CONDITION_SUCCEEDED:
		t.Errorf("terminal condition %v", s.TerminalCondition)
	case s.Template.Revision != "" || s.Template.Scaling.MaxInstanceCount != 100:
		t.Errorf("template %v", s.Template)
	}
	if got, err := askVersion(nil, s.Uri, ""); got != "1.0" {
		t.Errorf("the URI answers %q, %v", got, err)
	}
	again := &runpb.CreateServiceRequest{Parent: runLocation, ServiceId: "web", Service: &runpb.Service{Template: s.Template}}
	if _, err := r.services.CreateService(t.Context(), again); refusedAs(err) != "409 ALREADY_EXISTS" {
		t.Errorf("create it again: %v", err)
	}
	// Traffic to the latest revision moves with the template.
	next := r.change(&runpb.Service{Name: s.Name, Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: runImages + ":1.1"}}}}, "template")
	if !strings.HasPrefix(statuses(next), "web-00002-") || !strings.HasSuffix(statuses(next), "=100") {
		t.Errorf("traffic after a new template: %q", statuses(next))
	}
}

func TestRunRefusals(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	full := func(change func(*runpb.Service)) *runpb.Service {
		s := &runpb.Service{Template: template("", "1.1"), Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 100, "")}}
		change(s)
		return s
	}
	for _, row := range []struct {
		name  string
		s     *runpb.Service
		paths []string
	}{
		{"no template", &runpb.Service{}, nil},
		{"no container", full(func(s *runpb.Service) { s.Template.Containers = nil }), nil},
		{"a foreign revision name", full(func(s *runpb.Service) { s.Template.Revision = "other-v001" }), nil},
		{"a revision name with capitals", full(func(s *runpb.Service) { s.Template.Revision = "shop-run-V1" }), nil},
		{"90 percent", full(func(s *runpb.Service) { s.Traffic[0].Percent = 90 }), nil},
		{"negative percent", full(func(s *runpb.Service) {
			s.Traffic = []*runpb.TrafficTarget{pinned("shop-run-v000", 101, ""), pinned("shop-run-v000", -1, "")}
		}), nil},
		{"a tag twice", full(func(s *runpb.Service) {
			s.Traffic = []*runpb.TrafficTarget{pinned("shop-run-v000", 100, "a"), pinned("shop-run-v000", 0, "a")}
		}), nil},
		{"a long tag", full(func(s *runpb.Service) { s.Traffic[0].Tag = strings.Repeat("a", 39) }), nil},
		{"no revision", full(func(s *runpb.Service) { s.Traffic[0].Revision = "" }), nil},
		{"no type", full(func(s *runpb.Service) { s.Traffic[0].Type = 0 }), nil},
		{"a reserved annotation", full(func(s *runpb.Service) { s.Template.Annotations["autoscaling.knative.dev/minScale"] = "1" }), nil},
		{"more at least than at most", full(func(s *runpb.Service) {
			s.Template.Scaling = &runpb.RevisionScaling{MinInstanceCount: 3, MaxInstanceCount: 2}
		}), nil},
		{"a long startup", full(func(s *runpb.Service) {
			s.Template.Containers[0].StartupProbe = &runpb.Probe{PeriodSeconds: 100, FailureThreshold: 3}
		}), nil},
		{"an unknown path", full(func(*runpb.Service) {}), []string{"template.size"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := r.update(row.s, row.paths...); refusedAs(err) != "400 INVALID_ARGUMENT" {
				t.Errorf("the answer is %v", err)
			}
		})
	}
	for _, id := range []string{"", "Web", "web-", "1web", strings.Repeat("a", 50)} {
		in := &runpb.CreateServiceRequest{Parent: runLocation, ServiceId: id, Service: full(func(s *runpb.Service) { s.Traffic = nil })}
		if _, err := r.services.CreateService(t.Context(), in); refusedAs(err) != "400 INVALID_ARGUMENT" {
			t.Errorf("create %q: %v", id, err)
		}
	}
	if s := r.get(shop); s.Generation != 1 || s.Reconciling {
		t.Errorf("refusals changed the service: %v", s)
	}
}

func TestRunMask(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	before := r.get(shop)
	s := r.change(&runpb.Service{
		Template: template("shop-run-v001", "1.1"), Labels: map[string]string{"team": "shop"},
		Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 100, "old")},
	}, "traffic")
	if s.Template.Revision != "shop-run-v000" || len(s.Labels) != 0 || statuses(s) != "shop-run-v000=100#old" {
		t.Errorf("updateMask=traffic: template %v, labels %v, traffic %q", s.Template, s.Labels, statuses(s))
	}
	if s.Etag == before.Etag || s.Generation != before.Generation+1 || s.ObservedGeneration != s.Generation {
		t.Errorf("etag %s -> %s, generation %d -> %d", before.Etag, s.Etag, before.Generation, s.Generation)
	}
	same := r.change(&runpb.Service{Traffic: s.Traffic}, "traffic")
	if same.Etag != s.Etag || same.Generation != s.Generation {
		t.Errorf("an update that changes nothing: etag %s -> %s, generation %d -> %d", s.Etag, same.Etag, s.Generation, same.Generation)
	}
	// A part of the template changes under the name of the revision that is there.
	part := &runpb.Service{Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: runImages + ":1.1"}}}}
	if _, err := r.update(part, "template.containers"); refusedAs(err) != "409 ALREADY_EXISTS" ||
		!strings.Contains(err.Error(), "Revision named 'shop-run-v000' with different configuration already exists") {
		t.Errorf("updateMask=template.containers: %v", err)
	}
	s = r.change(part, "template.containers", "template.revision")
	if !strings.Contains(s.LatestCreatedRevision, "/shop-run-00002-") || s.Template.Annotations["slipway.dev/cluster"] != "shop-run" {
		t.Errorf("a new image makes %s of %v", s.LatestCreatedRevision, s.Template)
	}
	if statuses(s) != "shop-run-v000=100#old" {
		t.Errorf("pinned traffic moved: %q", statuses(s))
	}
	r.checkDry(s)
}

// checkDry wants a validation to change nothing.
func (r *runRig) checkDry(s *runpb.Service) {
	r.t.Helper()
	in := &runpb.UpdateServiceRequest{Service: &runpb.Service{Name: shop, Template: template("shop-run-v009", "1.1")}, ValidateOnly: true}
	op, err := r.services.UpdateService(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	if would, err := op.Poll(r.t.Context()); err != nil || would.Template.Revision != "shop-run-v009" {
		r.t.Errorf("a validation gives %v, %v", would, err)
	}
	if now := r.get(shop); now.Etag != s.Etag {
		r.t.Errorf("a validation changed the service: %v", now)
	}
	in = &runpb.UpdateServiceRequest{Service: &runpb.Service{Name: runLocation + "/services/new", Template: template("new-v000", "1.0")}}
	if _, err := r.services.UpdateService(r.t.Context(), in); refusedAs(err) != "404 NOT_FOUND" {
		r.t.Errorf("update a missing service: %v", err)
	}
	in.AllowMissing = true
	if _, err := r.services.UpdateService(r.t.Context(), in); err != nil {
		r.t.Errorf("update a missing service and allow it: %v", err)
	}
	r.settled(runLocation + "/services/new")
}

func TestRunEtag(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	first := r.get(shop)
	r.change(&runpb.Service{Etag: first.Etag, Labels: map[string]string{"a": "b"}}, "labels")
	if _, err := r.update(&runpb.Service{Etag: first.Etag, Labels: map[string]string{"c": "d"}}, "labels"); refusedAs(err) != "409 ABORTED" {
		t.Errorf("update by an old etag: %v", err)
	}
	in := &runpb.DeleteServiceRequest{Name: shop, Etag: first.Etag}
	if _, err := r.services.DeleteService(t.Context(), in); refusedAs(err) != "409 ABORTED" {
		t.Errorf("delete by an old etag: %v", err)
	}
	if got := r.get(shop).Labels; got["a"] != "b" || len(got) != 1 {
		t.Errorf("labels are %v", got)
	}
}

// TestRunLostAnswer changes a service by a request whose answer is lost: asking again for the same is refused, and the
// service tells that it was done.
func TestRunLostAnswer(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	before := r.get(shop)
	_, err := r.world.Faults.Add(simcloud.Fault{
		Match: simcloud.Match{Service: "run", Action: "Services.UpdateService"}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter, Status: 503}, Times: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	dark := func() *runpb.Service {
		return &runpb.Service{
			Etag: before.Etag, Template: template("shop-run-v001", "1.1"),
			Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 100, ""), pinned("shop-run-v001", 0, "v001")},
		}
	}
	if _, err := r.update(dark(), "template", "traffic"); refusedAs(err) != "503 UNAVAILABLE" {
		t.Fatalf("the answer is %v", err)
	}
	if _, err := r.update(dark(), "template", "traffic"); refusedAs(err) != "409 ABORTED" {
		t.Errorf("ask again by the old etag: %v", err)
	}
	s := r.settled(shop)
	if s.LatestReadyRevision != shop+"/revisions/shop-run-v001" || s.Generation != before.Generation+1 {
		t.Errorf("ready is %s, generation %d", s.LatestReadyRevision, s.Generation)
	}
	if got := r.revision("shop-run-v001").Annotations["slipway.dev/deployment"]; got != "deploy-shop-run-v001" {
		t.Errorf("the revision's deployment is %q", got)
	}
}
