package mig

import (
	"cmp"
	"context"
	"fmt"
	"regexp"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// An update in place gives the group another instance template and lets its own
// updater replace the instances. Templates cannot be changed: each update makes one,
// named after the group and the change, and PruneGroup deletes those that nothing
// uses any more.

const (
	proactive = "PROACTIVE"
	// longestName is Compute Engine's limit.
	longestName = 63
	// suffixLength is that of "-" and eight hexadecimal digits.
	suffixLength = 9
)

// templateSuffix matches what an update adds to the group's name.
const templateSuffix = "(-[0-9a-f]{8})?"

var updated = regexp.MustCompile(`^(.+-v[0-9]{3})-[0-9a-f]{8}$`)

// groupOfTemplate is the server group that a template of that name was made for.
func groupOfTemplate(name string) string {
	if match := updated.FindStringSubmatch(name); match != nil {
		return match[1]
	}
	return name
}

// renewal is one UpdateGroup on its way.
type renewal struct {
	creation
	name string // of the template
}

// update makes the next write towards the group's other version: its template, then
// the group that names it.
func (t *Target) update(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Update == nil || (c.Spec == nil) == (c.Update.Version == "") {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "update of %s wants either a spec or a version", c.Group)
	}
	u := &renewal{creation: creation{Target: t, change: c}, name: c.Group + "-" + c.Key.Token()[:suffixLength-1]}
	var err error
	if u.history, err = t.historyOf(ctx, c.Group, ""); err != nil {
		return delivery.Receipt{}, err
	}
	if u.pieces, err = t.piecesOf(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if err := u.refusal(); err != nil {
		return delivery.Receipt{}, err
	}
	if waiting := u.history.waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	version, receipt, err := u.version(ctx)
	if err != nil || receipt != (delivery.Receipt{}) {
		return receipt, err
	}
	if pathOf(u.pieces.templateURL()) == version && u.pieces.manager.GetUpdatePolicy().GetType() == proactive {
		return done(), nil
	}
	return u.patch(ctx, version)
}

// refusal tells why the group cannot be updated.
func (u *renewal) refusal() error {
	switch p := u.pieces; {
	case p.manager == nil:
		return delivery.Errorf(delivery.NotFound, "managed instance group %s in %s", u.change.Group, u.region)
	case u.history.deleting(u.path("instanceGroupManagers", u.change.Group)):
		return delivery.Errorf(delivery.Conflict, "managed instance group %s is being deleted", u.change.Group)
	case !p.tags().owned(u.change.Cluster, u.change.Group):
		return delivery.Errorf(delivery.Guarded, "update of %s refused: it carries no ownership tag of Slipway", u.change.Group)
	case p.notInPlace() != "":
		return delivery.Errorf(delivery.Invalid, "%s cannot be updated in place: it %s", u.change.Group, p.notInPlace())
	default:
		return nil
	}
}

// version returns the path of the wanted template, or the receipt of its creation.
func (u *renewal) version(ctx context.Context) (string, delivery.Receipt, error) {
	if wanted := u.change.Update.Version; wanted != "" {
		if u.pieces.made(wanted) != nil {
			return wanted, delivery.Receipt{}, nil
		}
		return "", delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "%s, which was made for %s", lastTwo(wanted), u.change.Group)
	}
	path := u.path("instanceTemplates", u.name)
	if found := u.pieces.made(path); found != nil {
		if maker := tagsIn(found.GetDescription())[tagChange]; maker != string(u.change.Key) {
			return "", delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "instance template %s exists and was made by %s, not by %s", u.name, cmp.Or(maker, "somebody else"), u.change.Key)
		}
		return path, delivery.Receipt{}, nil
	}
	receipt, err := u.makeTemplate(ctx)
	return "", receipt, err
}

func (u *renewal) makeTemplate(ctx context.Context) (delivery.Receipt, error) {
	var findings []delivery.Finding
	u.settings, findings = parseSettings(*u.change.Spec)
	if err := delivery.InvalidError("server group "+u.change.Group, append(findings, u.settings.check(u.change.Cluster)...)); err != nil {
		return delivery.Receipt{}, err
	}
	image, findings, err := u.resolveImage(ctx, u.settings.Image)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.InvalidError("server group "+u.change.Group, findings); err != nil {
		return delivery.Receipt{}, err
	}
	template := u.templateResource(image)
	template.Name = proto.String(u.name)
	in := &computepb.InsertRegionInstanceTemplateRequest{Project: u.project, Region: u.region, InstanceTemplateResource: template}
	return exists(u.history.submit(write{u.change.Key, "RegionInstanceTemplates.Insert", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return u.templates.Insert(ctx, in)
	}, "create instance template %s", u.name))
}

