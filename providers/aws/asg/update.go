package asg

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// An update in place makes a version of the group's launch template and starts an
// instance refresh that has it as its desired configuration. AWS gives it to the
// group itself when the refresh has succeeded: until then the way back is to roll
// the refresh back, and after that a refresh to the recorded version. A refresh is
// never canceled: AWS would then scale in what it launched beyond the size, and
// choose the oldest instances for that, which are those that serve.

const (
	// firstVersion is the one that a launch template is made with.
	firstVersion = "1"
	// judgement is how long after its grace period an instance that serves badly is
	// at the latest known to Auto Scaling. Until then a refresh must not count on it.
	judgement = 30
)

// versionOf names a version of a launch template; empty without one.
func versionOf(l *astypes.LaunchTemplateSpecification) string {
	if l == nil || l.LaunchTemplateId == nil {
		return ""
	}
	return deref(l.LaunchTemplateId) + ":" + deref(l.Version)
}

// renewal is one UpdateGroup on its way.
type renewal struct {
	creation
	pieces pieces
	active *astypes.InstanceRefresh // nil when none is under way
}

// update makes the next write towards the group's other version: the version, then
// the refresh.
func (t *Target) update(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Update == nil || (c.Spec == nil) == (c.Update.Version == "") {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "update of %s wants either a spec or a version", c.Group)
	}
	u := &renewal{creation: creation{Target: t, change: c}, pieces: pieces{name: c.Group}}
	var err error
	if u.pieces.group, err = t.group(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if u.pieces.template, err = t.template(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if err := u.refusal(); err != nil {
		return delivery.Receipt{}, err
	}
	version, receipt, err := u.version(ctx)
	if err != nil || receipt != (delivery.Receipt{}) {
		return receipt, err
	}
	if u.active, err = t.activeRefresh(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	return u.refresh(ctx, version)
}

// refusal tells why the group cannot be updated.
func (u *renewal) refusal() error {
	g := u.pieces.group
	switch {
	case g == nil:
		return delivery.Errorf(delivery.NotFound, "Auto Scaling group %s in %s", u.change.Group, u.region)
	case g.Status != nil:
		return delivery.Errorf(delivery.Conflict, "Auto Scaling group %s is being deleted", u.change.Group)
	case !owned(groupTags(g), u.change.Cluster, u.change.Group):
		return delivery.Errorf(delivery.Guarded, "update of %s refused: it carries no ownership tag of Slipway", u.change.Group)
	case u.pieces.notInPlace() != "":
		return delivery.Errorf(delivery.Invalid, "%s cannot be updated in place: it %s", u.change.Group, u.pieces.notInPlace())
	default:
		return nil
	}
}

// version returns the number of the wanted version, or the receipt of its creation.
func (u *renewal) version(ctx context.Context) (string, delivery.Receipt, error) {
	template := deref(u.pieces.template.LaunchTemplateId)
	if wanted := u.change.Update.Version; wanted != "" {
		number, ofTemplate := strings.CutPrefix(wanted, template+":")
		if !ofTemplate {
			return "", delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "version %s of the launch template of %s", wanted, u.change.Group)
		}
		_, err := u.versions(ctx, template, number)
		return number, delivery.Receipt{}, err
	}
	made, err := u.versions(ctx, template)
	if err != nil {
		return "", delivery.Receipt{}, err
	}
	for _, v := range made {
		if deref(v.VersionDescription) == string(u.change.Key) {
			return fmt.Sprint(deref(v.VersionNumber)), delivery.Receipt{}, nil
		}
	}
	receipt, err := u.makeVersion(ctx, template)
	return "", receipt, err
}

// makeVersion makes a version of the launch template. Its description is the key of
// the change, by which it is found again, and its tags tell the image.
func (u *renewal) makeVersion(ctx context.Context, template string) (delivery.Receipt, error) {
	var findings []delivery.Finding
	u.settings, findings = parseSettings(*u.change.Spec)
	if err := delivery.InvalidError("server group "+u.change.Group, append(findings, u.settings.check(u.change.Cluster)...)); err != nil {
		return delivery.Receipt{}, err
	}
	img, findings, err := u.resolveImage(ctx, u.settings.AMIName)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := u.findVPC(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	security, more, err := u.resolveSecurityGroups(ctx, u.settings.SecurityGroups, u.vpc)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.InvalidError("server group "+u.change.Group, append(findings, more...)); err != nil {
		return delivery.Receipt{}, err
	}
	data := u.templateData(img, security)
	data.TagSpecifications = []ec2types.LaunchTemplateTagSpecificationRequest{{
		ResourceType: ec2types.ResourceTypeInstance, Tags: ec2Tags([]tag{{tagImage, tagValue(img.name)}, {tagImageID, img.id}}),
	}}
	_, err = u.compute.createLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: ptr(template), ClientToken: ptr(u.change.Key.Token()), VersionDescription: ptr(string(u.change.Key)), LaunchTemplateData: data,
	})
	if err != nil {
		return delivery.Receipt{}, aws.Classify(err, "create a version of launch template %s", u.change.Group)
	}
	return wrote("CreateLaunchTemplateVersion"), nil
}

