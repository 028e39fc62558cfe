package gcp

import (
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// SeedCluster describes a server group behind a load balancer that serves before anybody calls.
type SeedCluster struct {
	Project, Region string
	// LoadBalancer is the name of the URL map; it is made, with a target proxy and a forwarding rule on port 80.
	LoadBalancer string
	// Group is the name of the managed instance group, and of its template and backend service.
	Group string
	// Image is the name of its image, in the world or in Compute Engine; it must be published already.
	Image string
	// HealthCheck is the name of the health check, which is made if it does not exist; "storefront" when empty.
	HealthCheck string
	// Capacity.Desired is the target size; there is no autoscaler.
	Capacity simcloud.Capacity
	// Tags go into the description of the template, the group and the backend service.
	Tags map[string]string
	// DrainSeconds is the connection draining timeout; 30 when 0.
	DrainSeconds int
}

// SeedLoadBalancer describes a load balancer without a server group: its default service is a backend service of the same name
// without backends, which answers 503.
type SeedLoadBalancer struct {
	Project, Region string
	// Name is the name of the URL map.
	Name string
	// HealthCheck is the name of a health check that is made if it does not exist; "storefront" when empty.
	HealthCheck string
}

// SeedImage publishes an image for a project.
func (c *Cloud) SeedImage(project string, image simcloud.Image) (simcloud.Image, error) {
	c.mu.Lock()
	if p := c.projects[project]; p != nil && image.Account == "" {
		image.Account = p.account
	}
	c.mu.Unlock()
	published, err := c.world.Images.Publish(image)
	if err != nil {
		return simcloud.Image{}, fmt.Errorf("publish image %s: %w", image.Name, err)
	}
	return published, nil
}

// SeedCluster makes the parts of a server group: health check, template, group, backend service, and a URL map whose default
// sends all traffic to it, with a proxy and a forwarding rule. Its instances boot by the clock like any others.
func (c *Cloud) SeedCluster(seed SeedCluster) error {
	s, err := c.newSeeder(seed.Project, seed.Region, seed.HealthCheck)
	if err != nil {
		return fmt.Errorf("seed cluster %s: %w", seed.Group, err)
	}
	defer c.mu.Unlock()
	if err := s.cluster(seed); err != nil {
		return fmt.Errorf("seed cluster %s: %w", seed.Group, err)
	}
	return nil
}

// SeedLoadBalancer makes a URL map with a placeholder for a default service, a proxy and a forwarding rule.
func (c *Cloud) SeedLoadBalancer(seed SeedLoadBalancer) error {
	s, err := c.newSeeder(seed.Project, seed.Region, seed.HealthCheck)
	if err != nil {
		return fmt.Errorf("seed load balancer %s: %w", seed.Name, err)
	}
	defer c.mu.Unlock()
	err = s.do(
		s.healthCheck,
		func() (*computepb.Operation, error) {
			return s.call.insertBackendService(&computepb.InsertRegionBackendServiceRequest{Region: s.region, BackendServiceResource: &computepb.BackendService{
				Name: &seed.Name, LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"), HealthChecks: []string{s.link("healthChecks", s.check)},
			}})
		},
		func() (*computepb.Operation, error) {
			return s.urlMap(&computepb.UrlMap{Name: &seed.Name, DefaultService: proto.String(s.link("backendServices", seed.Name))})
		},
		func() (*computepb.Operation, error) { return s.proxy(seed.Name) },
		func() (*computepb.Operation, error) { return s.forwardingRule(seed.Name) },
	)
	if err != nil {
		return fmt.Errorf("seed load balancer %s: %w", seed.Name, err)
	}
	return nil
}

// SeedGlobalURLMap makes a URL map of a global load balancer, which serves nothing: it exists to be told apart.
func (c *Cloud) SeedGlobalURLMap(project, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.projects[project]
	if p == nil {
		return fmt.Errorf("seed URL map %s: project %s does not exist", name, project)
	}
	p.compute.put(pathOf(project, "global", "urlMaps", name), "compute#urlMap", &computepb.UrlMap{Fingerprint: proto.String(c.newHash())})
	return nil
}

// seeder makes things with the same handlers that clients use.
type seeder struct {
	call          *call
	region, check string
}

// newSeeder returns a seeder that holds the cloud's lock.
func (c *Cloud) newSeeder(project, region, check string) (*seeder, error) {
	c.mu.Lock()
	p := c.projects[project]
	if p == nil || p.regions[region] == nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("project %s has no region %s", project, region)
	}
	if check == "" {
		check = "storefront"
	}
	return &seeder{region: region, check: check, call: &call{
		cloud: c, project: p, data: p.data, principal: principal{project: p, email: "owner@" + p.id + ".iam.gserviceaccount.com"},
		request: &request{method: c.router.methods[serviceCompute+"/ForwardingRules.Insert"], input: &computepb.InsertForwardingRuleRequest{}},
		now:     c.world.Clock.Now(), seeding: true,
	}}, nil
}

// do takes steps one by one. A nil operation means that there was nothing to do.
func (s *seeder) do(steps ...func() (*computepb.Operation, error)) error {
	for _, step := range steps {
		if _, err := step(); err != nil {
			return err
		}
	}
	s.call.project.finishOperations(s.call.now.Add(time.Nanosecond)) // the end of what a seeding call begins
	s.call.project.reconcile(s.call.now)
	return nil
}

