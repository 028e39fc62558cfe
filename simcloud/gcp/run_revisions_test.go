package gcp_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestRunFailedRevision deploys images that do not work. The traffic stays where it is, under load.
func TestRunFailedRevision(t *testing.T) {
	for _, row := range []struct {
		image, condition, text string
		// skip is how long nothing is to be seen.
		skip  time.Duration
		probe *runpb.Probe
	}{
		{"sick", "ContainerHealthy", "within the allocated timeout", 200 * time.Second, nil},
		{"sick", "ContainerHealthy", "failed the configured startup probe checks", 0, &runpb.Probe{
			PeriodSeconds: 5, FailureThreshold: 2, ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: "/healthz"}},
		}},
		{"crash", "ContainerHealthy", "PORT=8080", 0, nil},
		{"missing", "ContainerReady", "Image '" + runImages + ":missing' not found", 0, nil},
	} {
		t.Run(row.image+" "+row.condition, func(t *testing.T) {
			t.Parallel()
			r := newRunRig(t, gcp.Options{})
			load := r.load(r.seed(0))
			bad := template("shop-run-v001", row.image)
			bad.Containers[0].StartupProbe = row.probe
			op, err := r.update(&runpb.Service{
				Template: bad, Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 50, ""), pinned("shop-run-v001", 50, "v001")},
			}, "template", "traffic")
			if err != nil {
				t.Fatal(err)
			}
			r.world.Clock.Advance(row.skip)
			_, err = r.ended(op)
			if code, text := failedAs(err); code != 13 || !strings.Contains(text, row.text) || !strings.Contains(text, "Revision 'shop-run-v001' is not ready and cannot serve traffic.") {
				t.Errorf("the operation ends with %d %s", code, text)
			}
			r.checkFailed(row.condition)
			r.checkRepair()
			if load.count("1.0") == 0 {
				t.Error("no traffic")
			}
		})
	}
}

// checkFailed wants the last change of shop-run, a new revision, to have failed by one of the revision's conditions.
func (r *runRig) checkFailed(kind string) {
	r.t.Helper()
	s, m := r.get(shop), r.revision("shop-run-v001")
	const failed = runpb.Condition_CONDITION_FAILED
	switch {
	case m.Reconciling || conditionOf(m.Conditions, "Ready").State != failed || conditionOf(m.Conditions, kind).State != failed:
		r.t.Errorf("the revision's conditions are %v", m.Conditions)
	case s.Reconciling || s.TerminalCondition.State != failed || conditionOf(s.Conditions, "ConfigurationsReady").State != failed:
		r.t.Errorf("the service's conditions are %v, %v", s.TerminalCondition, s.Conditions)
	case conditionOf(s.Conditions, "RoutesReady").State != failed:
		r.t.Errorf("routes that name a failed revision: %v", s.Conditions)
	case s.ObservedGeneration != s.Generation-1 || statuses(s) != "shop-run-v000=100" || s.LatestReadyRevision != shop+"/revisions/shop-run-v000":
		r.t.Errorf("observed %d of %d, traffic %q, ready %s", s.ObservedGeneration, s.Generation, statuses(s), s.LatestReadyRevision)
	}
	eventually(r.t, "the failed revision to have no container", func() bool { return r.containers("shop-run-v001") == 0 })
}

// checkRepair takes a failed revision out of the traffic and deletes it.
func (r *runRig) checkRepair() {
	r.t.Helper()
	s := r.route(pinned("shop-run-v000", 100, ""))
	if s.ObservedGeneration != s.Generation || conditionOf(s.Conditions, "RoutesReady").State != runpb.Condition_CONDITION_SUCCEEDED ||
		s.TerminalCondition.State != runpb.Condition_CONDITION_FAILED {
		r.t.Errorf("after a change of traffic alone: %v, %v", s.TerminalCondition, s.Conditions)
	}
	seed := template("shop-run-v000", "1.0")
	seed.Annotations = ownedBy("shop-run-v000", "seed")
	if s = r.change(&runpb.Service{Template: seed}, "template"); s.TerminalCondition.State != runpb.Condition_CONDITION_SUCCEEDED {
		r.t.Errorf("with the old template: %v", s.TerminalCondition)
	}
	if _, err := r.revisions.DeleteRevision(r.t.Context(), &runpb.DeleteRevisionRequest{Name: shop + "/revisions/shop-run-v001"}); err != nil {
		r.t.Error(err)
	}
}

