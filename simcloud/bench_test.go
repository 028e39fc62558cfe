package simcloud_test

import (
	"net/http"
	"testing"

	"github.com/slipway-cd/slipway/simcloud"
)

// BenchmarkProxy measures one request through a load balancer, client and instance included.
func BenchmarkProxy(b *testing.B) {
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: 100})
	defer world.Close()
	lb := simcloud.NewLoadBalancer(world, simcloud.LoadBalancerConfig{ID: "lb", Name: "lb"})
	url, err := lb.Listen(80)
	if err != nil {
		b.Fatal(err)
	}
	g := simcloud.NewTargetGroup(world, simcloud.TargetGroupConfig{ID: "tg", HealthCheck: simcloud.HealthCheck{Path: "/healthz"}})
	rule := simcloud.Rule{ID: "default", Forward: []simcloud.Destination{{TargetGroup: g, Weight: 100}}}
	if err := lb.SetRules(80, []simcloud.Rule{rule}); err != nil {
		b.Fatal(err)
	}
	i, err := world.Fleet.Launch(simcloud.Launch{ID: "i", Image: simcloud.Image{Name: "x"}})
	if err != nil {
		b.Fatal(err)
	}
	g.Register(i)
	if _, err := world.Log.Await(b.Context(), 0, func(e simcloud.Event) bool { return e.State == "healthy" }); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		response, err := http.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}
