package main

import (
	"maps"
	"net/http"
	"testing"

	"github.com/slipway-cd/slipway/internal/loadgen"
)

// site is one seeded cluster of the demo: what a deploy of it is made of, and
// what can be asked of it.
type site struct {
	// kind is the target kind, for the names of tests.
	kind                               string
	provider, account, region, cluster string
	// loadBalancer is its name in simulator.json.
	loadBalancer string
	// pipeline is the seeded one.
	pipeline string
	// old runs when the simulator starts; good replaces it, bad never becomes healthy,
	// broken is healthy and fails a tenth of its requests.
	old, good, bad, broken string
	// sized is true when instances can be counted.
	sized bool
	// fields are those of the cluster object that no other site has.
	fields map[string]any
	// services are the simulator's names of what the adapter calls.
	services []string
}

func asgSite() site {
	return site{
		kind: "asg", provider: "aws", account: "aws-sim", region: "us-east-1", cluster: "storefront-prod",
		loadBalancer: "storefront", pipeline: "rolling-aws", old: "storefront-1.0", good: "storefront-1.1", bad: "storefront-2.0-crash", broken: "storefront-2.0-broken", sized: true,
		fields: map[string]any{"stack": "prod", "amiName": "${parameters.image}", "instanceType": "m6i.large",
			"availabilityZones": map[string][]string{"us-east-1": {"us-east-1a", "us-east-1b"}},
			"loadBalancers":     []string{"storefront"}, "securityGroups": []string{"storefront"}},
		services: []string{"autoscaling", "ec2", "elasticloadbalancing"},
	}
}

func migSite() site {
	return site{
		kind: "mig", provider: "gce", account: "gcp-sim", region: "us-central1", cluster: "storefront-prod",
		loadBalancer: "storefront", pipeline: "rolling-gcp", old: "storefront-1-0", good: "storefront-1-1", bad: "storefront-2-0-crash", broken: "storefront-2-0-broken", sized: true,
		fields: map[string]any{"stack": "prod", "image": "${parameters.image}", "instanceType": "e2-small", "region": "us-central1", "regional": true,
			"loadBalancers": []string{"storefront"}, "autoHealingPolicy": map[string]any{"healthCheck": "storefront", "initialDelaySec": 20}},
		services: []string{"compute"},
	}
}

func runSite() site {
	const repository = "us-docker.pkg.dev/slipway-sim/storefront/storefront:"
	return site{
		kind: "run", provider: "cloudrun", account: "gcp-sim", region: "us-central1", cluster: "storefront-run",
		loadBalancer: "storefront-run", pipeline: "rolling-run", old: repository + "1.0", good: repository + "1.1", bad: repository + "2.0-crash", broken: repository + "2.0-broken",
		fields:   map[string]any{"stack": "run", "image": "${parameters.image}", "region": "us-central1"},
		services: []string{"run"},
	}
}

// sites are all of them.
func sites() []site { return []site{asgSite(), migSite(), runSite()} }

// onEach runs a test on each site, side by side as far as the machine has cores.
func onEach(t *testing.T, test func(t *testing.T, s site)) {
	for _, s := range sites() {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// first is the name of the seeded server group.
func (s site) first() string { return s.cluster + "-v000" }

// next is the name of the first one that a deploy makes.
func (s site) next() string { return s.cluster + "-v001" }

// load sends requests through the site's load balancer.
func (d *daemon) load(s site, rate int) *loadgen.Load {
	d.t.Helper()
	return d.loadWith(s, loadgen.Config{Rate: rate})
}

// loadWith sends requests there as the configuration says.
func (d *daemon) loadWith(s site, config loadgen.Config) *loadgen.Load {
	d.t.Helper()
	for _, lb := range append(d.sim.LoadBalancers, d.sim.GCP.LoadBalancers...) {
		if lb.Account == s.account && lb.Region == s.region && lb.Name == s.loadBalancer {
			config.URL = lb.URL
			load, err := loadgen.Start(d.t.Context(), config)
			if err != nil {
				d.t.Fatal(err)
			}
			return load
		}
	}
	d.t.Fatalf("no load balancer %s in %s of %s", s.loadBalancer, s.region, s.account)
	return nil
}

// audit asks the simulator's auditor to judge its log with the given bounds of
// the site's cluster. Where instances cannot be counted there are none.
func (d *daemon) audit(s site, floor, ceiling int) []violation {
	d.t.Helper()
	return d.auditBounds(d.bounds(s, floor), d.bounds(s, ceiling))
}

func (d *daemon) bounds(s site, n int) map[string]int {
	if !s.sized {
		return map[string]int{}
	}
	return map[string]int{s.account + "/" + s.region + "/" + s.cluster: n}
}

func (d *daemon) auditBounds(floors, ceilings map[string]int) []violation {
	d.t.Helper()
	var verdict struct {
		Violations []violation `json:"violations"`
	}
	config := map[string]any{"final": true, "floors": floors, "ceilings": ceilings}
	if status, raw := d.call(http.MethodPost, d.sim.Control+"/audit", config, &verdict); status != http.StatusOK {
		d.t.Fatalf("audit: %d %s", status, raw)
	}
	return verdict.Violations
}

// savePipeline saves a pipeline that deploys to the site.
func (d *daemon) savePipeline(s site, name string, size int, strategy map[string]any) {
	d.t.Helper()
	cluster := map[string]any{"account": s.account, "application": "storefront", "cloudProvider": s.provider,
		"capacity": map[string]int{"min": size, "max": size, "desired": size}}
	maps.Copy(cluster, s.fields)
	maps.Copy(cluster, strategy)
	document := map[string]any{"application": "storefront", "name": name,
		"parameterConfig": []map[string]any{{"name": "image", "required": true}},
		"stages":          []map[string]any{{"refId": "1", "type": "deploy", "name": "Deploy", "clusters": []any{cluster}}}}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		d.t.Fatalf("save pipeline: %d %s", status, raw)
	}
}