// TestRunFailedElsewhere deploys an image that does not exist, while the traffic names another revision.
func TestRunFailedElsewhere(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	op, err := r.update(&runpb.Service{Template: template("shop-run-v001", "missing")}, "template")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ended(op)
	if code, _ := failedAs(err); code != 13 {
		t.Errorf("the operation ends with %v", err)
	}
	s := r.get(shop)
	if s.TerminalCondition.State != runpb.Condition_CONDITION_FAILED || s.TerminalCondition.GetReason() != runpb.Condition_CONTAINER_MISSING ||
		conditionOf(s.Conditions, "RoutesReady").State != runpb.Condition_CONDITION_SUCCEEDED || s.ObservedGeneration == s.Generation {
		t.Errorf("%v, %v, observed %d of %d", s.TerminalCondition, s.Conditions, s.ObservedGeneration, s.Generation)
	}
}

// TestRunMissingRevision gives traffic to a revision that does not exist.
func TestRunMissingRevision(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	op, err := r.update(&runpb.Service{Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 0, "old"), pinned("shop-run-v404", 100, "")}}, "traffic")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ended(op)
	if code, text := failedAs(err); code != 13 || !strings.HasPrefix(text, "Revision 'shop-run-v404' does not exist or is deleted.") {
		t.Errorf("the operation ends with %d %s", code, text)
	}
	s := r.get(shop)
	if statuses(s) != "shop-run-v000=100" || s.TerminalCondition.State != runpb.Condition_CONDITION_FAILED || s.ObservedGeneration == s.Generation {
		t.Errorf("traffic %q, %v, observed %d of %d", statuses(s), s.TerminalCondition, s.ObservedGeneration, s.Generation)
	}
}

func TestRunSameRevisionName(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	r.change(&runpb.Service{Template: template("shop-run-v001", "1.1")}, "template")
	if _, err := r.update(&runpb.Service{Template: template("shop-run-v000", "1.1")}, "template"); refusedAs(err) != "409 ALREADY_EXISTS" {
		t.Errorf("a name with another template: %v", err)
	}
	first := r.revision("shop-run-v001")
	r.change(&runpb.Service{Template: template("shop-run-v001", "1.1")}, "template")
	if again := r.revision("shop-run-v001"); again.Uid != first.Uid {
		t.Errorf("an equal template made a new revision: %s, %s", first.Uid, again.Uid)
	}
}

func TestRunDelete(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	url := r.seed(0)
	remove := func(name string) error {
		_, err := r.revisions.DeleteRevision(t.Context(), &runpb.DeleteRevisionRequest{Name: shop + "/revisions/" + name})
		return err
	}
	if err := remove("shop-run-v000"); refusedAs(err) != "400 FAILED_PRECONDITION" {
		t.Errorf("delete the only revision: %v", err)
	}
	r.change(&runpb.Service{Template: template("shop-run-v001", "1.1")}, "template")
	if err := remove("shop-run-v001"); refusedAs(err) != "400 FAILED_PRECONDITION" {
		t.Errorf("delete the latest revision: %v", err)
	}
	r.route(pinned("shop-run-v000", 0, "old"), pinned("shop-run-v001", 100, ""))
	if err := remove("shop-run-v000"); refusedAs(err) != "400 FAILED_PRECONDITION" {
		t.Errorf("delete a tagged revision: %v", err)
	}
	r.route(pinned("shop-run-v001", 100, ""))
	if err := remove("shop-run-v000"); err != nil {
		t.Errorf("delete a revision that nothing names: %v", err)
	}
	if err := remove("shop-run-v000"); refusedAs(err) != "404 NOT_FOUND" {
		t.Errorf("delete it again: %v", err)
	}
	op, err := r.services.DeleteService(t.Context(), &runpb.DeleteServiceRequest{Name: shop})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion", func() bool {
		gone, err := op.Poll(t.Context())
		return err == nil && gone.GetDeleteTime() != nil
	})
	eventually(t, "every container to end", func() bool { return r.containers("shop-run-v000")+r.containers("shop-run-v001") == 0 })
	if _, err := r.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: shop}); refusedAs(err) != "404 NOT_FOUND" {
		t.Errorf("get a deleted service: %v", err)
	}
	if _, err := askVersion(nil, url, ""); err == nil {
		t.Error("a deleted service answers")
	}
	eventually(t, "no target group to be left", func() bool { return len(r.world.TargetGroups()) == 0 })
}

