package providers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers"
)

// memory is a target whose cloud is a snapshot: writes change it at once.
type memory struct {
	region   string
	snapshot delivery.Snapshot
	clusters []delivery.Cluster
	broken   error // what every read answers when set
	applied  []delivery.Change
	observed int
}

func (m *memory) Describe() delivery.Descriptor { return delivery.Descriptor{Kind: "test/memory"} }

func (m *memory) Validate(context.Context, delivery.Cluster, delivery.GroupSpec) ([]delivery.Finding, error) {
	return []delivery.Finding{{Pointer: "/" + m.region}}, m.broken
}

func (m *memory) Observe(context.Context, delivery.Cluster, string) (delivery.Snapshot, error) {
	m.observed++
	return m.snapshot, m.broken
}

func (m *memory) Apply(_ context.Context, c delivery.Change) (delivery.Receipt, error) {
	m.applied = append(m.applied, c)
	return delivery.Receipt{Wrote: string(c.Kind)}, nil
}

func (m *memory) Clusters(context.Context, string) ([]delivery.Cluster, error) {
	return m.clusters, m.broken
}

var (
	_ delivery.Target        = (*memory)(nil)
	_ delivery.ClusterLister = (*memory)(nil)
)

func cluster(account, region, stack string) delivery.Cluster {
	return delivery.Cluster{Provider: "aws", Account: account, Region: region, Moniker: delivery.Moniker{App: "shop", Stack: stack}}
}

func registration(name string, regions ...string) providers.Registration {
	return providers.Registration{
		Account: delivery.Account{Name: name, Provider: "aws", Regions: regions},
		Open:    map[string]providers.Opener{"aws": func(region string) (delivery.Target, error) { return &memory{region: region}, nil }},
	}
}

