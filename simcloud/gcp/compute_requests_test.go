package gcp_test

import (
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestFingerprints: a change that was not made from the present state is refused, with a stale fingerprint as well as
// with none.
func TestFingerprints(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.seedShop(1)
	patchService := func(fingerprint *string) error {
		_, err := r.services.Patch(t.Context(), &computepb.PatchRegionBackendServiceRequest{
			Project: shopProject, Region: shopRegion, BackendService: oldGroup,
			BackendServiceResource: &computepb.BackendService{Fingerprint: fingerprint, TimeoutSec: proto.Int32(9)},
		})
		return err
	}
	patchGroup := func(fingerprint *string) error {
		_, err := r.managers.Patch(t.Context(), &computepb.PatchRegionInstanceGroupManagerRequest{
			Project: shopProject, Region: shopRegion, InstanceGroupManager: oldGroup,
			InstanceGroupManagerResource: &computepb.InstanceGroupManager{Fingerprint: fingerprint, TargetSize: proto.Int32(2)},
		})
		return err
	}
	patchMap := func(fingerprint *string) error {
		_, err := r.patchMap(&computepb.UrlMap{Fingerprint: fingerprint, DefaultRouteAction: weighted(oldGroup, 1)})
		return err
	}
	service := need(r.services.Get(t.Context(), &computepb.GetRegionBackendServiceRequest{Project: shopProject, Region: shopRegion, BackendService: oldGroup}))(t)
	for name, row := range map[string]struct {
		patch       func(*string) error
		fingerprint *string
		without     string
	}{
		"URL map":         {patchMap, r.urlMap().Fingerprint, "412 conditionNotMet"},
		"backend service": {patchService, service.Fingerprint, "412 conditionNotMet"},
		"group":           {patchGroup, r.group(oldGroup).Fingerprint, "<nil>"},
	} {
		if got := why(row.patch(proto.String("stale"))); got != "412 conditionNotMet" {
			t.Errorf("%s with a wrong fingerprint: %s", name, got)
		}
		if got := why(row.patch(row.fingerprint)); got != "<nil>" {
			t.Errorf("%s with its fingerprint: %s", name, got)
		}
		if got := why(row.patch(row.fingerprint)); got != "412 conditionNotMet" {
			t.Errorf("%s with the fingerprint from before: %s", name, got)
		}
		if got := why(row.patch(nil)); got != row.without {
			t.Errorf("%s without fingerprint: %s, want %s", name, got, row.without)
		}
	}
}

// TestMapPlaces: a patch cannot take the default service away, an update can; exactly one destination must be set, and its
// weights must not all be 0.
func TestMapPlaces(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.seedShop(1)
	if err := r.cloud.SeedLoadBalancer(gcp.SeedLoadBalancer{Project: shopProject, Region: shopRegion, Name: "empty"}); err != nil {
		t.Fatal(err)
	}
	read := func() *computepb.UrlMap {
		return need(r.maps.Get(t.Context(), &computepb.GetRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "empty"}))(t)
	}
	patch := func(m *computepb.UrlMap) error {
		m.Fingerprint = read().Fingerprint
		_, err := r.maps.Patch(t.Context(), &computepb.PatchRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "empty", UrlMapResource: m})
		return err
	}
	missing := weighted("nobody", 1)
	for name, row := range map[string]struct {
		patch *computepb.UrlMap
		want  string
	}{
		"weights beside a service":  {&computepb.UrlMap{DefaultRouteAction: weighted(oldGroup, 100)}, "400 invalid"},
		"a redirect beside it":      {&computepb.UrlMap{DefaultUrlRedirect: &computepb.HttpRedirectAction{PathRedirect: proto.String("/x")}}, "400 invalid"},
		"nobody":                    {&computepb.UrlMap{DefaultService: proto.String(link("backendServices", "nobody"))}, "404 notFound"},
		"another region":            {&computepb.UrlMap{DefaultService: proto.String("regions/europe-west1/backendServices/x")}, "400 invalid"},
		"no URL":                    {&computepb.UrlMap{DefaultService: proto.String(oldGroup)}, "400 invalid"},
		"a path matcher of nothing": {&computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{Name: proto.String("m")}}}, "400 invalid"},
		"weights of nobody":         {&computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{Name: proto.String("m"), DefaultRouteAction: missing}}}, "404 notFound"},
		"weights of 0":              {&computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{Name: proto.String("m"), DefaultRouteAction: weighted(oldGroup, 0)}}}, "400 invalid"},
		"a weight of 1001":          {&computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{Name: proto.String("m"), DefaultRouteAction: weighted(oldGroup, 1001)}}}, "400 invalid"},
		"a host rule to nowhere":    {&computepb.UrlMap{HostRules: []*computepb.HostRule{{Hosts: []string{"*"}, PathMatcher: proto.String("m")}}}, "400 invalid"},
	} {
		if got := why(patch(row.patch)); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
	matcher := &computepb.UrlMap{PathMatchers: []*computepb.PathMatcher{{Name: proto.String("m"), DefaultRouteAction: weighted(oldGroup, 1)}}}
	if err := patch(matcher); err != nil {
		t.Errorf("a matcher with weights: %v", err)
	}
	next := read()
	if len(next.GetPathMatchers()) != 1 || next.GetDefaultService() != full("backendServices", "empty") {
		t.Errorf("after a patch of the path matchers: %v", next)
	}
	next.DefaultService, next.DefaultRouteAction, next.PathMatchers = nil, weighted(oldGroup, 100), nil
	r.done(r.maps.Update(t.Context(), &computepb.UpdateRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "empty", UrlMapResource: next}))
	after := read()
	if after.DefaultService != nil || len(after.GetPathMatchers()) != 0 || after.GetId() != next.GetId() ||
		after.GetDefaultRouteAction().GetWeightedBackendServices()[0].GetBackendService() != full("backendServices", oldGroup) {
		t.Errorf("after an update: %v", after)
	}
	result := need(r.maps.Validate(t.Context(), &computepb.ValidateRegionUrlMapRequest{
		Project: shopProject, Region: shopRegion, UrlMap: "empty",
		RegionUrlMapsValidateRequestResource: &computepb.RegionUrlMapsValidateRequest{Resource: &computepb.UrlMap{DefaultRouteAction: missing}},
	}))(t).GetResult()
	if result.GetLoadSucceeded() || len(result.GetLoadErrors()) != 1 {
		t.Errorf("validated: %v", result)
	}
}

