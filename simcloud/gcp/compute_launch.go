package gcp

import (
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// Retries of a creation that failed: "if the group fails to create this instance, it will try again until it is successful"
// (discovery document, ManagedInstance.currentAction). The delays: assumption.
const (
	firstRetry = 15 * time.Second
	lastRetry  = 5 * time.Minute
)

// errorsKept is how many errors a group lists: assumption.
const errorsKept = 500

// launchMembers makes the machines that are due.
func (p *computePlane) launchMembers(g *group, now time.Time) {
	for _, m := range g.members {
		if m.status != "" || m.action != actionCreating && m.action != actionRecreating || now.Before(m.retryAt) {
			continue
		}
		p.launch(g, m, now)
	}
}

// launch makes a machine by a zone operation of its own, whose error is also the group's.
func (p *computePlane) launch(g *group, m *member, now time.Time) {
	path := g.instancePath(p.project, m)
	m.template = g.template()
	failed := p.launchMachine(g, m)
	spec := operationSpec{kind: "insert", target: path, scope: scopeOf(path), user: p.project.id + "@" + cloudServices}
	if len(failed) > 0 {
		m.retryAt = now.Add(min(firstRetry<<min(m.failures, 8), lastRetry))
		m.failures++
		g.problemOf(p.project, m, failed[0], now)
		spec.finish = func(time.Time) []*computepb.Errors { return failed }
	} else {
		m.failures, m.problem, m.launched, m.status = 0, nil, now, statusProvisioning
		p.putInstance(g, m, now)
		p.lifecycle(g, m, "Pending", "")
	}
	p.project.begin(spec, now)
}

// launchMachine starts a machine in the world, or says why it cannot.
func (p *computePlane) launchMachine(g *group, m *member) []*computepb.Errors {
	project, world := p.project, p.project.cloud.world
	if limit, limited := project.cloud.options.Quotas["INSTANCES"]; limited && len(all[*computepb.Instance](project.data)) >= limit {
		return quotaExceeded("INSTANCES", limit, g.region())
	}
	outcome := world.Faults.Decide(simcloud.Call{
		Service: serviceCompute, Action: "instances.insert", Account: project.account, Region: g.region(),
		Principal: project.id + "@" + cloudServices, Write: true,
	})
	if outcome.Fault != "" && !outcome.Is(simcloud.EffectSlow) {
		failed := stockout(outcome.Effect.Code, m.zone)
		project.log(g.region(), simcloud.Event{Kind: simcloud.FaultInjected, Fault: outcome.Fault, Resource: g.path, Reason: failed[0].GetMessage()})
		return failed
	}
	image, ok := p.imageOf(m.template)
	if !ok {
		return []*computepb.Errors{{Code: proto.String("RESOURCE_NOT_FOUND"), Message: proto.String("The image of the instance template was not found.")}}
	}
	_, err := world.Fleet.Launch(simcloud.Launch{
		ID: m.name, Image: image.Image, Account: project.account, Region: g.region(), Zone: m.zone, Group: g.message.GetName(),
		ExtraBoot: outcome.Effect.Duration,
	})
	if err != nil {
		return []*computepb.Errors{{Code: proto.String("INTERNAL_ERROR"), Message: proto.String(err.Error())}}
	}
	return nil
}

// imageOf is the image that a template makes machines from: that of a family is looked up anew each time.
func (p *computePlane) imageOf(template string) (image, bool) {
	t := lookup[*computepb.InstanceTemplate](p.project.data, template)
	if t == nil {
		return image{}, false
	}
	c := &call{cloud: p.project.cloud, project: p.project, data: p.project.data}
	return c.imageAt(t.GetProperties().GetDisks()[0].GetInitializeParams().GetSourceImage())
}

// putInstance stores the instance that people see.
func (p *computePlane) putInstance(g *group, m *member, now time.Time) {
	path := g.instancePath(p.project, m)
	template := lookup[*computepb.InstanceTemplate](p.project.data, m.template)
	properties := proto.Clone(template.GetProperties()).(*computepb.InstanceProperties)
	out := &computepb.Instance{
		MachineType: proto.String(p.project.zoneLink(m.zone) + "/machineTypes/" + nameOf(properties.GetMachineType())),
		Labels:      properties.GetLabels(), Tags: properties.GetTags(), Metadata: properties.GetMetadata(),
		Description: properties.Description, Scheduling: properties.GetScheduling(), ServiceAccounts: properties.GetServiceAccounts(),
		Status: proto.String(m.status), LastStartTimestamp: proto.String(stamp(now)),
	}
	out.NetworkInterfaces = properties.GetNetworkInterfaces()
	for i, card := range out.NetworkInterfaces {
		card.Name = proto.String(fmt.Sprintf("nic%d", i))
	}
	m.id = p.project.cloud.newID()
	stampNew(out, "compute#instance", path, m.id, now)
	p.project.data.resources[path] = &resource{path: path, message: out, created: now}
}

// showInstance brings the instance that people see up to the member.
func (p *computePlane) showInstance(g *group, m *member) {
	i := lookup[*computepb.Instance](p.project.data, g.instancePath(p.project, m))
	if i == nil {
		return
	}
	i.Status = proto.String(m.status)
	if live, ok := p.project.cloud.world.Fleet.Instance(m.name); ok && len(i.NetworkInterfaces) > 0 && live.Address() != "" {
		i.NetworkInterfaces[0].NetworkIP = proto.String("127.0.0.1")
	}
}

func (c *call) getInstance(in *computepb.GetInstanceRequest) (*computepb.Instance, error) {
	return get[*computepb.Instance](c, "zones", in.GetZone(), "instances", in.GetInstance())
}

func (c *call) listInstances(in *computepb.ListInstancesRequest) (*computepb.InstanceList, error) {
	items, next, err := list[*computepb.Instance](c, in, "zones", in.GetZone(), "instances")
	return &computepb.InstanceList{Kind: proto.String("compute#instanceList"), Items: items, NextPageToken: next}, err
}
