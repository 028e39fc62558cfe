package gcp_test

import (
	"net/http"
	"net/url"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestRunCanaryUnderLoad rolls a revision out with the calls of a delivery tool, takes it back to one that has scaled to
// zero, and removes it. No request may fail, and the auditor has nothing to say.
func TestRunCanaryUnderLoad(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	front := r.seed(2)
	load := r.load(front)
	eventually(t, "traffic on the seed", func() bool { return load.count("1.0") > 50 })

	s := r.change(&runpb.Service{
		Template: template("shop-run-v001", "1.1"), Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 100, ""), pinned("shop-run-v001", 0, "v001")},
	}, "template", "traffic")
	if got, want := statuses(s), "shop-run-v000=100 shop-run-v001=0#v001"; got != want {
		t.Errorf("traffic is %q, wanted %q", got, want)
	}
	r.checkTag(front, s, "1.1")
	if n := load.count("1.1"); n != 0 {
		t.Errorf("%d requests at 0 percent", n)
	}
	r.route(pinned("shop-run-v000", 50, ""), pinned("shop-run-v001", 50, "v001"))
	eventually(t, "traffic on both versions", func() bool { return load.count("1.1") > 50 })
	r.get(shop)
	r.route(pinned("shop-run-v001", 100, "v001"))
	load.only(t, "1.1")
	r.get(shop)
	eventually(t, "the old revision to scale to zero", func() bool { return r.containers("shop-run-v000") == 0 })

	s = r.route(pinned("shop-run-v000", 100, ""))
	if got, want := statuses(s), "shop-run-v000=100"; got != want {
		t.Errorf("traffic is %q, wanted %q", got, want)
	}
	if n := r.containers("shop-run-v000"); n < 2 {
		t.Errorf("%d containers of the revision that traffic went back to, wanted its minimum 2", n)
	}
	load.only(t, "1.0")
	r.get(shop)
	r.removeRevision("shop-run-v001")
	load.end()
	config := simcloud.AuditConfig{RoutingReads: []string{"Services.GetService"}, Final: true}
	if violations := simcloud.Audit(r.world.Log.Events(), config); len(violations) > 0 {
		t.Errorf("the auditor complains: %v", violations)
	}
}

// checkTag asks the URL of a tag. Its host is below localhost, which not every resolver knows.
func (r *runRig) checkTag(front string, s *runpb.Service, version string) {
	r.t.Helper()
	for _, status := range s.TrafficStatuses {
		if status.Tag == "" {
			continue
		}
		tag, err := url.Parse(status.Uri)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, host := range []string{tag.Host, status.Tag + "---shop-run-abcdefghij-uc.a.run.app"} {
			eventually(r.t, "an answer at "+host, func() bool {
				got, err := askVersion(http.DefaultClient, front, host)
				return err == nil && got == version
			})
		}
	}
	if _, err := askVersion(http.DefaultClient, front, "other---shop-run.localhost"); err == nil || err.Error() != "status 404" {
		r.t.Errorf("an unknown tag: %v", err)
	}
}

// removeRevision gives the template back to the seed and deletes a revision that gets no traffic.
func (r *runRig) removeRevision(name string) {
	r.t.Helper()
	in := &runpb.DeleteRevisionRequest{Name: shop + "/revisions/" + name}
	if _, err := r.revisions.DeleteRevision(r.t.Context(), in); refusedAs(err) != "400 FAILED_PRECONDITION" {
		r.t.Errorf("delete the latest created revision: %v", err)
	}
	seed := template("shop-run-v000", "1.0")
	seed.Annotations = ownedBy("shop-run-v000", "seed")
	seed.Scaling = &runpb.RevisionScaling{MinInstanceCount: 2}
	s := r.change(&runpb.Service{Template: seed}, "template")
	if s.LatestCreatedRevision != shop+"/revisions/shop-run-v000" {
		r.t.Errorf("latest created revision is %s", s.LatestCreatedRevision)
	}
	op, err := r.revisions.DeleteRevision(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "the deletion", func() bool {
		gone, err := op.Poll(r.t.Context())
		return err == nil && gone.GetDeleteTime() != nil
	})
	eventually(r.t, "its containers to end", func() bool { return r.containers(name) == 0 })
}
