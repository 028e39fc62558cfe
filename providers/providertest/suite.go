package providertest

import (
	"iter"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers"
)

// Run runs the whole suite. open returns a new cloud for each test.
func Run(t *testing.T, open func(*testing.T) Cloud) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"DescriptorIsComplete", descriptorIsComplete},
		{"EmptyCluster", emptyCluster},
		{"CreateReadsBack", createReadsBack},
		{"CreateIsIdempotent", createIsIdempotent},
		{"CreateOfAnotherChangeConflicts", createConflicts},
		{"CapacityReadsBack", capacityReadsBack},
		{"RoutingReadsBack", routingReadsBack},
		{"RoutingKeepsItsFingerprint", routingFingerprint},
		{"GuardHolds", guardHolds},
		{"PreviewsReadBack", previewsReadBack},
		{"PreviewGoesWithItsGroup", previewGoesWithItsGroup},
		{"LostAnswersOfPreviews", lostPreviews},
		{"DestroyLeavesNothing", destroyLeavesNothing},
		{"InPlaceReadsBack", inPlaceReadsBack},
		{"InPlaceOfASickVersion", inPlaceOfASickVersion},
		{"InPlaceIsRefused", inPlaceIsRefused},
		{"UnknownImage", unknownImage},
		{"CloneIsLikeItsSource", cloneIsLike},
		{"CloneOfNothing", cloneOfNothing},
		{"SickGroupReportsProblems", sickGroup},
		{"LookAlikesAreUntouched", lookAlikes},
		{"EveryPageIsRead", everyPage},
		{"ClustersOfAnApplication", clustersOfAnApplication},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newBench(t, open)) })
	}
	t.Run("InPlaceLosesAnswers", func(t *testing.T) { inPlaceLosesAnswers(t, open) })
	t.Run("LostAnswers", func(t *testing.T) { lostAnswers(t, open) })
	t.Run("Interrupted", func(t *testing.T) { interrupted(t, open) })
}

func descriptorIsComplete(b *bench) {
	d := b.target.Describe()
	if d.Kind == "" || len(d.Schema) == 0 {
		b.Errorf("descriptor without kind or schema: %+v", d)
	}
	if d.Capabilities.Weighted && d.Capabilities.Settle <= 0 {
		b.Errorf("a router that settles in no time: %+v", d.Capabilities)
	}
}

func emptyCluster(b *bench) {
	seen := b.observe()
	if seen.Groups == nil || len(seen.Groups) != 0 || seen.Routing != nil {
		b.Errorf("snapshot of a cluster without groups: %+v", seen)
	}
	if diff := cmp.Diff(b.cluster, seen.Cluster); diff != "" {
		b.Error(diff)
	}
	b.apply(b.change(delivery.DestroyGroup, 1))
	if n := b.Writes(); n != 0 {
		b.Errorf("destroying nothing wrote %d times", n)
	}
}

func createReadsBack(b *bench) {
	c := b.create(1, b.good, 2, true)
	b.apply(c)
	seen := b.untilHealthy(1, 2)
	if seen.Routing == nil || len(seen.Routing.Weights) != 1 || seen.Routing.Percent(c.Group) != 0 {
		b.Fatalf("routing %+v; want the new group known at weight 0", seen.Routing)
	}
	got := *seen.Group(c.Group)
	if got.CreatedAt.IsZero() || got.ImageID == "" || len(got.HealthSources) < 2 {
		b.Errorf("incomplete view: %+v", got)
	}
	if b.target.Describe().Capabilities.InPlace && (got.Version == "" || got.VersionBy != "" && got.VersionBy != c.Key) {
		b.Errorf("version %q by %q; want one by %s or by nobody known", got.Version, got.VersionBy, c.Key)
	}
	got.Version, got.VersionBy, got.RollUnit, got.RollWait, got.NotInPlace = "", "", 0, 0, ""
	got.CreatedAt, got.ImageID, got.HealthSources, got.Instances, got.Problems = seen.ObservedAt, "", nil, nil, nil
	want := delivery.ServerGroup{
		Name: c.Group, Sequence: 1, CreatedAt: seen.ObservedAt, Image: b.good, Capacity: delivery.Pinned(2),
		Complete: true, Managed: true, Deployment: c.Deployment,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Error(diff)
	}
}

func createIsIdempotent(b *bench) {
	c := b.create(1, b.good, 1, true)
	if n := b.apply(c); n < 1 {
		b.Errorf("creation took %d writes", n)
	}
	pieces := b.Pieces()
	for range 3 {
		if n := b.apply(c); n != 0 {
			b.Errorf("the same creation again took %d writes", n)
		}
	}
	if diff := cmp.Diff(pieces, b.Pieces()); diff != "" {
		b.Error(diff)
	}
}