// refresh brings the group to the version: it starts a refresh, or rolls back the
// one that leads away from it.
func (u *renewal) refresh(ctx context.Context, version string) (delivery.Receipt, error) {
	template := deref(u.pieces.template.LaunchTemplateId)
	wanted, own := template+":"+version, versionOf(u.pieces.group.LaunchTemplate)
	switch {
	case u.active != nil && goalOf(u.active, own) == wanted:
		return done(), nil
	case u.active != nil && own == wanted && u.active.Status != astypes.InstanceRefreshStatusCancelling:
		return u.rollBack(ctx)
	case u.active != nil:
		return delivery.Receipt{Waiting: fmt.Sprintf("instance refresh %s to end", deref(u.active.InstanceRefreshId))}, nil
	case own == wanted && !u.pieces.mixed(wanted):
		return done(), nil
	}
	least, most := percents(int(deref(u.pieces.group.DesiredCapacity)), *u.change.Update)
	_, err := u.groups.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: ptr(u.change.Group), Strategy: astypes.RefreshStrategyRolling,
		DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: ptr(template), Version: ptr(version)}},
		Preferences: &astypes.RefreshPreferences{
			MinHealthyPercentage: ptr(least), MaxHealthyPercentage: ptr(most), InstanceWarmup: ptr(u.pieces.warmup()),
			SkipMatching: ptr(true), AutoRollback: ptr(false), // what fails is decided by more than AWS sees
		},
	})
	if isA[*astypes.InstanceRefreshInProgressFault](err) {
		return delivery.Receipt{Waiting: "an instance refresh that has just begun to be visible"}, nil
	}
	if err != nil {
		return delivery.Receipt{}, aws.Classify(err, "start an instance refresh of %s", u.change.Group)
	}
	return wrote("StartInstanceRefresh"), nil
}

func (u *renewal) rollBack(ctx context.Context) (delivery.Receipt, error) {
	_, err := u.groups.RollbackInstanceRefresh(ctx, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: ptr(u.change.Group)})
	if isA[*astypes.IrreversibleInstanceRefreshFault](err) {
		return delivery.Receipt{Waiting: "an instance refresh that is too late to be rolled back to end"}, nil
	}
	if err != nil {
		return delivery.Receipt{}, aws.Classify(err, "roll back the instance refresh of %s", u.change.Group)
	}
	return wrote("RollbackInstanceRefresh"), nil
}

// goalOf is the version that a refresh leads to; own is the group's.
func goalOf(f *astypes.InstanceRefresh, own string) string {
	switch {
	case f.Status == astypes.InstanceRefreshStatusCancelling:
		return ""
	case f.Status == astypes.InstanceRefreshStatusRollbackInProgress, f.DesiredConfiguration == nil:
		return own
	default:
		return versionOf(f.DesiredConfiguration.LaunchTemplate)
	}
}

// percents are the bounds of a refresh as AWS takes them. Of what whole percents
// cannot say, the next more careful is chosen: AWS rounds the minimum up and the
// maximum down.
func percents(size int, u delivery.Update) (least, most int32) {
	size = max(size, 1)
	keep, limit := max(0, size-u.Unavailable), size+min(u.Surge, size)
	low := 100 * keep / size
	if (size*low+99)/100 < keep {
		low++
	}
	high := 100 * limit / size
	if size*(high+1)/100 <= limit && high < 200 {
		high++
	}
	return int32(low), int32(min(high, low+100))
}

// warmup is how long in seconds a refresh waits after an instance is in service:
// until its grace period is over nothing that the load balancer says counts.
func (p *pieces) warmup() int32 {
	return max(deref(p.group.DefaultInstanceWarmup), deref(p.group.HealthCheckGracePeriod)+judgement)
}

