package gcp_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestPagesAndFilters lists templates through small pages.
func TestPagesAndFilters(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{PageSize: 2})
	for i := range 5 {
		r.addTemplate(fmt.Sprintf("shop-prod-v%03d", i), "shop-1-1")
	}
	names := func(filter string) ([]string, error) {
		var out []string
		for template, err := range r.templates.List(t.Context(), &computepb.ListRegionInstanceTemplatesRequest{Project: shopProject, Region: shopRegion, Filter: &filter}).All() {
			if err != nil {
				return nil, err
			}
			out = append(out, template.GetName()[len("shop-prod-"):])
		}
		return out, nil
	}
	for filter, want := range map[string][]string{
		"":                             {"v000", "v001", "v002", "v003", "v004"},
		`name eq "shop-prod-v.*[24]"`:  {"v002", "v004"},
		`name eq shop-prod-v00`:        nil, // a literal matches the whole value
		`name ne 'shop-prod-v00[0-3]'`: {"v004"},
		`name = shop-prod-v001`:        {"v001"},
		`name="shop-prod-v001"`:        {"v001"},
		`name != "shop-prod-v001"`:     {"v000", "v002", "v003", "v004"},
		`(name = "shop-prod-v001") (properties.machineType = "e2-small")`:                                              {"v001"},
		`name = shop-prod-v001 OR name = shop-prod-v003`:                                                               {"v001", "v003"},
		`properties.labels.app = shop AND name != shop-prod-v000 AND (name = shop-prod-v000 OR name = shop-prod-v002)`: {"v002"},
		`properties.labels.team:*`: nil, `properties.labels.app:*`: {"v000", "v001", "v002", "v003", "v004"},
	} {
		if got, err := names(filter); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", filter, got, err, want)
		}
	}
	for _, filter := range []string{
		`name > shop`, `name = shop-*`, `name`, `name = `, `(name = x`, `name = x)`, `nothing = x`, `name eq x AND name = y`, `name eq "("`, `name ~ x`, `properties = x`, `name:shop`,
	} {
		if _, err := names(filter); why(err) != "400 invalid" {
			t.Errorf("%s: %v", filter, err)
		}
	}
	if _, err := r.templates.List(t.Context(), &computepb.ListRegionInstanceTemplatesRequest{Project: shopProject, Region: shopRegion, OrderBy: proto.String("size")}).Next(); why(err) != "400 invalid" {
		t.Errorf("ordered by size: %v", err)
	}
	newest := allOf(t, r.templates.List(t.Context(), &computepb.ListRegionInstanceTemplatesRequest{Project: shopProject, Region: shopRegion, OrderBy: proto.String("creationTimestamp desc")}).Next)
	if len(newest) != 5 || newest[0].GetName() != "shop-prod-v004" {
		t.Errorf("newest first: %v", newest)
	}
}

// TestOperationLists finds the operations that run on a resource.
func TestOperationLists(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	const id = "0b6f2c5e-3c53-4b0a-9d3b-0d3a7d5c1e11"
	op := need(r.templates.Delete(t.Context(), &computepb.DeleteRegionInstanceTemplateRequest{Project: shopProject, Region: shopRegion, InstanceTemplate: newGroup, RequestId: proto.String(id)}))(t)
	count := func(filter string) int {
		return len(allOf(t, r.operations.List(t.Context(), &computepb.ListRegionOperationsRequest{Project: shopProject, Region: shopRegion, Filter: &filter}).Next))
	}
	target := `targetLink = "` + full("instanceTemplates", newGroup) + `"`
	for filter, want := range map[string]int{
		target: 2, "(" + target + `) (status != DONE)`: 1, `operationType = insert`: 1, `clientOperationId = "` + id + `"`: 1,
		`status eq RUNNING`: 1, `status = PENDING`: 0, `targetLink eq ".*/instanceTemplates/` + newGroup + `"`: 2,
	} {
		if got := count(filter); got != want {
			t.Errorf("%s: %d operations, want %d", filter, got, want)
		}
	}
	r.done(op, nil)
	if got := count("status != DONE"); got != 0 {
		t.Errorf("%d operations run after their end", got)
	}
	r.checkScopes(newGroup)
	waited := need(r.operations.Wait(t.Context(), &computepb.WaitRegionOperationRequest{Project: shopProject, Region: shopRegion, Operation: op.Name()}))(t)
	if waited.GetStatus() != computepb.Operation_DONE || waited.GetProgress() != 100 || waited.GetEndTime() == "" {
		t.Errorf("waited for %v", waited)
	}
}

// checkScopes finds the operations on a template by their scope.
func (r *computeRig) checkScopes(name string) {
	r.t.Helper()
	body := r.call(http.MethodGet, "projects/"+shopProject+"/aggregated/operations?filter=targetLink%20%3D%20"+full("instanceTemplates", name), "")
	found := &computepb.OperationAggregatedList{}
	if err := protojson.Unmarshal(body, found); err != nil {
		r.t.Fatal(err)
	}
	if n, other := len(found.GetItems()["regions/"+shopRegion].GetOperations()), found.GetItems()["regions/europe-west1"]; n != 2 || other == nil || len(other.GetOperations()) != 0 {
		r.t.Errorf("operations of all scopes: %s", body)
	}
}

