package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
	"github.com/slipway-cd/slipway/internal/golden"
)

// lineage carries out one deployment after the other on one cluster, and keeps
// their records, the newest first.
type lineage struct {
	*drive
	records []delivery.Deployment
}

func newLineage(config fakecloud.Config, existing ...fakecloud.Existing) *lineage {
	return &lineage{drive: newDrive(rollout.Input{}, config, existing...)}
}

// next makes the drive ready for another deployment.
func (l *lineage) next(in rollout.Input) {
	in.Cluster, in.Capabilities = cluster, l.cloud.Describe().Capabilities
	in.Deployment = delivery.DeploymentID(fmt.Sprintf("X%d/1/acct/r1/shop-prod", len(l.records)+1))
	l.state, l.at, l.calls, l.crashAt = rollout.Start(in), nil, 0, 0
	l.cloud.Open()
}

// end carries the deployment out and records it.
func (l *lineage) end(t fataler) rollout.Outcome {
	t.Helper()
	got := l.run(t)
	detail, err := l.state.Detail()
	if err != nil {
		t.Fatalf("%v", err)
	}
	in := l.state.Input
	l.records = append([]delivery.Deployment{{ID: in.Deployment, Cluster: cluster, Status: got.Status, ServerGroup: in.Group, Failure: got.Failure, Detail: detail}}, l.records...)
	return got
}

// deploy deploys an image as the group of that number.
func (l *lineage) deploy(t fataler, image, group, how string, size int) {
	t.Helper()
	spec := delivery.GroupSpec{Image: image, Capacity: delivery.Capacity{Min: 1, Max: 2 * size, Desired: size}}
	if l.cloud.Truth().Routing != nil {
		spec.LoadBalancer = "lb"
	}
	l.next(rollout.Input{Spec: spec, Strategy: strategy(t, how), Group: "shop-prod-" + group})
	if got := l.end(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("deploy %s: %+v %v", image, got, got.Failure)
	}
}

// choose makes the drive ready for a rollback on demand. A new group gets the
// image "again" and the given name.
func (l *lineage) choose(t fataler, group string, r rollout.RollbackRequest) error {
	t.Helper()
	chosen, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, r)
	if err != nil {
		return err
	}
	st := strategy(t, `{"healthTimeoutSec":300,"deadlineSec":3600}`)
	st.Kind = rollout.Kind(rollout.RollbackClusterOperation)
	in := rollout.Input{Strategy: st}
	if chosen.Redeploys != "" {
		in.Spec = delivery.GroupSpec{Image: "again", LoadBalancer: "lb", Capacity: *chosen.Capacity}
		chosen = chosen.Anew("shop-prod-" + group)
	}
	in.Group, in.Operation = chosen.Group(), &rollout.Operation{Kind: rollout.RollbackClusterOperation, Rollback: &chosen}
	l.next(in)
	return nil
}

func (l *lineage) rollBack(t fataler, group string, r rollout.RollbackRequest) rollout.Outcome {
	t.Helper()
	if err := l.choose(t, group, r); err != nil {
		t.Fatalf("choose: %v", err)
	}
	return l.end(t)
}

// served is what takes traffic, with the image in the end.
func served(s delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for _, g := range s.Groups {
		if s.Serving(g.Name) {
			out[strings.TrimPrefix(g.Name, "shop-prod-")] = fmt.Sprintf("%d %% %d of %s", s.Routing.Percent(g.Name), g.Healthy(), g.Image)
		}
	}
	return out
}

