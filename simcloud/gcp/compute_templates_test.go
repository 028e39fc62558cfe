package gcp_test

import (
	"strings"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestGlobalTemplates: a template of no region can be read, and groups of any
// region can be made from it.
func TestGlobalTemplates(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	global := need(compute.NewInstanceTemplatesRESTClient(t.Context(), r.options()...))(t)
	need(global.Insert(t.Context(), &computepb.InsertInstanceTemplateRequest{Project: shopProject, InstanceTemplateResource: templateOf("shared", "shop-1-1")}))(t)
	r.advance(10 * time.Second)
	template := need(global.Get(t.Context(), &computepb.GetInstanceTemplateRequest{Project: shopProject, InstanceTemplate: "shared"}))(t)
	if !strings.HasSuffix(template.GetSelfLink(), "/projects/shop/global/instanceTemplates/shared") {
		t.Errorf("template %s", template.GetSelfLink())
	}
	need(r.managers.Insert(t.Context(), &computepb.InsertRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion,
		InstanceGroupManagerResource: &computepb.InstanceGroupManager{
			Name: proto.String("shared-v001"), InstanceTemplate: template.SelfLink, TargetSize: proto.Int32(1),
		}}))(t)
}