// TestImages are the world's images under names that Compute Engine allows.
func TestImages(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	if _, err := r.world.Images.Publish(simcloud.Image{Name: "shop-9.9", Account: "somebody-else"}); err != nil {
		t.Fatal(err)
	}
	latest := need(r.images.GetFromFamily(t.Context(), &computepb.GetFromFamilyImageRequest{Project: shopProject, Family: "shop"}))(t)
	if latest.GetName() != "shop-1-1" || latest.GetSelfLink() != "https://www.googleapis.com/compute/v1/projects/shop/global/images/shop-1-1" || latest.GetStatus() != "READY" {
		t.Errorf("the newest of the family: %v", latest)
	}
	var names []string
	for _, i := range allOf(t, r.images.List(t.Context(), &computepb.ListImagesRequest{Project: shopProject}).Next) {
		names = append(names, i.GetName())
	}
	if !slices.Equal(names, []string{"shop-1-0", "shop-1-1", "sick-1-0"}) {
		t.Errorf("images %v", names)
	}
	if _, err := r.images.Get(t.Context(), &computepb.GetImageRequest{Project: shopProject, Image: "shop-9-9"}); why(err) != "404 notFound" {
		t.Errorf("somebody else's image: %v", err)
	}
}

// TestManagedInstancesPaginate only when the group says so.
func TestManagedInstancesPaginate(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{PageSize: 2})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 5))
	page := func(token string) *computepb.RegionInstanceGroupManagersListInstancesResponse {
		it := r.managers.ListManagedInstances(t.Context(), &computepb.ListManagedInstancesRegionInstanceGroupManagersRequest{
			Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup, PageToken: &token,
		})
		if _, err := it.Next(); err != nil {
			t.Fatal(err)
		}
		return it.Response.(*computepb.RegionInstanceGroupManagersListInstancesResponse)
	}
	if got := page(""); len(got.GetManagedInstances()) != 5 || got.NextPageToken != nil {
		t.Errorf("PAGELESS: %d instances, token %q", len(got.GetManagedInstances()), got.GetNextPageToken())
	}
	r.done(r.managers.Patch(t.Context(), &computepb.PatchRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		InstanceGroupManagerResource: &computepb.InstanceGroupManager{ListManagedInstancesResults: proto.String("PAGINATED")},
	}))
	if got := page(""); len(got.GetManagedInstances()) != 2 || got.GetNextPageToken() == "" {
		t.Errorf("PAGINATED: %d instances, token %q", len(got.GetManagedInstances()), got.GetNextPageToken())
	}
	r.advance(7 * time.Second)
	body := r.call(http.MethodPost, link("instanceGroups", newGroup)+"/listInstances", `{"instanceState": "RUNNING"}`)
	running := &computepb.RegionInstanceGroupsListInstances{}
	if err := protojson.Unmarshal(body, running); err != nil || len(running.GetItems()) != 2 || running.GetItems()[0].GetNamedPorts()[0].GetPort() != 8080 {
		t.Errorf("running instances of the group: %s %v", body, err)
	}
}

// call calls a method by hand: the client library sends the whole request as the body of a paged POST, not the body's field
// alone (region_instance_groups_client.go, ListInstances).
func (r *computeRig) call(verb, path, body string) []byte {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), verb, r.url+"/compute/v1/"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		r.t.Fatalf("status %d: %s %v", answer.StatusCode, text, err)
	}
	return text
}

// TestStaleReads sees a group from before the last write.
func TestStaleReads(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.advance(6 * time.Second)
	r.resize(newGroup, 3)
	need(r.world.Faults.Add(simcloud.Fault{
		Match: simcloud.Match{Action: "RegionInstanceGroupManagers.*", Reads: true}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 2},
	}))(t)
	if size, members := r.group(newGroup).GetTargetSize(), len(r.members(newGroup)); size != 1 || members != 1 {
		t.Errorf("stale: size %d, %d members", size, members)
	}
	if size, members := r.group(newGroup).GetTargetSize(), len(r.members(newGroup)); size != 3 || members != 3 {
		t.Errorf("fresh: size %d, %d members", size, members)
	}
}

// TestCapacityScaler takes a backend out of use while its instances run on.
func TestCapacityScaler(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.seedShop(2)
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.advance(6 * time.Second)
	scaler := func(scale float32) {
		get := need(r.services.Get(t.Context(), &computepb.GetRegionBackendServiceRequest{Project: shopProject, Region: shopRegion, BackendService: oldGroup}))(t)
		r.done(r.services.Patch(t.Context(), &computepb.PatchRegionBackendServiceRequest{
			Project: shopProject, Region: shopRegion, BackendService: oldGroup, BackendServiceResource: &computepb.BackendService{
				Fingerprint: get.Fingerprint, Backends: []*computepb.Backend{
					{Group: proto.String(full("instanceGroups", oldGroup)), CapacityScaler: &scale},
					{Group: proto.String(full("instanceGroups", newGroup))},
				},
			},
		}))
	}
	scaler(0)
	r.soon("nothing of the group to be judged", func() bool { return len(r.health(oldGroup)) == 0 })
	if n := len(r.members(oldGroup)); n != 2 {
		t.Errorf("%d instances", n)
	}
	scaler(1)
	r.soon("the group to be back", func() bool { return r.healthy(oldGroup) == 2 })
	var told [][]string
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.ResourceUpdated && e.Resource == link("instanceGroupManagers", newGroup) && e.TargetGroups != nil {
			told = append(told, e.TargetGroups)
		}
	}
	if len(told) != 2 || !slices.Equal(told[0], []string{link("backendServices", oldGroup)}) {
		t.Errorf("target groups that events told: %v", told)
	}
}