// TestRollbackOnDemand goes back after each strategy, on each kind of cluster: by
// the old group while it is there, else by a new group of its version.
func TestRollbackOnDemand(t *testing.T) {
	for _, test := range []struct {
		strategy string
		request  rollout.RollbackRequest
		config   func(*fakecloud.Config)
		want     map[string]string
		groups   int
		changes  string
	}{
		{`{"strategy":"rolling"}`, rollout.RollbackRequest{}, nil, map[string]string{"v001": "100 % 4 of good"}, 2, "resize route"},
		{`{"strategy":"bluegreen"}`, rollout.RollbackRequest{ScaleDown: true}, nil, map[string]string{"v001": "100 % 4 of good"}, 2, "route resize"},
		{`{"strategy":"canary","steps":[{"weight":10}],"keepOldFor":10}`, rollout.RollbackRequest{Destroy: true}, nil, map[string]string{"v001": "100 % 4 of good"}, 1, "resize route destroy"},
		{`{"strategy":"none"}`, rollout.RollbackRequest{Destroy: true, ScaleDown: true}, nil, map[string]string{"v001": "100 % 4 of good"}, 1, "route resize destroy"},
		{`{"strategy":"highlander"}`, rollout.RollbackRequest{Destroy: true}, nil, map[string]string{"v003": "100 % 4 of again"}, 1, "create resize route destroy"},
		{`{"strategy":"bluegreen"}`, rollout.RollbackRequest{Redeploy: true}, nil, map[string]string{"v003": "100 % 4 of again"}, 3, "create resize route"},
		{`{"strategy":"rolling"}`, rollout.RollbackRequest{}, func(c *fakecloud.Config) { c.Router = false }, map[string]string{"v001": "0 % 4 of good"}, 2, "resize resize"},
		{`{"strategy":"bluegreen"}`, rollout.RollbackRequest{}, func(c *fakecloud.Config) { c.Unsized = true }, map[string]string{"v001": "100 % 1 of good"}, 2, "route"},
		{`{"strategy":"highlander"}`, rollout.RollbackRequest{Destroy: true}, func(c *fakecloud.Config) { c.Unsized = true }, map[string]string{"v003": "100 % 1 of again"}, 1, "create route destroy"},
	} {
		t.Run(fmt.Sprintf("%s %+v", test.strategy, test.request), func(t *testing.T) {
			config := calm()
			if test.config != nil {
				test.config(&config)
			}
			l := newLineage(config)
			l.deploy(t, "good", "v001", `{"strategy":"bluegreen"}`, 4)
			before := settled(l.cloud.Truth())
			l.deploy(t, "bad", "v002", test.strategy, 4)
			l.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 12})
			wrote := len(l.cloud.Writes())
			if err := l.choose(t, "v003", test.request); err != nil {
				t.Fatal(err)
			}
			plan, after := rollout.PlanOf(l.state.Input, l.cloud.Truth(), rollout.Estimates{})
			if got := l.end(t); got.Status != delivery.DeploymentSucceeded || plan.Failure != nil {
				t.Fatalf("outcome %+v %v, planned %v%s", got, got.Failure, plan.Failure, describe(l.cloud.Writes()[wrote:]))
			}
			truth := l.cloud.Truth()
			if diff := cmp.Diff(madeBy(l.cloud.Writes()[wrote:]), changesOf(plan)); diff != "" {
				t.Errorf("changes (-made +planned):\n%s", diff)
			}
			if diff := cmp.Diff(settled(truth), settled(after)); diff != "" {
				t.Errorf("cluster (-is +planned):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, served(truth)); diff != "" || len(truth.Groups) != test.groups {
				t.Errorf("%d groups, served %s", len(truth.Groups), diff)
			}
			if is := settled(truth)["shop-prod-v001"]; truth.Group("shop-prod-v003") == nil && is != before["shop-prod-v001"] {
				t.Errorf("v001 is %s, was %s", is, before["shop-prod-v001"])
			}
			if got := actions(l.cloud.Writes()[wrote:]); got != test.changes {
				t.Errorf("changes %q, want %q", got, test.changes)
			}
			_, err := rollout.ChooseRollback(truth, l.records, rollout.RollbackRequest{})
			if delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "a rollback is not rolled back") {
				t.Errorf("a second rollback: %v", err)
			}
		})
	}
}

// TestRollbackPlansToRead compares plans with what a person can read.
func TestRollbackPlansToRead(t *testing.T) {
	var out strings.Builder
	for _, how := range []string{`{"strategy":"rolling"}`, `{"strategy":"bluegreen"}`, `{"strategy":"highlander"}`} {
		for _, unsized := range []bool{false, true} {
			config := calm()
			config.Unsized = unsized
			l := newLineage(config)
			l.deploy(t, "good", "v001", `{"strategy":"bluegreen"}`, 4)
			l.deploy(t, "bad", "v002", how, 4)
			if err := l.choose(t, "v003", rollout.RollbackRequest{ScaleDown: !unsized, Destroy: unsized}); err != nil {
				t.Fatal(err)
			}
			plan, _ := rollout.PlanOf(l.state.Input, l.cloud.Truth(), rollout.Estimates{})
			kind := "groups with a size"
			if unsized {
				kind = "groups without a size"
			}
			fmt.Fprintf(&out, "after %s, %s\n%s; floor %d, peak %d, about %s\n", how, kind, l.state.Input.Operation.Rollback.Intent(), plan.Floor, plan.Peak, plan.Duration.Round(time.Second))
			for _, a := range plan.Actions {
				fmt.Fprintf(&out, "  %8s  %s\n", a.At.Round(time.Second), lineOf(a))
			}
			out.WriteString("\n")
		}
	}
	golden.Compare(t, "testdata/rollbacks.txt", []byte(out.String()))
}

