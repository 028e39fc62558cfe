package gcp

import (
	"fmt"
	"maps"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// SeedService describes a service of Cloud Run that serves before anybody calls.
type SeedService struct {
	Project, Region string
	// Service is the service's name, Revision that of its only revision, which takes all traffic.
	Service, Revision string
	// Image is the container image, such as "us-docker.pkg.dev/shop/images/storefront:1.0".
	Image string
	// Annotations are those of the revision, such as "slipway.dev/cluster".
	Annotations map[string]string
	// Min is the least number of the revision's containers; 0 means that one runs all the same.
	Min int
	// Drain is the request timeout: how long a request may take to end when its container is stopped; 300 s when 0.
	Drain time.Duration
}

// SeedService makes a service with one revision by the same way that clients do. Its containers boot by the clock like any
// others; the image must have been published.
func (c *Cloud) SeedService(seed SeedService) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.projects[seed.Project]
	if p == nil {
		return fmt.Errorf("seed service %s: project %s does not exist", seed.Service, seed.Project)
	}
	path := pathOf(p.id, "locations", seed.Region, "services", seed.Service)
	if p.data.resources[path] != nil {
		return fmt.Errorf("seed service %s: it exists", seed.Service)
	}
	template := &runpb.RevisionTemplate{
		Revision: seed.Revision, Annotations: maps.Clone(seed.Annotations),
		Containers: []*runpb.Container{{Image: seed.Image}},
		Scaling:    &runpb.RevisionScaling{MinInstanceCount: int32(seed.Min)},
	}
	if seed.Drain > 0 {
		template.Timeout = durationpb.New(seed.Drain)
	}
	call := &call{
		cloud: c, project: p, data: p.data, now: c.world.Clock.Now(), about: path,
		principal: principal{project: p, email: "seed@" + p.id + ".iam.gserviceaccount.com"},
	}
	_, err := call.createService(path, &runpb.Service{
		Template: template, Traffic: []*runpb.TrafficTarget{{Type: trafficRevision, Revision: seed.Revision, Percent: 100}},
	}, false)
	if err != nil {
		return fmt.Errorf("seed service %s: %w", seed.Service, err)
	}
	p.reconcile(call.now)
	return nil
}

// LoadBalancerInfo says where the traffic of a load balancer, or of a service of Cloud Run, goes in.
type LoadBalancerInfo struct {
	Name    string `json:"name"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// URL is the loopback URL.
	URL string `json:"url"`
}

// RunServices returns the services of Cloud Run with the loopback URLs that their traffic goes in at, by account, region
// and name.
func (c *Cloud) RunServices() []LoadBalancerInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	urls := map[string]bool{}
	for _, p := range c.projects {
		for path := range p.run.services {
			urls[path] = true
		}
	}
	var infos []LoadBalancerInfo
	for _, lb := range c.world.LoadBalancers() {
		if config := lb.Config(); urls[config.ID] {
			infos = append(infos, LoadBalancerInfo{config.Name, config.Account, config.Region, lb.URL(listenPort)})
		}
	}
	return infos
}