func createConflicts(b *bench) {
	c := b.create(1, b.good, 1, true)
	b.apply(c)
	other := c
	other.Key += "-other"
	b.refuses(b.target, other, delivery.Conflict)
}

// capacityReadsBack changes capacities, or wants every change refused where the
// capabilities say that groups cannot be resized.
func capacityReadsBack(b *bench) {
	b.apply(b.create(1, b.good, 1, false))
	if !b.target.Describe().Capabilities.Resize {
		b.refuses(b.target, b.resize(1, 3), delivery.Invalid)
		if got := b.observe().Groups[0].Capacity; got != delivery.Pinned(1) {
			b.Errorf("capacity %+v; want that of the spec", got)
		}
		return
	}
	for _, size := range []int{3, 0, 2} {
		if n := b.apply(b.resize(1, size)); n != 1 {
			b.Errorf("resize to %d took %d writes", size, n)
		}
		if got := b.observe().Groups[0].Capacity; got != delivery.Pinned(size) {
			b.Errorf("capacity %+v; want %d", got, size)
		}
		if n := b.apply(b.resize(1, size)); n != 0 {
			b.Errorf("resize to what it is took %d writes", n)
		}
	}
	b.untilHealthy(1, 2)
	wide := b.resize(1, 0)
	wide.Capacity = &delivery.Capacity{Min: 1, Desired: 2, Max: 4}
	b.apply(wide)
	if got := b.observe().Groups[0].Capacity; got != *wide.Capacity {
		b.Errorf("capacity %+v; want %+v", got, *wide.Capacity)
	}
	wrong := b.resize(1, 0)
	wrong.Capacity = &delivery.Capacity{Min: 3, Desired: 2, Max: 4}
	b.refuses(b.target, wrong, delivery.Invalid)
	b.refuses(b.target, b.resize(9, 1), delivery.NotFound)
}

func routingReadsBack(b *bench) {
	b.apply(b.create(1, b.good, 1, true))
	b.apply(b.create(2, b.good, 1, true))
	for _, weights := range []map[int]int{{1: 100}, {1: 70, 2: 30}, {1: 1, 2: 99}, {2: 100}, {1: 0, 2: 100}} {
		c := b.weigh(weights)
		b.apply(c)
		if got := b.observe().Routing; !delivery.SameWeights(got.Weights, c.Weights) || len(got.Weights) != 2 {
			b.Errorf("weights %+v; want %+v with both groups known", got.Weights, c.Weights)
		}
		if n := b.apply(c); n != 0 {
			b.Errorf("the same weights again took %d writes", n)
		}
	}
}

func routingFingerprint(b *bench) {
	b.apply(b.create(1, b.good, 1, true))
	b.apply(b.create(2, b.good, 1, true))
	first := b.weigh(map[int]int{1: 100})
	stale := b.weigh(map[int]int{2: 100})
	b.apply(first)
	if now := b.observe().Routing.Fingerprint; now == stale.Fingerprint {
		b.Errorf("fingerprint %q did not change with the weights", now)
	}
	b.refuses(b.target, stale, delivery.Conflict)
	same := first
	same.Fingerprint = "something old"
	if n := b.apply(same); n != 0 {
		b.Errorf("weights that are already stored took %d writes", n)
	}
}

func guardHolds(b *bench) {
	guarded := providers.Guard(b.target)
	b.serve(1, 1)
	b.apply(b.create(2, b.sick, 1, true))
	b.refuses(guarded, b.resize(1, 0), delivery.Guarded)
	b.refuses(guarded, b.change(delivery.DestroyGroup, 1), delivery.Guarded)
	b.refuses(guarded, b.weigh(map[int]int{2: 100}), delivery.Guarded)
	b.refuses(guarded, b.weigh(map[int]int{1: 50, 2: 50}), delivery.Guarded)
	b.refuses(guarded, b.weigh(map[int]int{1: 50}), delivery.Invalid)
	// The target itself refuses to destroy what takes traffic, too.
	b.refuses(b.target, b.change(delivery.DestroyGroup, 1), delivery.Guarded)
}