// actions are the kinds of the changes, in order.
func actions(writes []fakecloud.Write) string {
	words := map[delivery.ChangeKind]string{delivery.CreateGroup: "create", delivery.ResizeGroup: "resize", delivery.SetRouting: "route", delivery.DestroyGroup: "destroy"}
	var out []string
	last := delivery.ChangeKey("")
	for _, w := range writes {
		if w.Change.Key != last { // a creation has several pieces
			out, last = append(out, words[w.Change.Kind]), w.Change.Key
		}
	}
	return strings.Join(out, " ")
}

// TestRollbackChoice is what a rollback goes back to, and why not.
func TestRollbackChoice(t *testing.T) {
	l := newLineage(calm())
	l.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
	l.deploy(t, "two", "v002", `{"strategy":"bluegreen"}`, 3)
	l.deploy(t, "three", "v003", `{"strategy":"bluegreen"}`, 2)
	refused := func(kind delivery.Kind, reason string, r rollout.RollbackRequest) {
		t.Helper()
		if _, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, r); delivery.KindOf(err) != kind || !strings.Contains(err.Error(), reason) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	chosen := func(of, to string, r rollout.RollbackRequest) {
		t.Helper()
		got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, r)
		if err != nil || string(got.Of) != of+"/1/acct/r1/shop-prod" || got.Group() != "shop-prod-"+to {
			t.Errorf("%+v: of %s to %s: %v", r, got.Of, got.Group(), err)
		}
	}
	chosen("X3", "v002", rollout.RollbackRequest{Deployment: "X3/1/acct/r1/shop-prod"})
	chosen("X3", "v001", rollout.RollbackRequest{Restore: "shop-prod-v001"})
	refused(delivery.Conflict, "not from deployment X2", rollout.RollbackRequest{Deployment: "X2"})
	refused(delivery.Conflict, "takes no traffic", rollout.RollbackRequest{From: "shop-prod-v001"})
	refused(delivery.NotFound, "no server group shop-prod-v009", rollout.RollbackRequest{From: "shop-prod-v009"})
	refused(delivery.NotFound, "no server group shop-prod-v009", rollout.RollbackRequest{Restore: "shop-prod-v009"})
	refused(delivery.Invalid, "to itself", rollout.RollbackRequest{Restore: "shop-prod-v003"})
	if got := l.rollBack(t, "", rollout.RollbackRequest{}); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v", got)
	}
	refused(delivery.Conflict, "a rollback is not rolled back", rollout.RollbackRequest{})
	chosen("X4", "v003", rollout.RollbackRequest{Restore: "shop-prod-v003"})
	if got := l.rollBack(t, "", rollout.RollbackRequest{Restore: "shop-prod-v001"}); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	l.deploy(t, "six", "v006", `{"strategy":"bluegreen"}`, 2)
	chosen("X6", "v001", rollout.RollbackRequest{})
	l.records = nil
	refused(delivery.NotFound, "no record", rollout.RollbackRequest{})

	l.records = []delivery.Deployment{{ID: "X6/1/acct/r1/shop-prod", ServerGroup: "shop-prod-v006", Status: delivery.DeploymentSucceeded,
		Detail: []byte(`{"before":{"groups":[{"name":"shop-prod-v006","serving":true}],"routed":true}}`)}}
	refused(delivery.Conflict, "took traffic before deployment X6", rollout.RollbackRequest{})
	first := newLineage(calm())
	first.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
	if _, err := rollout.ChooseRollback(first.cloud.Truth(), first.records, rollout.RollbackRequest{}); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("of a first deployment: %v", err)
	}
	seeded := newLineage(calm(), v000(2))
	seeded.deploy(t, "one", "v001", `{"strategy":"highlander"}`, 2)
	if _, err := rollout.ChooseRollback(seeded.cloud.Truth(), seeded.records, rollout.RollbackRequest{}); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("to what is gone and nobody recorded: %v", err)
	}
}

