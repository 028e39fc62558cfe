package gcp

import (
	"fmt"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// backendState is what a backend service remembers beside its message: the load balancers' view of its instances.
type backendState struct{ health []simcloud.TargetHealth }

func (s *backendState) copy() extra {
	return &backendState{health: append([]simcloud.TargetHealth(nil), s.health...)}
}

func (c *call) insertBackendService(in *computepb.InsertRegionBackendServiceRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetBackendServiceResource()).(*computepb.BackendService)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "backendServices")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkBackendService(message); refusal != nil {
		return nil, refusal
	}
	op := c.insert(path, creation{collection: collection, message: message, kind: "compute#backendService", typ: simcloud.TypeTargetGroup,
		quota: "BACKEND_SERVICES", extra: &backendState{}})
	message.Fingerprint = proto.String(c.cloud.newHash())
	if !c.data.resources[path].doomed {
		c.project.compute.runBackendService(path)
		c.tellTargets(nil, message)
	}
	return op, nil
}

// checkBackendService refuses what cannot be, and fills in defaults (discovery document, BackendService). It knows backend
// services of regional application load balancers only.
func (c *call) checkBackendService(message *computepb.BackendService) *apiError {
	if message.LoadBalancingScheme == nil {
		message.LoadBalancingScheme = proto.String("EXTERNAL")
	}
	for _, field := range []struct {
		value **string
		empty string
	}{{&message.Protocol, "HTTP"}, {&message.PortName, "http"}, {&message.SessionAffinity, "NONE"}, {&message.LocalityLbPolicy, "ROUND_ROBIN"}} {
		if *field.value == nil {
			*field.value = proto.String(field.empty)
		}
	}
	if message.TimeoutSec == nil {
		message.TimeoutSec = proto.Int32(30)
	}
	if message.ConnectionDraining == nil {
		message.ConnectionDraining = &computepb.ConnectionDraining{DrainingTimeoutSec: proto.Int32(0)}
	}
	if seconds := message.GetConnectionDraining().GetDrainingTimeoutSec(); seconds < 0 || seconds > 3600 {
		return invalidValue("resource.connectionDraining.drainingTimeoutSec", fmt.Sprint(seconds), "Must be between 0 and 3600.")
	}
	switch {
	case len(message.GetHealthChecks()) > 1:
		return invalidValue("resource.healthChecks", "", "At most one health check can be specified.")
	case len(message.GetHealthChecks()) == 0 && len(message.GetBackends()) > 0:
		return invalidValue("resource.healthChecks", "", "A backend service with instance group backends must have a health check.")
	}
	for i, url := range message.GetHealthChecks() {
		path, refusal := c.reference("resource.healthChecks[0]", url, "healthChecks")
		if refusal != nil {
			return refusal
		}
		message.HealthChecks[i] = selfLink(path)
	}
	return c.checkBackends(message)
}

func (c *call) checkBackends(message *computepb.BackendService) *apiError {
	seen := map[string]bool{}
	for i, b := range message.GetBackends() {
		at := fmt.Sprintf("resource.backends[%d].", i)
		if !strings.HasPrefix(b.GetGroup(), "https://") { // "Partial URLs are not supported"
			return invalidValue(at+"group", b.GetGroup(), "The URL is malformed.")
		}
		if path, ok := c.pathIn(b.GetGroup()); ok {
			if refusal := c.ready(managerOf(path)); refusal != nil {
				return refusal
			}
		}
		path, refusal := c.reference(at+"group", b.GetGroup(), "instanceGroups")
		if refusal != nil {
			return refusal
		}
		if seen[path] { // text: spinnaker issue 1663
			return invalidValue("resource.backends", path, "Duplicate instance groups in backend service.")
		}
		seen[path] = true
		b.Group = proto.String(selfLink(path))
		if b.BalancingMode == nil {
			b.BalancingMode = proto.String("UTILIZATION")
		}
		if b.CapacityScaler == nil {
			b.CapacityScaler = proto.Float32(1)
		}
		scale := b.GetCapacityScaler()
		if scale != 0 && scale < 0.1 || scale > 1 || scale < 0 {
			return invalidValue(at+"capacityScaler", fmt.Sprint(scale), "The valid ranges are 0.0 and [0.1,1.0].")
		}
		if scale == 0 && len(message.GetBackends()) == 1 {
			return invalidValue(at+"capacityScaler", "0", "You cannot configure a setting of 0 when there is only one backend attached to the backend service.")
		}
		if b.GetBalancingMode() == "RATE" && b.MaxRate == nil && b.MaxRatePerInstance == nil && b.MaxRatePerEndpoint == nil {
			return invalidValue(at+"maxRatePerInstance", "", "Balancing mode RATE needs a maximum rate.")
		}
	}
	return nil
}

// managerOf is the path of the manager of an instance group.
func managerOf(instanceGroup string) string {
	return strings.Replace(instanceGroup, "/instanceGroups/", "/instanceGroupManagers/", 1)
}

func (c *call) getBackendService(in *computepb.GetRegionBackendServiceRequest) (*computepb.BackendService, error) {
	return get[*computepb.BackendService](c, "regions", in.GetRegion(), "backendServices", in.GetBackendService())
}

func (c *call) listBackendServices(in *computepb.ListRegionBackendServicesRequest) (*computepb.BackendServiceList, error) {
	items, next, err := list[*computepb.BackendService](c, in, "regions", in.GetRegion(), "backendServices")
	return &computepb.BackendServiceList{Kind: proto.String("compute#backendServiceList"), Items: items, NextPageToken: next}, err
}

