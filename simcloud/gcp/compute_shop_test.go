package gcp_test

import (
	"encoding/json"
	"fmt"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// link is the path of a resource in the region.
func link(collection, name string) string {
	return fmt.Sprintf("projects/%s/regions/%s/%s/%s", shopProject, shopRegion, collection, name)
}

func full(collection, name string) string {
	return "https://www.googleapis.com/compute/v1/" + link(collection, name)
}

// described is a description that tells who owns a resource.
func described(group string) *string {
	text, _ := json.Marshal(tagsOf(group))
	return proto.String(string(text))
}

func tagsOf(group string) map[string]string {
	return map[string]string{
		"slipway:application": "shop", "slipway:cluster": "shop-prod", "slipway:server-group": group, "slipway:deployment": "deploy-" + group,
	}
}

// seedShop makes a cluster that serves, and returns the URL of its load balancer.
func (r *computeRig) seedShop(size int) string {
	r.t.Helper()
	err := r.cloud.SeedCluster(gcp.SeedCluster{
		Project: shopProject, Region: shopRegion, LoadBalancer: "shop", Group: oldGroup, Image: "shop-1.0",
		Capacity: simcloud.Capacity{Min: size, Max: size, Desired: size}, Tags: tagsOf(oldGroup),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.soon("the seeded cluster to be healthy", func() bool { return r.healthy(oldGroup) == size })
	info := r.cloud.LoadBalancers()
	if len(info) != 1 || info[0].Name != "shop" || info[0].Account != "gcp-sim" || info[0].Region != shopRegion {
		r.t.Fatalf("load balancers: %+v", info)
	}
	return info[0].URL
}

// healthy counts the healthy instances of a group's backend service.
func (r *computeRig) healthy(group string) int {
	r.t.Helper()
	n := 0
	for _, h := range r.health(group) {
		if h.GetHealthState() == "HEALTHY" {
			n++
		}
	}
	return n
}

func (r *computeRig) health(group string) []*computepb.HealthStatus {
	r.t.Helper()
	return need(r.services.GetHealth(r.t.Context(), &computepb.GetHealthRegionBackendServiceRequest{
		Project: shopProject, Region: shopRegion, BackendService: group,
		ResourceGroupReferenceResource: &computepb.ResourceGroupReference{Group: proto.String(full("instanceGroups", group))},
	}))(r.t).GetHealthStatus()
}

func (r *computeRig) addTemplate(name, image string) *computepb.Operation {
	r.t.Helper()
	return r.done(r.templates.Insert(r.t.Context(), &computepb.InsertRegionInstanceTemplateRequest{
		Project: shopProject, Region: shopRegion, InstanceTemplateResource: templateOf(name, image),
	}))
}

func templateOf(name, image string) *computepb.InstanceTemplate {
	return &computepb.InstanceTemplate{Name: &name, Description: described(name), Properties: &computepb.InstanceProperties{
		MachineType: proto.String("e2-small"), Labels: map[string]string{"app": "shop"},
		Disks: []*computepb.AttachedDisk{{
			Boot: proto.Bool(true), InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: proto.String("global/images/" + image)},
		}},
		NetworkInterfaces: []*computepb.NetworkInterface{{Network: proto.String("global/networks/default")}},
	}}
}

// addGroup makes a managed instance group of the template of the same name. It does not wait.
func (r *computeRig) addGroup(name string, size int32, change ...func(*computepb.InstanceGroupManager)) (*compute.Operation, error) {
	message := &computepb.InstanceGroupManager{
		Name: &name, Description: described(name), InstanceTemplate: proto.String(link("instanceTemplates", name)), TargetSize: &size,
		NamedPorts: []*computepb.NamedPort{{Name: proto.String("http"), Port: proto.Int32(8080)}},
	}
	for _, f := range change {
		f(message)
	}
	return r.managers.Insert(r.t.Context(), &computepb.InsertRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManagerResource: message,
	})
}

// addService makes a backend service of groups.
func (r *computeRig) addService(name string, groups ...string) *computepb.Operation {
	r.t.Helper()
	message := &computepb.BackendService{
		Name: &name, Description: described(name), LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"),
		HealthChecks: []string{link("healthChecks", "storefront")}, ConnectionDraining: &computepb.ConnectionDraining{DrainingTimeoutSec: proto.Int32(30)},
	}
	for _, group := range groups {
		message.Backends = append(message.Backends, &computepb.Backend{Group: proto.String(full("instanceGroups", group))})
	}
	return r.done(r.services.Insert(r.t.Context(), &computepb.InsertRegionBackendServiceRequest{
		Project: shopProject, Region: shopRegion, BackendServiceResource: message,
	}))
}

func (r *computeRig) group(name string) *computepb.InstanceGroupManager {
	r.t.Helper()
	return need(r.managers.Get(r.t.Context(), &computepb.GetRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: name,
	}))(r.t)
}

func (r *computeRig) members(group string) []*computepb.ManagedInstance {
	r.t.Helper()
	return allOf(r.t, r.managers.ListManagedInstances(r.t.Context(), &computepb.ListManagedInstancesRegionInstanceGroupManagersRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: group,
	}).Next)
}

func (r *computeRig) resize(name string, size int32) *computepb.Operation {
	r.t.Helper()
	return r.done(r.managers.Resize(r.t.Context(), &computepb.ResizeRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: name, Size: size,
	}))
}

func (r *computeRig) urlMap() *computepb.UrlMap {
	r.t.Helper()
	return need(r.maps.Get(r.t.Context(), &computepb.GetRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "shop"}))(r.t)
}

// patchMap patches the URL map shop. It does not wait.
func (r *computeRig) patchMap(patch *computepb.UrlMap) (*compute.Operation, error) {
	return r.maps.Patch(r.t.Context(), &computepb.PatchRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "shop", UrlMapResource: patch})
}

// weigh sets the weights of the default route, and reads them back.
func (r *computeRig) weigh(shares ...any) {
	r.t.Helper()
	r.done(r.patchMap(&computepb.UrlMap{Fingerprint: r.urlMap().Fingerprint, DefaultRouteAction: weighted(shares...)}))
	r.urlMap()
}

// weighted is a route action: weighted("a", 80, "b", 20).
func weighted(shares ...any) *computepb.HttpRouteAction {
	out := &computepb.HttpRouteAction{}
	for i := 0; i+1 < len(shares); i += 2 {
		out.WeightedBackendServices = append(out.WeightedBackendServices, &computepb.WeightedBackendService{
			BackendService: proto.String(link("backendServices", shares[i].(string))), Weight: proto.Uint32(uint32(shares[i+1].(int))),
		})
	}
	return out
}