func destroyLeavesNothing(b *bench) {
	b.serve(1, 1)
	before := b.Pieces()
	b.apply(b.create(2, b.good, 2, true))
	b.untilHealthy(2, 2)
	destroy := b.change(delivery.DestroyGroup, 2)
	if n := b.apply(destroy); n < 2 || n > 8 {
		b.Errorf("destroy took %d writes; want one a piece, and none while it waits", n)
	}
	if diff := cmp.Diff(before, b.Pieces()); diff != "" {
		b.Errorf("left behind or taken too much:\n%s", diff)
	}
	if n := b.apply(destroy); n != 0 {
		b.Errorf("destroying nothing took %d writes", n)
	}
	if seen := b.observe(); len(seen.Groups) != 1 || seen.Routing.Percent(b.cluster.Moniker.ServerGroup(1)) != 100 {
		b.Errorf("after the destroy: %+v", seen)
	}
}

func unknownImage(b *bench) {
	good := b.Spec(b.good, 1, true)
	if findings, err := b.target.Validate(b.Context(), b.cluster, good); err != nil || len(findings) != 0 {
		b.Errorf("validate a good spec: findings %v, error %v", findings, err)
	}
	bad := b.Spec("no-such-image", 1, true)
	findings, err := b.target.Validate(b.Context(), b.cluster, bad)
	if err != nil || len(findings) != 1 || findings[0].Pointer == "" || findings[0].Warning {
		b.Errorf("validate an unknown image: findings %+v, error %v", findings, err)
	}
	b.refuses(b.target, b.create(1, "no-such-image", 1, true), delivery.Invalid)
}

func sickGroup(b *bench) {
	b.apply(b.create(1, b.sick, 1, true))
	seen := b.until("a problem is reported", func(s delivery.Snapshot) bool {
		return len(s.Groups) == 1 && len(s.Groups[0].Problems) > 0
	})
	g := seen.Groups[0]
	if g.Healthy() != 0 {
		b.Errorf("a sick group counts %d healthy", g.Healthy())
	}
	for _, p := range g.Problems {
		if p.ID == "" || p.Code == "" || p.Message == "" || p.At.IsZero() {
			b.Errorf("incomplete problem %+v", p)
		}
	}
}

func lookAlikes(b *bench) {
	names := []string{"shop-test-extra-v001", "shop-testing-v001", "shop-v001", "shop-test"}
	for _, name := range names {
		b.Plant(b.T, name)
	}
	stranger := b.cluster.Moniker.ServerGroup(7)
	b.Plant(b.T, stranger)
	before := b.Pieces()
	b.apply(b.create(1, b.good, 1, false))
	for _, g := range b.observe().Groups {
		if !b.cluster.Owns(g.Name) || g.Name == stranger && g.Managed {
			b.Errorf("%s taken for a group of the cluster: %+v", g.Name, g)
		}
	}
	b.refuses(b.target, b.change(delivery.DestroyGroup, 7), delivery.Guarded)
	foreign := b.change(delivery.DestroyGroup, 1)
	foreign.Group = "shop-test-extra-v001"
	b.refuses(b.target, foreign, delivery.Invalid)
	taken := b.create(7, b.good, 1, false)
	b.refuses(b.target, taken, delivery.Conflict)
	b.apply(b.change(delivery.DestroyGroup, 1))
	if diff := cmp.Diff(before, b.Pieces()); diff != "" {
		b.Errorf("strangers were touched:\n%s", diff)
	}
}

func everyPage(b *bench) {
	const groups = 7
	var want []string
	for sequence := range groups {
		b.apply(b.create(sequence, b.good, 0, false))
		want = append(want, b.cluster.Moniker.ServerGroup(sequence))
	}
	var got []string
	for _, g := range b.observe().Groups {
		got = append(got, g.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Error(diff)
	}
}

func clustersOfAnApplication(b *bench) {
	lister, ok := b.target.(delivery.ClusterLister)
	if !ok {
		b.Fatal("the target cannot list clusters")
	}
	var want []delivery.Cluster
	for i, m := range []delivery.Moniker{{App: "shop"}, {App: "shop", Stack: "test"}, {App: "shop", Stack: "test", Detail: "a-b"}, {App: "shopping"}} {
		b.cluster = b.Cluster(m)
		b.apply(b.create(i, b.good, 0, false))
		b.apply(b.create(i+1, b.good, 0, false))
		if m.App == "shop" {
			want = append(want, b.cluster)
		}
	}
	got, err := lister.Clusters(b.Context(), "shop")
	if err != nil {
		b.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Error(diff)
	}
	if none, err := lister.Clusters(b.Context(), "nobody"); err != nil || len(none) != 0 {
		b.Errorf("clusters of nobody: %v, %v", none, err)
	}
}

func keysOf(m map[int]int) iter.Seq[int] { return maps.Keys(m) }