func (c *call) patchBackendService(in *computepb.PatchRegionBackendServiceRequest) (*computepb.Operation, error) {
	return c.changeBackendService(in.GetRegion(), in.GetBackendService(), in.GetBackendServiceResource(), "patch")
}

func (c *call) updateBackendService(in *computepb.UpdateRegionBackendServiceRequest) (*computepb.Operation, error) {
	return c.changeBackendService(in.GetRegion(), in.GetBackendService(), in.GetBackendServiceResource(), "update")
}

func (c *call) changeBackendService(region, name string, given *computepb.BackendService, how string) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", region, "backendServices", name)
	r, stored, err := writable[*computepb.BackendService](c, path)
	if err != nil {
		return nil, err
	}
	if refusal := checkFingerprint(given.Fingerprint, stored.GetFingerprint()); refusal != nil {
		return nil, refusal
	}
	next := merged(stored, given)
	if how == "update" {
		next = replaced(stored, given)
	}
	if refusal := c.checkBackendService(next); refusal != nil {
		return nil, refusal
	}
	next.Fingerprint = proto.String(c.cloud.newHash())
	r.message = next
	if next.GetDescription() != stored.GetDescription() {
		r.tags = tagsIn(next.GetDescription())
		c.resource(simcloud.ResourceUpdated, simcloud.TypeTargetGroup, r)
	}
	c.project.compute.runBackendService(path)
	c.tellTargets(stored, next)
	return c.begin(operationSpec{kind: how, target: path, scope: scopeOf(path)}), nil
}

// writable finds a resource for a write.
func writable[T proto.Message](c *call, path string) (*resource, T, error) {
	c.about = path
	var none T
	r := c.data.resources[path]
	if r == nil {
		return nil, none, notFound(path)
	}
	message, ok := r.message.(T)
	if !ok {
		return nil, none, notFound(path)
	}
	if refusal := c.ready(path); refusal != nil {
		return nil, none, refusal
	}
	return r, message, nil
}

// tellTargets logs which backend services each group is in, for the groups that a change is about.
func (c *call) tellTargets(before, after *computepb.BackendService) {
	told := map[string]bool{}
	for _, b := range append(append([]*computepb.Backend(nil), before.GetBackends()...), after.GetBackends()...) {
		g := groupOf(c.data.resources[managerOf(pathOfLink(b.GetGroup()))])
		if g == nil || told[g.path] {
			continue
		}
		told[g.path] = true
		services := c.project.compute.services(g)
		if services == nil {
			services = []string{}
		}
		c.project.log(g.region(), simcloud.Event{
			Kind: simcloud.ResourceUpdated, Type: simcloud.TypeGroup, Resource: g.path, Name: g.message.GetName(), TargetGroups: services,
			Principal: c.principal.email,
		})
	}
}

// deleteBackendService refuses while a URL map names the service.
func (c *call) deleteBackendService(in *computepb.DeleteRegionBackendServiceRequest) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", in.GetRegion(), "backendServices", in.GetBackendService())
	if by := c.project.compute.mapsOf(path); len(by) > 0 {
		return nil, inUse("backend_service", path, by[0])
	}
	stored := lookup[*computepb.BackendService](c.data, path)
	return c.remove(path, simcloud.TypeTargetGroup, func() {
		if tg := c.project.compute.targets[path]; tg != nil {
			tg.Close()
			delete(c.project.compute.targets, path)
		}
		c.tellTargets(stored, nil)
	})
}

// getBackendHealth shows the instances of one group that the load balancer judges: those of a backend service that no URL map
// of a forwarding rule names are not listed (assumption).
func (c *call) getBackendHealth(in *computepb.GetHealthRegionBackendServiceRequest) (*computepb.BackendServiceGroupHealth, error) {
	service, err := get[*computepb.BackendService](c, "regions", in.GetRegion(), "backendServices", in.GetBackendService())
	if err != nil {
		return nil, err
	}
	url := in.GetResourceGroupReferenceResource().GetGroup()
	path, _ := c.pathIn(url)
	var backend *computepb.Backend
	for _, b := range service.GetBackends() {
		if pathOfLink(b.GetGroup()) == path {
			backend = b
		}
	}
	g := groupOf(c.data.resources[managerOf(path)])
	if backend == nil || g == nil {
		return nil, invalidValue("group", url, "The group is not a backend of the backend service.")
	}
	out := &computepb.BackendServiceGroupHealth{Kind: proto.String("compute#backendServiceGroupHealth")}
	for _, h := range c.data.resources[c.about].extra.(*backendState).health {
		if m := g.member(h.Instance); m != nil && h.State != simcloud.TargetUnused {
			out.HealthStatus = append(out.HealthStatus, healthStatus(selfLink(g.instancePath(c.project, m)), h, portOf(g, service.GetPortName())))
		}
	}
	return out, nil
}

func portOf(g *group, name string) int32 {
	for _, port := range g.message.GetNamedPorts() {
		if port.GetName() == name {
			return port.GetPort()
		}
	}
	return 80
}

func healthStatus(instance string, h simcloud.TargetHealth, port int32) *computepb.HealthStatus {
	state := "UNHEALTHY"
	if h.State == simcloud.TargetHealthy {
		state = "HEALTHY"
	}
	return &computepb.HealthStatus{Instance: &instance, HealthState: &state, IpAddress: proto.String("127.0.0.1"), Port: &port}
}