func (s *seeder) link(collection, name string) string {
	return selfLink(pathOf(s.call.project.id, "regions", s.region, collection, name))
}

func (s *seeder) healthCheck() (*computepb.Operation, error) {
	if s.call.data.resources[pathOf(s.call.project.id, "regions", s.region, "healthChecks", s.check)] != nil {
		return nil, nil
	}
	return s.call.insertRegionHealthCheck(&computepb.InsertRegionHealthCheckRequest{Region: s.region, HealthCheckResource: &computepb.HealthCheck{
		Name: &s.check, Type: proto.String("HTTP"), CheckIntervalSec: proto.Int32(5), TimeoutSec: proto.Int32(2),
		HttpHealthCheck: &computepb.HTTPHealthCheck{RequestPath: proto.String("/healthz"), PortSpecification: proto.String("USE_SERVING_PORT")},
	}})
}

func (s *seeder) urlMap(message *computepb.UrlMap) (*computepb.Operation, error) {
	return s.call.insertURLMap(&computepb.InsertRegionUrlMapRequest{Region: s.region, UrlMapResource: message})
}

func (s *seeder) proxy(name string) (*computepb.Operation, error) {
	return s.call.insertProxy(&computepb.InsertRegionTargetHttpProxyRequest{Region: s.region, TargetHttpProxyResource: &computepb.TargetHttpProxy{
		Name: &name, UrlMap: proto.String(s.link("urlMaps", name)),
	}})
}

func (s *seeder) forwardingRule(name string) (*computepb.Operation, error) {
	return s.call.insertForwardingRule(&computepb.InsertForwardingRuleRequest{Region: s.region, ForwardingRuleResource: &computepb.ForwardingRule{
		Name: &name, Target: proto.String(s.link("targetHttpProxies", name)), PortRange: proto.String("80"),
		LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"),
	}})
}

func (s *seeder) cluster(seed SeedCluster) error {
	description, err := json.Marshal(seed.Tags)
	if err != nil {
		return fmt.Errorf("encode tags: %w", err)
	}
	text := string(description)
	drain := seed.DrainSeconds
	if drain == 0 {
		drain = 30
	}
	return s.do(
		s.healthCheck,
		func() (*computepb.Operation, error) { return s.template(seed, text) },
		func() (*computepb.Operation, error) {
			return s.call.insertGroup(&computepb.InsertRegionInstanceGroupManagerRequest{Region: s.region, InstanceGroupManagerResource: &computepb.InstanceGroupManager{
				Name: &seed.Group, Description: &text, InstanceTemplate: proto.String(s.link("instanceTemplates", seed.Group)),
				TargetSize: proto.Int32(int32(seed.Capacity.Desired)), NamedPorts: []*computepb.NamedPort{{Name: proto.String("http"), Port: proto.Int32(8080)}},
			}})
		},
		func() (*computepb.Operation, error) {
			return s.call.insertBackendService(&computepb.InsertRegionBackendServiceRequest{Region: s.region, BackendServiceResource: &computepb.BackendService{
				Name: &seed.Group, Description: &text, LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"), PortName: proto.String("http"),
				HealthChecks: []string{s.link("healthChecks", s.check)}, Backends: []*computepb.Backend{{Group: proto.String(s.link("instanceGroups", seed.Group))}},
				ConnectionDraining: &computepb.ConnectionDraining{DrainingTimeoutSec: proto.Int32(int32(drain))},
			}})
		},
		func() (*computepb.Operation, error) {
			return s.urlMap(&computepb.UrlMap{Name: &seed.LoadBalancer, DefaultRouteAction: &computepb.HttpRouteAction{
				WeightedBackendServices: []*computepb.WeightedBackendService{{
					BackendService: proto.String(s.link("backendServices", seed.Group)), Weight: proto.Uint32(100),
				}},
			}})
		},
		func() (*computepb.Operation, error) { return s.proxy(seed.LoadBalancer) },
		func() (*computepb.Operation, error) { return s.forwardingRule(seed.LoadBalancer) },
	)
}

func (s *seeder) template(seed SeedCluster, description string) (*computepb.Operation, error) {
	source := selfLink(pathOf(s.call.project.id, "global", "images", imageName(seed.Image)))
	return s.call.insertTemplate(&computepb.InsertRegionInstanceTemplateRequest{Region: s.region, InstanceTemplateResource: &computepb.InstanceTemplate{
		Name: &seed.Group, Description: &description, Properties: &computepb.InstanceProperties{
			MachineType:       proto.String("e2-small"),
			Disks:             []*computepb.AttachedDisk{{Boot: proto.Bool(true), AutoDelete: proto.Bool(true), InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: &source}}},
			NetworkInterfaces: []*computepb.NetworkInterface{{Subnetwork: proto.String(s.link("subnetworks", "default"))}},
		},
	}})
}

// LoadBalancers returns the load balancers of the cloud's projects that have a forwarding rule, by account, region and name.
func (c *Cloud) LoadBalancers() []LoadBalancerInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := map[string]bool{}
	for _, p := range c.projects {
		for _, lb := range p.compute.balancers {
			mine[lb.Config().ID] = true
		}
	}
	var infos []LoadBalancerInfo
	for _, lb := range c.world.LoadBalancers() {
		config := lb.Config()
		if ports := lb.Ports(); len(ports) > 0 && mine[config.ID] {
			infos = append(infos, LoadBalancerInfo{config.Name, config.Account, config.Region, lb.URL(ports[0])})
		}
	}
	return infos
}