// TestRefusals is what the methods say no to.
func TestRefusals(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.seedShop(1)
	template := func(change func(*computepb.InstanceTemplate)) error {
		message := templateOf("fresh", "shop-1-1")
		change(message)
		_, err := r.templates.Insert(t.Context(), &computepb.InsertRegionInstanceTemplateRequest{Project: shopProject, Region: shopRegion, InstanceTemplateResource: message})
		return err
	}
	service := func(change func(*computepb.BackendService)) error {
		message := &computepb.BackendService{
			Name: proto.String("fresh"), HealthChecks: []string{link("healthChecks", "storefront")},
			Backends: []*computepb.Backend{{Group: proto.String(full("instanceGroups", oldGroup))}},
		}
		change(message)
		_, err := r.services.Insert(t.Context(), &computepb.InsertRegionBackendServiceRequest{Project: shopProject, Region: shopRegion, BackendServiceResource: message})
		return err
	}
	group := func(change func(*computepb.InstanceGroupManager)) error {
		_, err := r.addGroup("fresh", 1, func(m *computepb.InstanceGroupManager) {
			m.InstanceTemplate = proto.String(link("instanceTemplates", oldGroup))
			change(m)
		})
		return err
	}
	backend := func(change func(*computepb.Backend)) error {
		return service(func(m *computepb.BackendService) { change(m.Backends[0]) })
	}
	for name, row := range map[string]struct {
		err  error
		want string
	}{
		"a name with a dot":    {template(func(m *computepb.InstanceTemplate) { m.Name = proto.String("shop-1.1") }), "400 invalid"},
		"a name that is taken": {template(func(m *computepb.InstanceTemplate) { m.Name = proto.String(oldGroup) }), "409 alreadyExists"},
		"an image that is missing": {template(func(m *computepb.InstanceTemplate) {
			*m.Properties.Disks[0].InitializeParams.SourceImage = "global/images/x"
		}), "400 invalid"},
		"a network that is missing": {template(func(m *computepb.InstanceTemplate) {
			m.Properties.NetworkInterfaces[0].Network = proto.String("global/networks/x")
		}), "404 notFound"},
		"no machine type":             {template(func(m *computepb.InstanceTemplate) { m.Properties.MachineType = nil }), "400 invalid"},
		"a template that is missing":  {group(func(m *computepb.InstanceGroupManager) { *m.InstanceTemplate = link("instanceTemplates", "x") }), "404 notFound"},
		"no target size":              {group(func(m *computepb.InstanceGroupManager) { m.TargetSize = nil }), "400 required"},
		"a zone of another region":    {group(func(m *computepb.InstanceGroupManager) { m.DistributionPolicy = zonesOf("europe-west1-b") }), "400 invalid"},
		"a health check that is not":  {group(func(m *computepb.InstanceGroupManager) { m.AutoHealingPolicies = healing("x", 0) }), "404 notFound"},
		"an initial delay of 2 hours": {group(func(m *computepb.InstanceGroupManager) { m.AutoHealingPolicies = healing("storefront", 7200) }), "400 invalid"},
		"a backend by a partial URL":  {backend(func(b *computepb.Backend) { *b.Group = link("instanceGroups", oldGroup) }), "400 invalid"},
		"a backend that is missing":   {backend(func(b *computepb.Backend) { *b.Group = full("instanceGroups", "x") }), "404 notFound"},
		"the only backend at 0":       {backend(func(b *computepb.Backend) { b.CapacityScaler = proto.Float32(0) }), "400 invalid"},
		"a backend at 0.05":           {backend(func(b *computepb.Backend) { b.CapacityScaler = proto.Float32(0.05) }), "400 invalid"},
		"a backend twice": {service(func(m *computepb.BackendService) {
			m.Backends = append(m.Backends, proto.Clone(m.Backends[0]).(*computepb.Backend))
		}), "400 invalid"},
		"no health check": {service(func(m *computepb.BackendService) { m.HealthChecks = nil }), "400 invalid"},
		"a good one":      {service(func(*computepb.BackendService) {}), "<nil>"},
	} {
		if got := why(row.err); got != row.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, row.want, row.err)
		}
	}
	// The scheme of a backend service decides which URL maps may name it.
	r.advance(3 * time.Second)
	_, err := r.patchMap(&computepb.UrlMap{Fingerprint: r.urlMap().Fingerprint, DefaultRouteAction: weighted("fresh", 1)})
	if why(err) != "400 invalid" {
		t.Errorf("a URL map with a passthrough backend service: %v", err)
	}
}

