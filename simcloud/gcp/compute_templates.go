package gcp

import (
	"fmt"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

func (c *call) insertTemplate(in *computepb.InsertRegionInstanceTemplateRequest) (*computepb.Operation, error) {
	return c.makeTemplate(pathOf(c.project.id, "regions", in.GetRegion(), "instanceTemplates"), in.GetInstanceTemplateResource())
}

// insertGlobalTemplate makes a template that groups of all regions may use.
func (c *call) insertGlobalTemplate(in *computepb.InsertInstanceTemplateRequest) (*computepb.Operation, error) {
	return c.makeTemplate(pathOf(c.project.id, "global", "instanceTemplates"), in.GetInstanceTemplateResource())
}

func (c *call) makeTemplate(collection string, resource *computepb.InstanceTemplate) (*computepb.Operation, error) {
	template := proto.Clone(resource).(*computepb.InstanceTemplate)
	path, refusal := c.vacant(collection, template)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkProperties(template.GetProperties()); refusal != nil {
		return nil, refusal
	}
	return c.insert(path, creation{
		collection: collection, message: template, kind: "compute#instanceTemplate", typ: simcloud.TypeLaunchTemplate, quota: "INSTANCE_TEMPLATES",
	}), nil
}

// checkProperties refuses a template from which no instance could be made. The text about the image is the one that
// instances.insert gives; that a template is refused as well, and the other texts: assumption.
func (c *call) checkProperties(properties *computepb.InstanceProperties) *apiError {
	const at = "resource.properties."
	switch {
	case properties == nil:
		return c.request.missing("properties")
	case !machineType.MatchString(nameOf(properties.GetMachineType())):
		return invalidValue(at+"machineType", properties.GetMachineType(), "The machine type does not exist.")
	case len(properties.GetNetworkInterfaces()) == 0:
		return invalidValue(at+"networkInterfaces", "", "At least one network interface is required.")
	case len(properties.GetDisks()) == 0 || !properties.GetDisks()[0].GetBoot():
		return invalidValue(at+"disks", "", "Boot disk must be the first disk attached to the instance.")
	}
	source := properties.GetDisks()[0].GetInitializeParams().GetSourceImage()
	if _, ok := c.imageAt(source); !ok {
		return invalidValue(at+"disks[0].initializeParams.sourceImage", source, "The referenced image resource cannot be found.")
	}
	for i, card := range properties.GetNetworkInterfaces() {
		if refusal := c.checkInterface(fmt.Sprintf("%snetworkInterfaces[%d].", at, i), card); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (c *call) checkInterface(at string, card *computepb.NetworkInterface) *apiError {
	if card.Network == nil && card.Subnetwork == nil {
		return invalidValue(at+"network", "", "A network or a subnetwork must be specified.")
	}
	if card.Network != nil {
		if _, refusal := c.reference(at+"network", card.GetNetwork(), "networks"); refusal != nil {
			return refusal
		}
	}
	if card.Subnetwork != nil {
		if _, refusal := c.reference(at+"subnetwork", card.GetSubnetwork(), "subnetworks"); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (c *call) getTemplate(in *computepb.GetRegionInstanceTemplateRequest) (*computepb.InstanceTemplate, error) {
	return get[*computepb.InstanceTemplate](c, "regions", in.GetRegion(), "instanceTemplates", in.GetInstanceTemplate())
}

func (c *call) getGlobalTemplate(in *computepb.GetInstanceTemplateRequest) (*computepb.InstanceTemplate, error) {
	return get[*computepb.InstanceTemplate](c, "global", "instanceTemplates", in.GetInstanceTemplate())
}

func (c *call) listTemplates(in *computepb.ListRegionInstanceTemplatesRequest) (*computepb.InstanceTemplateList, error) {
	items, next, err := list[*computepb.InstanceTemplate](c, in, "regions", in.GetRegion(), "instanceTemplates")
	return &computepb.InstanceTemplateList{Kind: proto.String("compute#instanceTemplateList"), Items: items, NextPageToken: next}, err
}

// deleteTemplate refuses while a group uses the template (terraform-google-modules/terraform-google-vm issue 45).
func (c *call) deleteTemplate(in *computepb.DeleteRegionInstanceTemplateRequest) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", in.GetRegion(), "instanceTemplates", in.GetInstanceTemplate())
	for _, g := range c.project.compute.groups() {
		if g.template() == path {
			return nil, inUse("instance_template", path, g.path)
		}
	}
	return c.remove(path, simcloud.TypeLaunchTemplate, nil)
}