// mixed reports whether instances that stay are of another version.
func (p *pieces) mixed(version string) bool {
	return slices.ContainsFunc(p.group.Instances, func(i astypes.Instance) bool {
		return versionOf(i.LaunchTemplate) != version && !strings.HasPrefix(string(i.LifecycleState), "Terminat")
	})
}

// activeRefresh returns the instance refresh that is under way, or nil.
func (t *Target) activeRefresh(ctx context.Context, group string) (*astypes.InstanceRefresh, error) {
	answer, err := t.groups.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: ptr(group), MaxRecords: ptr(int32(1))})
	if err != nil {
		return nil, aws.Classify(err, "describe instance refreshes of %s", group)
	}
	for i, f := range answer.InstanceRefreshes {
		switch f.Status {
		case astypes.InstanceRefreshStatusPending, astypes.InstanceRefreshStatusInProgress, astypes.InstanceRefreshStatusBaking,
			astypes.InstanceRefreshStatusCancelling, astypes.InstanceRefreshStatusRollbackInProgress:
			return &answer.InstanceRefreshes[i], nil
		}
	}
	return nil, nil
}

// versions returns the versions of a launch template: the numbered ones, or all.
func (t *Target) versions(ctx context.Context, template string, numbers ...string) ([]ec2types.LaunchTemplateVersion, error) {
	var out []ec2types.LaunchTemplateVersion
	in := &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: ptr(template), Versions: numbers}
	for {
		answer, err := t.compute.describeLaunchTemplateVersions(ctx, in)
		if err != nil {
			return nil, aws.Classify(err, "describe versions of launch template %s", template)
		}
		out = append(out, answer.LaunchTemplateVersions...)
		if in.NextToken = answer.NextToken; deref(in.NextToken) == "" {
			return out, nil
		}
	}
}

// notInPlace says why the group must not be updated in place; empty when it may.
func (p *pieces) notInPlace() string {
	l := p.group.LaunchTemplate
	switch {
	case l == nil || p.template == nil || deref(l.LaunchTemplateId) != deref(p.template.LaunchTemplateId):
		return "runs no launch template that was made for it"
	case strings.HasPrefix(deref(l.Version), "$") || l.Version == nil:
		return "runs the version " + cmp.Or(deref(l.Version), "$Default") + " of its launch template, which is another one whenever somebody makes it"
	case len(p.group.SuspendedProcesses) > 0:
		return "has suspended processes, " + deref(p.group.SuspendedProcesses[0].ProcessName) + " among them: an instance refresh could stop halfway"
	case len(p.group.TargetGroupARNs) > 0 && deref(p.group.HealthCheckType) != "ELB":
		return "has health check type " + deref(p.group.HealthCheckType) + ": Auto Scaling would take every instance that runs for a good one, and replace all of them by a version that never serves"
	default:
		return ""
	}
}

// presentVersion shows what the group is made of. It asks for the refresh only when
// instances are of another version, and for the version's image only when it is not
// the group's first.
func (t *Target) presentVersion(ctx context.Context, p *pieces, out *delivery.ServerGroup) error {
	out.NotInPlace, out.Version = p.notInPlace(), versionOf(p.group.LaunchTemplate)
	if out.NotInPlace != "" {
		return nil
	}
	out.RollWait = time.Duration(p.warmup()) * time.Second
	if p.mixed(out.Version) {
		active, err := t.activeRefresh(ctx, p.name)
		if err != nil {
			return err
		}
		if out.Rolling = active != nil; out.Rolling {
			out.Version = cmp.Or(goalOf(active, out.Version), out.Version)
		}
	}
	template, number, _ := strings.Cut(out.Version, ":")
	if number == firstVersion {
		return nil
	}
	found, err := t.versions(ctx, template, number)
	if err != nil || len(found) == 0 {
		return err
	}
	out.VersionBy = delivery.ChangeKey(deref(found[0].VersionDescription))
	if found[0].LaunchTemplateData == nil {
		return nil
	}
	tags := map[string]string{}
	for _, s := range found[0].LaunchTemplateData.TagSpecifications {
		for _, one := range s.Tags {
			tags[deref(one.Key)] = deref(one.Value)
		}
	}
	out.ImageID = deref(found[0].LaunchTemplateData.ImageId)
	out.Image = cmp.Or(tags[tagImage], out.ImageID)
	return nil
}