// TestRollbackOfAPromotion goes back to what served before the promotion. A version
// that is gone is deployed anew as the dark release recorded it, not the promotion.
func TestRollbackOfAPromotion(t *testing.T) {
	l := newLineage(calm())
	l.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
	l.deploy(t, "two", "v002", dark, 2)
	l.next(rollout.Input{Spec: delivery.GroupSpec{LoadBalancer: "lb"}, Strategy: strategy(t, `{"strategy":"bluegreen"}`), Group: "shop-prod-v002", Promotion: &rollout.Promotion{}})
	if got := l.end(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{})
	if err != nil || got.Of != "X3/1/acct/r1/shop-prod" || got.Group() != "shop-prod-v001" {
		t.Errorf("of %s to %s: %v", got.Of, got.Group(), err)
	}
	l.deploy(t, "three", "v003", `{"strategy":"highlander"}`, 2)
	got, err = rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{})
	if err != nil || got.Of != "X4/1/acct/r1/shop-prod" || got.Redeploys != "X2/1/acct/r1/shop-prod" {
		t.Errorf("of %s, redeploys %s: %v", got.Of, got.Redeploys, err)
	}
}

// inPlace updates the group that serves to an image, and returns how that ended.
func (l *lineage) inPlace(t fataler, image string, at func(*drive)) delivery.DeploymentStatus {
	t.Helper()
	l.next(rollout.Input{Spec: delivery.GroupSpec{Image: image, LoadBalancer: "lb"}, Strategy: strategy(t, inPlace)})
	l.at = at
	return l.end(t).Status
}

// TestRollbackOfAnUpdateInPlace: what an update brought is what is rolled back, and the
// version before, which no server group has any more, is deployed anew. One that brought
// nothing leaves the traffic to the deployment before it.
func TestRollbackOfAnUpdateInPlace(t *testing.T) {
	cancel := func(look int) func(*drive) {
		return func(d *drive) {
			if d.looks == look {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
	}
	type update struct {
		image string
		at    func(*drive)
		want  delivery.DeploymentStatus
	}
	good, bad := update{"good", nil, delivery.DeploymentSucceeded}, update{"bad", nil, delivery.DeploymentRolledBack}
	early := update{"good", cancel(1), delivery.DeploymentCanceled}
	late := update{"good", cancel(5), delivery.DeploymentRolledBack}
	for _, test := range []struct {
		name     string
		updates  []update
		of       string
		to, anew string
	}{
		{"succeeded", []update{good}, "X3", "", "X2"},
		{"rolled back", []update{bad}, "X2", "v001", ""},
		{"canceled before it began", []update{early}, "X2", "v001", ""},
		{"canceled in the middle", []update{late}, "X2", "v001", ""},
		{"two", []update{good, good}, "X4", "", "X3"},
		{"one, and one that was rolled back", []update{good, bad}, "X3", "", "X2"},
		{"one that was rolled back, and one", []update{bad, good}, "X4", "", "X2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			config.BadImages = []string{"bad"}
			l := newLineage(config)
			l.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
			l.deploy(t, "two", "v002", `{"strategy":"bluegreen"}`, 2)
			for _, u := range test.updates {
				if got := l.inPlace(t, u.image, u.at); got != u.want {
					t.Fatalf("update to %s: %s, want %s", u.image, got, u.want)
				}
			}
			id := func(short string) delivery.DeploymentID { return delivery.DeploymentID(short + "/1/acct/r1/shop-prod") }
			for _, named := range []delivery.DeploymentID{"", id(test.of)} {
				got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{Deployment: named})
				if err != nil {
					t.Fatalf("of %q: %v", named, err)
				}
				group, anew := "", delivery.DeploymentID("")
				if test.to != "" {
					group = "shop-prod-" + test.to
				}
				if test.anew != "" {
					anew = id(test.anew)
				}
				if got.Of != id(test.of) || got.Group() != group || got.Redeploys != anew {
					t.Errorf("of %s to %q, redeploys %q", got.Of, got.Group(), got.Redeploys)
				}
			}
			if err := l.choose(t, "v003", rollout.RollbackRequest{Destroy: true}); err != nil {
				t.Fatal(err)
			}
			intent := l.state.Input.Operation.Rollback.Intent()
			if anew := "shop-prod-v002 was updated in place, and its version before is deployed anew as shop-prod-v003"; strings.Contains(intent, anew) != (test.anew != "") {
				t.Errorf("intent %q", intent)
			}
			want := map[string]string{"v001": "100 % 2 of one"}
			if test.anew != "" {
				want = map[string]string{"v003": "100 % 2 of again"}
			}
			if got := l.end(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v", got, got.Failure)
			}
			truth := l.cloud.Truth()
			if diff := cmp.Diff(want, served(truth)); diff != "" || truth.Group("shop-prod-v002") != nil {
				t.Errorf("served %s", diff)
			}
			if _, err := rollout.ChooseRollback(truth, l.records, rollout.RollbackRequest{}); delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "a rollback is not rolled back") {
				t.Errorf("a second rollback: %v", err)
			}
		})
	}
}