// TestRunScaling divides the service's containers by percent, and replaces those that die.
func TestRunScaling(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	s := template("shop-run-v001", "1.1")
	r.change(&runpb.Service{
		Template: s, Scaling: &runpb.ServiceScaling{MinInstanceCount: 4},
		Traffic: []*runpb.TrafficTarget{pinned("shop-run-v000", 75, ""), pinned("shop-run-v001", 25, "")},
	}, "template", "scaling", "traffic")
	eventually(t, "containers by percent", func() bool { return r.containers("shop-run-v000") == 3 && r.containers("shop-run-v001") == 1 })
	var dead string
	for _, i := range r.world.Fleet.Instances() {
		if i.Launched().Group == "shop-run-v000" && i.State() == simcloud.StateRunning {
			i.Kill("killed")
			dead = i.ID()
			break
		}
	}
	eventually(t, "the dead container to be noticed", func() bool {
		_, known := r.world.Fleet.Instance(dead)
		return !known
	})
	eventually(t, "the dead container to be replaced", func() bool { return r.containers("shop-run-v000") == 3 })
	manual := int32(2)
	r.change(&runpb.Service{
		Scaling: &runpb.ServiceScaling{ScalingMode: runpb.ServiceScaling_MANUAL, ManualInstanceCount: &manual},
		Traffic: []*runpb.TrafficTarget{pinned("shop-run-v001", 100, "")},
	}, "scaling", "traffic")
	eventually(t, "the manual size", func() bool { return r.containers("shop-run-v000") == 0 && r.containers("shop-run-v001") == 2 })
	if c := conditionOf(r.revision("shop-run-v000").Conditions, "Active"); c.GetRevisionReason() != runpb.Condition_RETIRED {
		t.Errorf("a revision without traffic: %v", c)
	}
}

// TestRunAudit wants the auditor to see what a careless client does.
func TestRunAudit(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	r.change(&runpb.Service{Template: template("shop-run-v002", "1.1")}, "template") // not tagged, and no traffic yet
	r.route(pinned("shop-run-v002", 100, ""))
	nobody := &runpb.RevisionTemplate{Revision: "shop-run-v001", Containers: []*runpb.Container{{Image: runImages + ":1.0"}}}
	r.change(&runpb.Service{Template: nobody}, "template")
	if _, err := r.revisions.DeleteRevision(t.Context(), &runpb.DeleteRevisionRequest{Name: shop + "/revisions/shop-run-v000"}); err != nil {
		t.Fatal(err)
	}
	// The traffic was never read back: waiting for the operation reads another thing.
	got := map[string]string{}
	for _, v := range simcloud.Audit(r.world.Log.Events(), simcloud.AuditConfig{RoutingReads: []string{"Services.ListServices"}}) {
		got[v.Invariant] += v.Resource[strings.LastIndex(v.Resource, "/")+1:] + " "
	}
	for invariant, resource := range map[string]string{"I4": "shop-run-v000", "I14": "shop-run-v001"} {
		if !strings.Contains(got[invariant], resource) {
			t.Errorf("%s is not told of %s: %v", invariant, resource, got)
		}
	}
	if len(got) != 2 {
		t.Errorf("violations are %v", got)
	}
}
