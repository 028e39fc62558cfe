package gcp

import (
	"encoding/json"
	"fmt"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// SeedOthers describes what others have in a project's region: managed instance groups without instances, and the templates
// and backend services that belong to them, which no URL map names.
type SeedOthers struct {
	Project, Region string
	// Count is how many of each there are.
	Count int
	// Image is the name of the templates' image, as in SeedCluster.
	Image string
	// Tags returns the tags in the descriptions of the nth of each.
	Tags func(n int) map[string]string
}

// SeedOthers puts Count templates, groups and backend services "other<n>-v000" into a region. The first of each is made by the
// handlers that clients use, the rest are copies of it under other names.
func (c *Cloud) SeedOthers(seed SeedOthers) error {
	if seed.Count == 0 {
		return nil
	}
	s, err := c.newSeeder(seed.Project, seed.Region, "")
	if err != nil {
		return fmt.Errorf("seed others: %w", err)
	}
	defer c.mu.Unlock()
	for n := range seed.Count {
		name := fmt.Sprintf("other%d-v000", n)
		description, err := json.Marshal(seed.Tags(n))
		if err != nil {
			return fmt.Errorf("seed %s: encode tags: %w", name, err)
		}
		if n > 0 {
			s.copyOther(name, string(description))
			continue
		}
		err = s.do(
			s.healthCheck,
			func() (*computepb.Operation, error) {
				return s.template(SeedCluster{Group: name, Image: seed.Image}, string(description))
			},
			func() (*computepb.Operation, error) { return s.emptyGroup(name, string(description)) },
			func() (*computepb.Operation, error) { return s.unroutedService(name, string(description)) },
		)
		if err != nil {
			return fmt.Errorf("seed %s: %w", name, err)
		}
	}
	return nil
}

// copyOther puts copies of the first template, group and backend service beside them.
func (s *seeder) copyOther(name, description string) {
	const first = "other0-v000"
	plane := s.call.project.compute
	path := func(collection, name string) string {
		return pathOf(s.call.project.id, "regions", s.region, collection, name)
	}
	template := proto.CloneOf(lookup[*computepb.InstanceTemplate](s.call.data, path("instanceTemplates", first)))
	template.Description = &description
	plane.put(path("instanceTemplates", name), "compute#instanceTemplate", template)
	group := proto.CloneOf(lookup[*computepb.InstanceGroupManager](s.call.data, path("instanceGroupManagers", first)))
	group.Description, group.BaseInstanceName = &description, &name
	plane.put(path("instanceGroupManagers", name), "compute#instanceGroupManager", group)
	s.call.data.resources[path("instanceGroupManagers", name)].extra = &groupState{}
	service := proto.CloneOf(lookup[*computepb.BackendService](s.call.data, path("backendServices", first)))
	service.Description = &description
	plane.put(path("backendServices", name), "compute#backendService", service)
}

func (s *seeder) emptyGroup(name, description string) (*computepb.Operation, error) {
	return s.call.insertGroup(&computepb.InsertRegionInstanceGroupManagerRequest{Region: s.region, InstanceGroupManagerResource: &computepb.InstanceGroupManager{
		Name: &name, Description: &description, InstanceTemplate: proto.String(s.link("instanceTemplates", name)), TargetSize: proto.Int32(0),
	}})
}

func (s *seeder) unroutedService(name, description string) (*computepb.Operation, error) {
	return s.call.insertBackendService(&computepb.InsertRegionBackendServiceRequest{Region: s.region, BackendServiceResource: &computepb.BackendService{
		Name: &name, Description: &description, LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"),
		HealthChecks: []string{s.link("healthChecks", s.check)}, Backends: []*computepb.Backend{{Group: proto.String(s.link("instanceGroups", name))}},
	}})
}