func zonesOf(names ...string) *computepb.DistributionPolicy {
	out := &computepb.DistributionPolicy{}
	for _, name := range names {
		out.Zones = append(out.Zones, &computepb.DistributionPolicyZoneConfiguration{Zone: proto.String("zones/" + name)})
	}
	return out
}

func healing(check string, delay int32) []*computepb.InstanceGroupManagerAutoHealingPolicy {
	return []*computepb.InstanceGroupManagerAutoHealingPolicy{{HealthCheck: proto.String(link("healthChecks", check)), InitialDelaySec: &delay}}
}

// TestNotReady: what is being made cannot be used yet.
func TestNotReady(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	op := need(r.templates.Insert(t.Context(), &computepb.InsertRegionInstanceTemplateRequest{
		Project: shopProject, Region: shopRegion, InstanceTemplateResource: templateOf(newGroup, "shop-1-1"),
	}))(t)
	if _, err := r.addGroup(newGroup, 1); why(err) != "400 resourceNotReady" {
		t.Errorf("a group of a template that is being made: %v", err)
	}
	r.done(op, nil)
	r.done(r.addGroup(newGroup, 1))
}

// TestLostAnswer repeats a write whose answer was lost: the request id leads to the first operation.
func TestLostAnswer(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	need(r.world.Faults.Add(simcloud.Fault{
		Match: simcloud.Match{Action: "RegionInstanceGroupManagers.Insert"}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter}, Times: 1,
	}))(t)
	insert := func(id string) (*compute.Operation, error) {
		return r.managers.Insert(t.Context(), &computepb.InsertRegionInstanceGroupManagerRequest{
			Project: shopProject, Region: shopRegion, RequestId: &id, InstanceGroupManagerResource: &computepb.InstanceGroupManager{
				Name: proto.String(newGroup), InstanceTemplate: proto.String(link("instanceTemplates", newGroup)), TargetSize: proto.Int32(1),
			},
		})
	}
	const id = "0b6f2c5e-3c53-4b0a-9d3b-0d3a7d5c1e11"
	if _, err := insert(id); err == nil {
		t.Fatal("the answer was not lost")
	}
	first, second := need(insert(id))(t), need(insert(id))(t)
	if first.Name() != second.Name() || first.Proto().GetClientOperationId() != id {
		t.Errorf("operations %s and %s (%s)", first.Name(), second.Name(), first.Proto().GetClientOperationId())
	}
	if _, err := insert("0b6f2c5e-3c53-4b0a-9d3b-0d3a7d5c1e12"); why(err) != "409 alreadyExists" {
		t.Errorf("with another request id: %v", err)
	}
}

// TestComputeRateLimit: the windows of the limit are the minutes of the clock.
func TestComputeRateLimit(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{Limits: map[string]int{"compute:read": 2}})
	get := func() error {
		_, err := r.images.Get(t.Context(), &computepb.GetImageRequest{Project: shopProject, Image: "shop-1-1"})
		return err
	}
	now := r.world.Clock.Now()
	r.world.Clock.Advance(now.Truncate(time.Minute).Add(119 * time.Second).Sub(now)) // the last second of the next minute
	for i, want := range []string{"<nil>", "<nil>", "403 rateLimitExceeded"} {
		if got := why(get()); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
	r.world.Clock.Advance(time.Second)
	if got := why(get()); got != "<nil>" {
		t.Errorf("in the next minute: %s", got)
	}
}