// TestRollbackAfterWhatWasUpdatedInPlaceIsGone deploys the version anew that an update
// brought, not the one of an update that never began. One that could not be given back
// may have left its version, and is rolled back like one that succeeded.
func TestRollbackAfterWhatWasUpdatedInPlaceIsGone(t *testing.T) {
	l := newLineage(calm())
	l.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
	if got := l.inPlace(t, "two", nil); got != delivery.DeploymentSucceeded {
		t.Fatal(got)
	}
	if got := l.inPlace(t, "three", nil); got != delivery.DeploymentSucceeded {
		t.Fatal(got)
	}
	third := &l.records[0]
	third.Status = delivery.DeploymentRollbackFailed
	if got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{}); err != nil || got.Of != third.ID || got.Redeploys != "X2/1/acct/r1/shop-prod" {
		t.Errorf("of %s, redeploys %s: %v", got.Of, got.Redeploys, err)
	}
	third.Status = delivery.DeploymentFailed // as if it had been refused before its first write
	l.deploy(t, "four", "v002", `{"strategy":"highlander"}`, 2)
	got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{})
	if err != nil || got.Of != "X4/1/acct/r1/shop-prod" || got.Redeploys != "X2/1/acct/r1/shop-prod" {
		t.Errorf("of %s, redeploys %s: %v", got.Of, got.Redeploys, err)
	}
}

// TestRollbackOfAnUpdateWithoutARecordBefore says that nobody recorded the version.
func TestRollbackOfAnUpdateWithoutARecordBefore(t *testing.T) {
	l := newLineage(calm(), v000(2))
	if got := l.inPlace(t, "two", nil); got != delivery.DeploymentSucceeded {
		t.Fatal(got)
	}
	_, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{})
	if delivery.KindOf(err) != delivery.NotFound || !strings.Contains(err.Error(), "shop-prod-v000 was updated in place, and there is no record of what it was made of before") {
		t.Error(err)
	}
}

// TestRollbackAfterAPromotionThatWasRefused: it gave nothing, so it is not what is
// rolled back.
func TestRollbackAfterAPromotionThatWasRefused(t *testing.T) {
	l := newLineage(calm())
	l.deploy(t, "one", "v001", `{"strategy":"bluegreen"}`, 2)
	l.deploy(t, "two", "v002", `{"strategy":"bluegreen"}`, 2)
	l.next(rollout.Input{Spec: delivery.GroupSpec{LoadBalancer: "lb"}, Strategy: strategy(t, `{"strategy":"bluegreen"}`), Group: "shop-prod-v002", Promotion: &rollout.Promotion{}})
	if got := l.end(t); got.Status != delivery.DeploymentFailed {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	got, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{})
	if err != nil || got.Of != "X2/1/acct/r1/shop-prod" || got.Group() != "shop-prod-v001" {
		t.Errorf("of %s to %s: %v", got.Of, got.Group(), err)
	}
}