// patch gives the group the template and has its updater replace the instances. The
// fingerprint makes the API refuse the write when somebody was faster.
func (u *renewal) patch(ctx context.Context, version string) (delivery.Receipt, error) {
	in := &computepb.PatchRegionInstanceGroupManagerRequest{
		Project: u.project, Region: u.region, InstanceGroupManager: u.change.Group,
		InstanceGroupManagerResource: &computepb.InstanceGroupManager{
			Fingerprint: u.pieces.manager.Fingerprint,
			Versions:    []*computepb.InstanceGroupManagerVersion{{InstanceTemplate: proto.String(version)}},
			UpdatePolicy: &computepb.InstanceGroupManagerUpdatePolicy{
				Type: proto.String(proactive), MinimalAction: proto.String("REPLACE"), ReplacementMethod: proto.String("SUBSTITUTE"),
				MaxSurge:       &computepb.FixedOrPercent{Fixed: proto.Int32(int32(u.change.Update.Surge))},
				MaxUnavailable: &computepb.FixedOrPercent{Fixed: proto.Int32(int32(u.change.Update.Unavailable))},
			},
		},
	}
	return u.history.submit(write{u.change.Key, "RegionInstanceGroupManagers.Patch", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return u.managers.Patch(ctx, in)
	}, "update managed instance group %s", u.change.Group)
}

// prune deletes the templates that were made for the group and that neither it nor
// one of its instances uses, one at a time.
func (t *Target) prune(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	h, err := t.historyOf(ctx, c.Group, "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	p, err := t.piecesOf(ctx, c.Group)
	if err != nil || p.manager == nil {
		return done(), err
	}
	if !p.tags().owned(c.Cluster, c.Group) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Guarded, "prune of %s refused: it carries no ownership tag of Slipway", c.Group)
	}
	instances, err := t.instances(ctx, p)
	if err != nil {
		return delivery.Receipt{}, err
	}
	spare := p.spare(c.Cluster, instances)
	if waiting := h.waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	if len(spare) == 0 {
		return done(), nil
	}
	return t.deleteTemplate(ctx, c.Key, p.made(spare[0]), h)
}

// made returns the template of the path that was made for the group, or nil.
func (p *pieces) made(path string) *computepb.InstanceTemplate {
	for _, v := range p.templates {
		if pathOf(v.GetSelfLink()) == path {
			return v
		}
	}
	return nil
}

// spare are the paths of the templates of ours that nothing uses.
func (p *pieces) spare(cluster delivery.Cluster, instances []delivery.Instance) []string {
	used := map[string]bool{pathOf(p.templateURL()): true}
	for _, i := range instances {
		used[i.Version] = true
	}
	var out []string
	for _, v := range p.templates {
		if path := pathOf(v.GetSelfLink()); !used[path] && tagsIn(v.GetDescription()).owned(cluster, p.name) {
			out = append(out, path)
		}
	}
	return out
}

// notInPlace says why the group must not be updated in place; empty when it may.
func (p *pieces) notInPlace() string {
	healed := false
	for _, policy := range p.manager.GetAutoHealingPolicies() {
		healed = healed || policy.GetHealthCheck() != ""
	}
	switch {
	case len(p.manager.GetVersions()) > 1:
		return "has several versions at once"
	case p.made(pathOf(p.templateURL())) == nil:
		return "runs an instance template that was not made for it"
	case !healed:
		return "has no autohealing health check: Compute Engine would take every instance that runs for a good one, and replace all of them by a version that never serves"
	case len(p.name)+suffixLength > longestName:
		return fmt.Sprintf("has a name of %d characters: that of an updated instance template has %d more, and %d are allowed", len(p.name), suffixLength, longestName)
	default:
		return ""
	}
}

// choose makes the template that the group uses the one that stands for it, else
// that of the group's name.
func (p *pieces) choose() {
	inUse := pathOf(p.templateURL())
	p.template = nil
	for _, v := range p.templates {
		if path := pathOf(v.GetSelfLink()); path == inUse || p.template == nil || pathOf(p.template.GetSelfLink()) != inUse && v.GetName() == p.name {
			p.template = v
		}
	}
}

// presentVersion shows what the group is made of.
func (p *pieces) presentVersion(cluster delivery.Cluster, out *delivery.ServerGroup) {
	out.Version, out.NotInPlace = pathOf(p.templateURL()), p.notInPlace()
	if v := p.made(out.Version); v != nil {
		out.VersionBy = delivery.ChangeKey(tagsIn(v.GetDescription())[tagChange])
	}
	if status := p.manager.GetStatus(); status.GetVersionTarget() != nil {
		out.Rolling = !status.GetVersionTarget().GetIsReached()
	}
	out.RollUnit = len(p.manager.GetDistributionPolicy().GetZones())
	out.Spare = p.spare(cluster, out.Instances)
}
