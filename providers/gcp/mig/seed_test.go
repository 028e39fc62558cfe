package mig_test

import (
	"context"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// addService makes a backend service of nobody with the groups as its backends.
func (c *cloud) addService(t *testing.T, name string, groups ...string) {
	t.Helper()
	resource := &computepb.BackendService{
		Name: proto.String(name), LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"), Protocol: proto.String("HTTP"), PortName: proto.String("web"),
		HealthChecks: []string{path("healthChecks", check)},
	}
	for _, group := range groups {
		// A backend's group is the one reference that must be a full URL.
		resource.Backends = append(resource.Backends, &computepb.Backend{Group: c.manager(t.Context(), group).InstanceGroup, BalancingMode: proto.String("UTILIZATION")})
	}
	done(c.services.Insert(t.Context(), &computepb.InsertRegionBackendServiceRequest{Project: project, Region: region, BackendServiceResource: resource}))
}

// addMap makes a URL map with its own forwarding rule.
func (c *cloud) addMap(t *testing.T, name, service string, matchers ...*computepb.PathMatcher) {
	t.Helper()
	resource := &computepb.UrlMap{Name: proto.String(name), DefaultService: proto.String(path("backendServices", service)), PathMatchers: matchers}
	for _, m := range matchers {
		resource.HostRules = append(resource.HostRules, &computepb.HostRule{Hosts: []string{m.GetName() + ".example.com"}, PathMatcher: m.Name})
	}
	done(c.urlMaps.Insert(t.Context(), &computepb.InsertRegionUrlMapRequest{Project: project, Region: region, UrlMapResource: resource}))
	done(c.proxies.Insert(t.Context(), &computepb.InsertRegionTargetHttpProxyRequest{
		Project: project, Region: region, TargetHttpProxyResource: &computepb.TargetHttpProxy{Name: proto.String(name), UrlMap: proto.String(path("urlMaps", name))},
	}))
	done(c.forwardingRules.Insert(t.Context(), &computepb.InsertForwardingRuleRequest{
		Project: project, Region: region, ForwardingRuleResource: &computepb.ForwardingRule{
			Name: proto.String(name), Target: proto.String(path("targetHttpProxies", name)), LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"),
			PortRange: proto.String("80"), IPProtocol: proto.String("TCP"), Network: proto.String("global/networks/default"),
		},
	}))
}

func (c *cloud) urlMap(t *testing.T, name string) *computepb.UrlMap {
	t.Helper()
	return must(c.urlMaps.Get(t.Context(), &computepb.GetRegionUrlMapRequest{Project: project, Region: region, UrlMap: name}))
}

// changeMap writes a URL map behind the back of the target.
func (c *cloud) changeMap(t *testing.T, name string, change func(*computepb.UrlMap)) {
	t.Helper()
	m := c.urlMap(t, name)
	change(m)
	done(c.urlMaps.Update(t.Context(), &computepb.UpdateRegionUrlMapRequest{Project: project, Region: region, UrlMap: name, UrlMapResource: m}))
}

// split is a route action with weights by the names of backend services.
func split(services []string, shares []uint32) *computepb.HttpRouteAction {
	out := &computepb.HttpRouteAction{}
	for i, name := range services {
		out.WeightedBackendServices = append(out.WeightedBackendServices, &computepb.WeightedBackendService{
			BackendService: proto.String(path("backendServices", name)), Weight: proto.Uint32(shares[i]),
		})
	}
	return out
}

func (c *cloud) manager(ctx context.Context, name string) *computepb.InstanceGroupManager {
	return must(c.managers.Get(ctx, &computepb.GetRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: name}))
}

func (c *cloud) service(ctx context.Context, name string) *computepb.BackendService {
	return must(c.services.Get(ctx, &computepb.GetRegionBackendServiceRequest{Project: project, Region: region, BackendService: name}))
}

func (c *cloud) autoscaler(ctx context.Context, name string) *computepb.Autoscaler {
	return must(c.autoscalers.Get(ctx, &computepb.GetRegionAutoscalerRequest{Project: project, Region: region, Autoscaler: name}))
}