// TestRollbackThatDoesNotComeUp leaves nothing of itself.
func TestRollbackThatDoesNotComeUp(t *testing.T) {
	for _, how := range []string{`{"strategy":"rolling"}`, `{"strategy":"highlander"}`} {
		config := calm()
		config.BadImages = []string{"again"}
		l := newLineage(config)
		l.deploy(t, "good", "v001", `{"strategy":"bluegreen"}`, 3)
		l.deploy(t, "bad", "v002", how, 3)
		was := settled(l.cloud.Truth())
		if err := l.choose(t, "v003", rollout.RollbackRequest{Redeploy: true, Destroy: true}); err != nil {
			t.Fatal(err)
		}
		got := l.end(t)
		if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "unhealthy" {
			t.Errorf("%s: outcome %+v %v", how, got, got.Failure)
		}
		if diff := cmp.Diff(was, settled(l.cloud.Truth())); diff != "" {
			t.Errorf("%s: (-before +after):\n%s", how, diff)
		}
		if _, err := rollout.ChooseRollback(l.cloud.Truth(), l.records, rollout.RollbackRequest{}); err != nil {
			t.Errorf("another try: %v", err)
		}
	}
}

// TestRollbackCanceledAtEveryLook either leaves the cluster as it was, or carries
// the traffic back: it never stops in between.
func TestRollbackCanceledAtEveryLook(t *testing.T) {
	everyRollback(t, func(l *lineage, n int) {
		l.at = func(d *drive) {
			if d.looks == n {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
	}, delivery.DeploymentSucceeded, delivery.DeploymentRolledBack, delivery.DeploymentCanceled)
}

// TestRollbackSurvivesACrashAtEveryCall carries every rollback through.
func TestRollbackSurvivesACrashAtEveryCall(t *testing.T) {
	everyRollback(t, func(l *lineage, n int) { l.crashAt = n }, delivery.DeploymentSucceeded)
}

// everyRollback disturbs rollbacks at each of their moments until one is over before.
func everyRollback(t *testing.T, disturb func(l *lineage, n int), allowed ...delivery.DeploymentStatus) {
	for _, how := range []string{`{"strategy":"rolling"}`, `{"strategy":"none"}`, `{"strategy":"highlander"}`} {
		for _, kind := range []string{"routed", "unsized", "unrouted"} {
			seen := map[delivery.DeploymentStatus]int{}
			for n := 1; ; n++ {
				config := calm()
				config.Router, config.Unsized = kind != "unrouted", kind == "unsized"
				l := newLineage(config)
				l.deploy(t, "good", "v001", `{"strategy":"bluegreen"}`, 3)
				l.deploy(t, "bad", "v002", how, 3)
				was := l.cloud.Truth()
				l.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 6})
				if err := l.choose(t, "v003", rollout.RollbackRequest{Destroy: true}); err != nil {
					t.Fatal(err)
				}
				disturb(l, n)
				got := l.end(t)
				seen[got.Status]++
				checkRolledBack(t, l, got, was, allowed)
				if l.looks < n && l.calls < n {
					break
				}
			}
			t.Logf("%s %s: %v", how, kind, seen)
		}
	}
}

// checkRolledBack holds that a rollback ended in one of the allowed ways, with the
// cluster to match.
func checkRolledBack(t fataler, l *lineage, got rollout.Outcome, was delivery.Snapshot, allowed []delivery.DeploymentStatus) {
	t.Helper()
	ok := false
	for _, status := range allowed {
		ok = ok || got.Status == status
	}
	if !ok {
		t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(l.cloud.Writes()))
	}
	truth := l.cloud.Truth()
	if got.Status != delivery.DeploymentSucceeded {
		if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
			t.Fatalf("%s (-before +after):\n%s%s", got.Status, diff, describe(l.cloud.Writes()))
		}
		return
	}
	to := l.state.Input.Operation.Rollback.To
	if truth.Routing != nil && !delivery.SameWeights(truth.Routing.Weights, to.Weights) {
		t.Fatalf("weights %v", truth.Routing.Weights)
	}
	for _, g := range to.Groups {
		if is := truth.Group(g.Name); is == nil || is.Capacity != g.Capacity {
			t.Fatalf("%s is %+v, want %+v%s", g.Name, is, g.Capacity, describe(l.cloud.Writes()))
		}
	}
	if l.state.Input.Operation.Rollback.Destroy && truth.Group("shop-prod-v002") != nil {
		t.Fatalf("v002 is still there")
	}
}