func TestRegistryFindsTargets(t *testing.T) {
	registry, err := providers.New(registration("prod", "us-east-1", "us-west-2"), registration("dev", "us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range registry.Accounts() {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"dev", "prod"}, names); diff != "" {
		t.Error(diff)
	}
	target, err := registry.Target(cluster("prod", "us-west-2", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if findings, err := target.Validate(t.Context(), delivery.Cluster{}, delivery.GroupSpec{}); err != nil || findings[0].Pointer != "/us-west-2" {
		t.Errorf("target of another region: %v, %v", findings, err)
	}
	wrongProvider := cluster("prod", "us-east-1", "a")
	wrongProvider.Provider = "gce"
	for _, test := range []struct {
		cluster delivery.Cluster
		pointer string
	}{
		{cluster("prodd", "us-east-1", "a"), "/account"},
		{cluster("", "us-east-1", "a"), "/account"},
		{cluster("dev", "us-west-2", "a"), "/region"},
		{wrongProvider, "/cloudProvider"},
	} {
		_, err := registry.Target(test.cluster)
		findings := delivery.FindingsOf(err)
		if delivery.KindOf(err) != delivery.Invalid || len(findings) != 1 || findings[0].Pointer != test.pointer {
			t.Errorf("%+v: %v", test.cluster, err)
		}
	}
}

// TestRegistryTellsKindsApart: one account may hold clusters of several kinds.
func TestRegistryTellsKindsApart(t *testing.T) {
	vms, runs := &memory{region: "vms", clusters: []delivery.Cluster{cluster("project", "r", "a")}}, &memory{region: "runs"}
	runs.clusters = []delivery.Cluster{{Provider: "cloudrun", Account: "project", Region: "r", Moniker: delivery.Moniker{App: "shop", Stack: "a"}}}
	registry, err := providers.New(providers.Registration{
		Account: delivery.Account{Name: "project", Provider: "gce", Serves: []string{"gce", "cloudrun"}, Regions: []string{"r"}},
		Open: map[string]providers.Opener{
			"gce":      func(string) (delivery.Target, error) { return vms, nil },
			"cloudrun": func(string) (delivery.Target, error) { return runs, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for provider, want := range map[string]string{"gce": "/vms", "cloudrun": "/runs"} {
		at := cluster("project", "r", "a")
		at.Provider = provider
		target, err := registry.Target(at)
		if err != nil {
			t.Fatal(err)
		}
		if findings, _ := target.Validate(t.Context(), at, delivery.GroupSpec{}); findings[0].Pointer != want {
			t.Errorf("target of %s: %v", provider, findings)
		}
	}
	if _, err := registry.Target(cluster("project", "r", "a")); delivery.KindOf(err) != delivery.Invalid || delivery.FindingsOf(err)[0].Pointer != "/cloudProvider" {
		t.Errorf("a provider that the account does not serve: %v", err)
	}
	if both, err := registry.Clusters(t.Context(), "shop"); err != nil || len(both) != 2 {
		t.Errorf("clusters of both kinds: %v, %v", both, err)
	}
}

func TestRegistryRefusesBadAccounts(t *testing.T) {
	for name, registrations := range map[string][]providers.Registration{
		"twice":     {registration("a", "r"), registration("a", "r")},
		"no region": {registration("a")},
	} {
		if _, err := providers.New(registrations...); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing := registration("a", "r")
	failing.Open["aws"] = func(string) (delivery.Target, error) { return nil, delivery.Errorf(delivery.Denied, "no") }
	if _, err := providers.New(failing); delivery.KindOf(err) != delivery.Denied || !strings.Contains(err.Error(), "account a in r") {
		t.Errorf("failing: %v", err)
	}
}

func TestRegistryListsClusters(t *testing.T) {
	east := &memory{clusters: []delivery.Cluster{cluster("prod", "us-east-1", "b"), cluster("prod", "us-east-1", "a")}}
	west := &memory{clusters: []delivery.Cluster{cluster("prod", "us-west-2", "a")}}
	registry, err := providers.New(providers.Registration{
		Account: delivery.Account{Name: "prod", Provider: "aws", Regions: []string{"us-west-2", "us-east-1"}},
		Open: map[string]providers.Opener{"aws": func(region string) (delivery.Target, error) {
			return map[string]delivery.Target{"us-east-1": east, "us-west-2": west}[region], nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	keys := func(clusters []delivery.Cluster) (out []string) {
		for _, c := range clusters {
			out = append(out, c.Key())
		}
		return out
	}
	got, err := registry.Clusters(t.Context(), "shop")
	if diff := cmp.Diff([]string{"prod/us-east-1/shop-a", "prod/us-east-1/shop-b", "prod/us-west-2/shop-a"}, keys(got)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	east.broken, east.clusters = delivery.Errorf(delivery.Throttled, "slow down"), nil
	got, err = registry.Clusters(t.Context(), "shop")
	if len(got) != 1 || delivery.KindOf(err) != delivery.Throttled || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("one region down: %v, %v", keys(got), err)
	}
}

func TestGuard(t *testing.T) {
	serving := delivery.Snapshot{
		Groups:  []delivery.ServerGroup{{Name: "shop-v001", Managed: true, Capacity: delivery.Pinned(1)}},
		Routing: &delivery.Routing{Weights: []delivery.Weight{{ServerGroup: "shop-v001", Percent: 100}}},
	}
	none := delivery.Pinned(0)
	down := delivery.Change{Kind: delivery.ResizeGroup, Group: "shop-v001", Capacity: &none}
	m := &memory{snapshot: serving}
	if _, err := providers.Guard(m).Apply(t.Context(), down); delivery.KindOf(err) != delivery.Guarded || len(m.applied) != 0 {
		t.Errorf("resize to 0 under traffic: %v, applied %v", err, m.applied)
	}
	m.snapshot.Routing.Weights[0].Percent = 0
	if _, err := providers.Guard(m).Apply(t.Context(), down); err != nil || len(m.applied) != 1 {
		t.Errorf("resize to 0 without traffic: %v, applied %v", err, m.applied)
	}
	before := m.observed
	if _, err := providers.Guard(m).Apply(t.Context(), delivery.Change{Kind: delivery.CreateGroup}); err != nil || m.observed != before {
		t.Errorf("a creation was observed for: %v", err)
	}
	m.broken = delivery.Errorf(delivery.Transient, "no answer")
	if _, err := providers.Guard(m).Apply(t.Context(), down); delivery.KindOf(err) != delivery.Transient || len(m.applied) != 2 {
		t.Errorf("blind: %v, applied %d", err, len(m.applied))
	}
}

func TestLimit(t *testing.T) {
	m := &memory{}
	limited := providers.Limit(m, providers.Pace{PerSecond: 50, Burst: 2})
	calls := []func(context.Context) error{
		func(ctx context.Context) error { _, err := limited.Observe(ctx, delivery.Cluster{}, ""); return err },
		func(ctx context.Context) error { _, err := limited.Apply(ctx, delivery.Change{}); return err },
		func(ctx context.Context) error {
			_, err := limited.Validate(ctx, delivery.Cluster{}, delivery.GroupSpec{})
			return err
		},
	}
	began := time.Now()
	for _, call := range slices.Concat(calls, calls) {
		if err := call(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Six calls, of which two come from the burst: four waits of 20 ms.
	if took := time.Since(began); took < 70*time.Millisecond {
		t.Errorf("six calls took %v", took)
	}
	slow := providers.Limit(m, providers.Pace{PerSecond: 0.001, Burst: 1})
	if _, err := slow.Observe(t.Context(), delivery.Cluster{}, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.Observe(ctx, delivery.Cluster{}, ""); delivery.KindOf(err) != delivery.Throttled || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}

// TestListingIsPacedToo: lists for the API come out of the same bucket as the
// calls of deployments.
func TestListingIsPacedToo(t *testing.T) {
	prod := registration("prod", "us-east-1")
	prod.Limit = providers.Pace{PerSecond: 0.001, Burst: 1}
	registry, err := providers.New(prod)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Clusters(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := registry.Clusters(ctx, "shop"); delivery.KindOf(err) != delivery.Throttled {
		t.Errorf("a second list at once: %v", err)
	}
}

// gauge measures its region.
type gauge struct{ region string }

func (g gauge) Measure(_ context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	return delivery.Series{Query: g.region + "/" + r.Group}, nil
}

// TestMeasure: the source is that of the cluster's account, region and provider,
// and is paced apart from the target.
func TestMeasure(t *testing.T) {
	prod := registration("prod", "us-east-1", "eu-west-1")
	prod.Limit = providers.Pace{PerSecond: 0.001, Burst: 1}
	prod.Metrics = map[string]providers.MetricsOpener{"aws": func(region string, bare delivery.Target) (delivery.Metrics, error) {
		if m, ok := bare.(*memory); !ok || m.region != region {
			t.Errorf("%T is not the bare target of %s", bare, region)
		}
		return gauge{region}, nil
	}}
	registry, err := providers.New(prod, registration("blind", "us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, account, region string) (delivery.Series, error) {
		return registry.Measure(ctx, delivery.MetricRequest{Cluster: cluster(account, region, ""), Group: "g"})
	}
	if _, err := registry.Clusters(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		if got, err := ask(t.Context(), "prod", region); err != nil || got.Query != region+"/g" {
			t.Errorf("%s: %+v, %v", region, got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := ask(ctx, "prod", "us-east-1"); delivery.KindOf(err) != delivery.Throttled {
		t.Errorf("a second measurement at once: %v", err)
	}
	for _, at := range [][2]string{{"blind", "us-east-1"}, {"prod", "mars"}, {"other", "us-east-1"}} {
		if _, err := ask(t.Context(), at[0], at[1]); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%v: %v", at, err)
		}
	}
}

func TestOpen(t *testing.T) {
	registry, err := providers.Open(t.Context(), []providers.AccountConfig{{
		Name: "sim", Provider: "aws", Regions: []string{"us-east-1"}, Endpoint: "http://127.0.0.1:1", AccessKeyID: "a", SecretAccessKey: "b",
		Settle: time.Second, DeregistrationDelay: 3 * time.Second,
	}})
	if err != nil {
		t.Fatal(err)
	}
	target, err := registry.Target(cluster("sim", "us-east-1", ""))
	if err != nil {
		t.Fatal(err)
	}
	d := target.Describe()
	if d.Capabilities.Metrics != delivery.CloudWatch || d.Capabilities.MetricDelay != 2*time.Minute {
		t.Errorf("metrics: %+v", d.Capabilities)
	}
	if d.Kind != "aws/asg" || d.Capabilities.Settle != time.Second || d.Capabilities.Drain != 3*time.Second || d.Capabilities.MaxDestinations != 5 {
		t.Errorf("%+v", d)
	}
	_, err = providers.Open(t.Context(), []providers.AccountConfig{{Name: "x", Provider: "azure", Regions: []string{"r"}}})
	if delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), "azure") {
		t.Errorf("unknown provider: %v", err)
	}
}

// TestOpenGoogle: a project serves managed instance groups and Cloud Run.
func TestOpenGoogle(t *testing.T) {
	registry, err := providers.Open(t.Context(), []providers.AccountConfig{
		{Name: "project", Provider: "gce", Project: "shop", Regions: []string{"r"}, Endpoint: "http://127.0.0.1:1", AccessToken: "t",
			Settle: time.Second, DrainingTimeout: 3 * time.Second},
		{Name: "run", Provider: "cloudrun", Project: "shop", Regions: []string{"r"}, Endpoint: "http://127.0.0.1:1", AccessToken: "t",
			MonitoringEndpoint: "127.0.0.1:1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		account, provider, kind string
		resize                  bool
		metrics                 string
	}{{"project", "gce", "gcp/mig", true, ""}, {"project", "cloudrun", "gcp/cloudrun", false, ""},
		{"run", "cloudrun", "gcp/cloudrun", false, delivery.CloudMonitoring}} {
		at := cluster(test.account, "r", "a")
		at.Provider = test.provider
		target, err := registry.Target(at)
		if err != nil {
			t.Fatal(err)
		}
		if d := target.Describe(); d.Kind != test.kind || d.Capabilities.Resize != test.resize || !d.Capabilities.Weighted || d.Capabilities.Metrics != test.metrics {
			t.Errorf("%s of %s: %+v", test.provider, test.account, d)
		}
	}
	at := cluster("run", "r", "a")
	at.Provider = "gce"
	if _, err := registry.Target(at); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("an account of Cloud Run alone has instance groups: %v", err)
	}
}

// TestSettingsOfAnotherProvider: what would be ignored is refused.
func TestSettingsOfAnotherProvider(t *testing.T) {
	for setting, account := range map[string]providers.AccountConfig{
		"assumeRole":          {Provider: "gce", Project: "p", AssumeRole: "arn:aws:iam::1:role/x"},
		"accountId":           {Provider: "cloudrun", Project: "p", AccountID: "1"},
		"deregistrationDelay": {Provider: "gce", Project: "p", DeregistrationDelay: time.Second},
		"drainingTimeout":     {Provider: "cloudrun", Project: "p", DrainingTimeout: time.Second},
		"project":             {Provider: "aws", Project: "p"},
		"monitoringEndpoint":  {Provider: "aws", MonitoringEndpoint: "127.0.0.1:1"},
		"impersonate":         {Provider: "aws", Impersonate: "a@b"},
		"project is missing":  {Provider: "gce"},
	} {
		account.Name, account.Regions = "x", []string{"r"}
		_, err := providers.Open(t.Context(), []providers.AccountConfig{account})
		if delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), setting) || !strings.Contains(err.Error(), "account x") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// finder is a target whose instances can be found.
type finder struct {
	memory
	asked []string
}

func (f *finder) GroupOf(_ context.Context, instance string) (delivery.Cluster, string, error) {
	f.asked = append(f.asked, instance)
	return cluster("prod", "r", "a"), "shop-a-v001", f.broken
}

func (f *finder) Images(_ context.Context, pattern string) ([]delivery.Image, error) {
	f.asked = append(f.asked, pattern)
	return []delivery.Image{{ID: "ami-1", Name: pattern}}, f.broken
}

// TestFinders: what a target kind can find is reached through the registry, at the
// pace of the region; of another kind it finds nothing.
func TestFinders(t *testing.T) {
	f := &finder{}
	registry, err := providers.New(providers.Registration{
		Account: delivery.Account{Name: "prod", Provider: "aws", Serves: []string{"aws", "other"}, Regions: []string{"r"}},
		Limit:   providers.Pace{PerSecond: 0.001, Burst: 3},
		Open: map[string]providers.Opener{
			"aws":   func(string) (delivery.Target, error) { return f, nil },
			"other": func(string) (delivery.Target, error) { return &memory{}, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	find := func(ctx context.Context, provider string) (string, error) {
		target, err := registry.Target(delivery.Cluster{Account: "prod", Region: "r", Provider: provider})
		if err != nil {
			t.Fatal(err)
		}
		instances, ok := target.(delivery.InstanceFinder)
		if !ok {
			t.Fatalf("a target of provider %s finds no instances", provider)
		}
		_, group, err := instances.GroupOf(ctx, "i-1")
		return group, err
	}
	if group, err := find(t.Context(), "aws"); err != nil || group != "shop-a-v001" {
		t.Errorf("found %q, %v", group, err)
	}
	if _, err := find(t.Context(), "other"); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("a kind that finds none: %v", err)
	}
	for provider, want := range map[string]int{"aws": 1, "other": 0} {
		target, err := registry.Target(delivery.Cluster{Account: "prod", Region: "r", Provider: provider})
		if err != nil {
			t.Fatal(err)
		}
		images, ok := target.(delivery.ImageFinder)
		if !ok {
			t.Fatalf("a target of provider %s finds no images", provider)
		}
		if found, err := images.Images(t.Context(), "shop-*"); err != nil || len(found) != want {
			t.Errorf("provider %s: images %+v, %v", provider, found, err)
		}
	}
	f.broken = delivery.Errorf(delivery.Transient, "the cloud says no")
	if _, err := find(t.Context(), "aws"); delivery.KindOf(err) != delivery.Transient {
		t.Errorf("broken: %v", err)
	}
	hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := find(hurried, "aws"); delivery.KindOf(err) != delivery.Throttled || len(f.asked) != 3 {
		t.Errorf("without a turn: %v after %d calls", err, len(f.asked))
	}
}