// TestRollbackProperties rolls random clusters back under faults, with cancels and
// pauses: the cloud's invariants hold, and the end is what was asked for or what
// was before, but traffic that moved never goes back.
func TestRollbackProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"routed", "routed", "unsized", "unrouted"}).Draw(rt, "kind")
		config := fakecloud.Config{Router: kind != "unrouted", Unsized: kind == "unsized", Seed: rapid.Int64().Draw(rt, "seed"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second}
		faults := fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
			Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
			Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}
		l := newLineage(config)
		l.deploy(rt, "good", "v001", `{"strategy":"bluegreen"}`, rapid.IntRange(1, 5).Draw(rt, "good"))
		how := rapid.SampledFrom([]string{`{"strategy":"rolling"}`, `{"strategy":"bluegreen"}`, `{"strategy":"none"}`, `{"strategy":"highlander"}`}).Draw(rt, "how")
		l.deploy(rt, "bad", "v002", how, rapid.IntRange(1, 5).Draw(rt, "bad"))
		l.cloud.Upset(faults)
		if config.Router {
			l.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 50})
		}
		request := rollout.RollbackRequest{Redeploy: rapid.Bool().Draw(rt, "redeploy"), Destroy: rapid.Bool().Draw(rt, "destroy"),
			ScaleDown: kind != "unsized" && rapid.Bool().Draw(rt, "scaleDown"), HealthyPercent: rapid.IntRange(1, 100).Draw(rt, "healthy")}
		was := l.cloud.Truth()
		if err := l.choose(rt, "v003", request); err != nil {
			rt.Fatalf("choose: %v", err)
		}
		cancelAt, pauseAt, crashAt := rapid.IntRange(-60, 60).Draw(rt, "cancelAt"), rapid.IntRange(-30, 30).Draw(rt, "pauseAt"), rapid.IntRange(-30, 60).Draw(rt, "crashAt")
		l.crashAt = crashAt
		moved := false
		l.at = func(d *drive) {
			switch d.looks {
			case pauseAt:
				d.state = d.state.Pause(d.now)
			case pauseAt + 20:
				d.state = d.state.Resume(d.now)
			case cancelAt:
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
			now := l.cloud.Truth().Routing.Percent("shop-prod-v002")
			if moved = moved || now == 0; moved && now > 0 {
				rt.Fatalf("the traffic went back to what was rolled back%s", describe(l.cloud.Writes()))
			}
		}
		got := l.end(rt)
		checkRolledBack(rt, l, got, was, []delivery.DeploymentStatus{delivery.DeploymentSucceeded, delivery.DeploymentRolledBack, delivery.DeploymentCanceled})
	})
}

// TestRollbackToAGroupThatWasSick waits for no more healthy instances than there
// were, and for no more than asked for.
func TestRollbackToAGroupThatWasSick(t *testing.T) {
	for _, test := range []struct {
		percent, sick int
		want          delivery.DeploymentStatus
	}{{100, 1, delivery.DeploymentSucceeded}, {50, 3, delivery.DeploymentSucceeded}, {1, 3, delivery.DeploymentSucceeded}, {100, 4, delivery.DeploymentFailed}} {
		old := v000(4)
		old.Sick = test.sick
		l := newLineage(calm(), old)
		l.deploy(t, "bad", "v001", `{"strategy":"bluegreen"}`, 4)
		if got := l.rollBack(t, "", rollout.RollbackRequest{HealthyPercent: test.percent}); got.Status != test.want {
			t.Errorf("%+v: outcome %+v %v", test, got, got.Failure)
		}
	}
}

// TestRollbackToANamedGroup moves the share of the one that is rolled back, and
// leaves the others theirs.
func TestRollbackToANamedGroup(t *testing.T) {
	l := newLineage(calm(), existing("v001", 2, 0), existing("v002", 2, 30), existing("v003", 3, 70))
	request := rollout.RollbackRequest{From: "shop-prod-v003", Restore: "shop-prod-v001", ScaleDown: true}
	if got := l.rollBack(t, "", request); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(l.cloud.Writes()))
	}
	truth := l.cloud.Truth()
	if diff := cmp.Diff(map[string]int{"v001": 70, "v002": 30, "v003": 0}, percents(truth)); diff != "" {
		t.Error(diff)
	}
	if one, three := truth.Group("shop-prod-v001").Capacity.Desired, truth.Group("shop-prod-v003").Capacity; one != 3 || three != delivery.Pinned(0) {
		t.Errorf("v001 has %d instances, v003 %+v", one, three)
	}
}
