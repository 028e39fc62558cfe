package asg

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

const deregistrationDelay = "deregistration_delay.timeout_seconds"

// creation is one CreateGroup on its way: what it wants, and what it found.
type creation struct {
	*Target
	change   delivery.Change
	settings settings
	template *ec2types.LaunchTemplate
	// targetGroup is empty for a group behind no load balancer.
	targetGroup string
	vpc         string
	// source is nil for a group that is made like no other.
	source *source
}

// create makes the first missing piece of the group. The order is the package
// comment's; the Auto Scaling group comes last, so its presence means all.
func (t *Target) create(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Spec == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "creation of %s without a spec", c.Group)
	}
	s, findings := parseSettings(*c.Spec)
	if err := delivery.InvalidError("server group "+c.Group, append(findings, s.check(c.Cluster)...)); err != nil {
		return delivery.Receipt{}, err
	}
	if c.Capacity == nil {
		c.Capacity = &c.Spec.Capacity
	}
	group, err := t.group(ctx, c.Group)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if group != nil {
		if group.Status != nil {
			return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "Auto Scaling group %s is being deleted", c.Group)
		}
		if err := own(c, "Auto Scaling group", groupTags(group)); err != nil {
			return delivery.Receipt{}, err
		}
		return done(), nil
	}
	n := &creation{Target: t, change: c, settings: s}
	if n.source, findings, err = t.source(ctx, s.from); err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.InvalidError("server group "+c.Group, findings); err != nil {
		return delivery.Receipt{}, err
	}
	for _, step := range []func(context.Context) (string, error){n.makeTemplate, n.makeTargetGroup, n.setAttributes, n.attach, n.makeGroup} {
		action, err := step(ctx)
		if err != nil {
			return delivery.Receipt{}, err
		}
		if action != "" {
			return wrote(action), nil
		}
	}
	return delivery.Receipt{}, delivery.Errorf(delivery.Internal, "creation of %s found nothing to do", c.Group)
}

// makeTemplate returns "" when the launch template is there and ours.
func (n *creation) makeTemplate(ctx context.Context) (string, error) {
	found, err := n.Target.template(ctx, n.change.Group)
	if err != nil {
		return "", err
	}
	if found != nil {
		n.template = found
		return "", own(n.change, "launch template", templateTags(found))
	}
	img, findings, err := n.imageOfSpec(ctx, n.settings, n.source)
	if err != nil {
		return "", err
	}
	if err := n.findVPC(ctx); err != nil {
		return "", err
	}
	security, more, err := n.resolveSecurityGroups(ctx, n.settings.SecurityGroups, n.vpc)
	if err != nil {
		return "", err
	}
	if err := delivery.InvalidError("server group "+n.change.Group, append(findings, more...)); err != nil {
		return "", err
	}
	_, err = n.compute.createLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: ptr(n.change.Group),
		ClientToken:        ptr(n.change.Key.Token()),
		LaunchTemplateData: n.templateData(img, security),
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeLaunchTemplate,
			Tags:         ec2Tags(append(n.tags(), tag{tagImage, tagValue(img.name)}, tag{tagImageID, img.id})),
		}},
	})
	if strings.HasPrefix(aws.Code(err), "InvalidLaunchTemplateName.AlreadyExists") {
		return "", delivery.Errorf(delivery.NotReady, "launch template %s exists and is not visible yet", n.change.Group)
	}
	return "CreateLaunchTemplate", aws.Classify(err, "create launch template %s", n.change.Group)
}

func (n *creation) templateData(img image, security []string) *ec2types.RequestLaunchTemplateData {
	s := n.settings
	data := n.source.template()
	data.ImageId = ptr(img.id)
	if s.InstanceType != "" {
		data.InstanceType, data.InstanceRequirements = ec2types.InstanceType(s.InstanceType), nil
	}
	setSecurity(data, security)
	if s.IAMRole != "" {
		data.IamInstanceProfile = &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: ptr(s.IAMRole)}
	}
	if s.KeyPair != "" {
		data.KeyName = ptr(s.KeyPair)
	}
	if s.Base64UserData != "" {
		data.UserData = ptr(s.Base64UserData)
	}
	if s.EBSOptimized {
		data.EbsOptimized = ptr(true)
	}
	if s.RequireIMDSv2 {
		data.MetadataOptions = &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: ec2types.LaunchTemplateHttpTokensStateRequired,
		}
	}
	return data
}

// findVPC fills in the load balancer's VPC, or that of the subnets.
func (n *creation) findVPC(ctx context.Context) error {
	if n.vpc != "" {
		return nil
	}
	if n.settings.balancer() == "" {
		found, findings, err := n.networkOf(ctx, n.settings, n.source)
		if err != nil {
			return err
		}
		n.vpc = found
		return delivery.InvalidError("server group "+n.change.Group, findings)
	}
	balancer, err := n.Target.loadBalancer(ctx, n.settings.balancer())
	n.vpc = deref(balancer.VpcId)
	return err
}

// makeTargetGroup returns "" when the target group is there and ours, or not wanted.
func (n *creation) makeTargetGroup(ctx context.Context) (string, error) {
	if n.settings.balancer() == "" {
		return "", nil
	}
	name := targetGroupName(n.change.Cluster, n.change.Group)
	found, err := n.targetGroupNamed(ctx, name)
	if err != nil {
		return "", err
	}
	if found != nil {
		n.targetGroup, n.vpc = deref(found.TargetGroupArn), deref(found.VpcId)
		tags, err := n.elbTagsOf(ctx, []string{n.targetGroup})
		if err != nil {
			return "", err
		}
		return "", own(n.change, "target group", tags[n.targetGroup])
	}
	if err := n.findVPC(ctx); err != nil {
		return "", err
	}
	in, err := n.targetGroupInput(ctx, name)
	if err != nil {
		return "", err
	}
	_, err = n.balance.CreateTargetGroup(ctx, in)
	if isA[*elbtypes.DuplicateTargetGroupNameException](err) {
		// Made by an earlier try that this read did not see yet; the next read
		// tells whose it is.
		return "", delivery.Errorf(delivery.NotReady, "target group %s exists and is not visible yet", name)
	}
	return "CreateTargetGroup", aws.Classify(err, "create target group %s", name)
}

// targetGroupInput takes port, protocol and health check from the source's target
// group, else from the one that serves now, so that a new version is judged as the
// old one was. What the spec says wins.
func (n *creation) targetGroupInput(ctx context.Context, name string) (*elb.CreateTargetGroupInput, error) {
	in := &elb.CreateTargetGroupInput{
		Name: ptr(name), VpcId: ptr(n.vpc), TargetType: elbtypes.TargetTypeEnumInstance,
		Port: ptr(int32(80)), Protocol: elbtypes.ProtocolEnumHttp, HealthCheckPath: ptr("/"),
		Tags: elbTags(n.tags()),
	}
	model, err := n.model(ctx)
	if err != nil {
		return nil, err
	}
	if model != nil {
		in.Port, in.Protocol, in.ProtocolVersion = model.Port, model.Protocol, model.ProtocolVersion
		in.HealthCheckPath, in.HealthCheckPort, in.HealthCheckProtocol = model.HealthCheckPath, model.HealthCheckPort, model.HealthCheckProtocol
		in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = model.HealthCheckIntervalSeconds, model.HealthCheckTimeoutSeconds
		in.HealthyThresholdCount, in.UnhealthyThresholdCount = model.HealthyThresholdCount, model.UnhealthyThresholdCount
		in.Matcher = model.Matcher
	}
	s := n.settings
	if s.HealthCheckPath != "" {
		in.HealthCheckPath = ptr(s.HealthCheckPath)
	}
	for _, o := range []struct {
		value int32
		to    **int32
	}{
		{s.Port, &in.Port}, {s.HealthCheckInterval, &in.HealthCheckIntervalSeconds}, {s.HealthCheckTimeout, &in.HealthCheckTimeoutSeconds},
		{s.HealthyThreshold, &in.HealthyThresholdCount}, {s.UnhealthyThreshold, &in.UnhealthyThresholdCount},
	} {
		if o.value != 0 {
			*o.to = ptr(o.value)
		}
	}
	return in, nil
}

// model is the target group that the new one is made like, or nil.
func (n *creation) model(ctx context.Context) (*elbtypes.TargetGroup, error) {
	if n.source != nil && n.source.targetGroup != nil {
		return n.source.targetGroup, nil
	}
	return n.serving(ctx)
}

// serving returns the cluster's target group with the most weight, or nil.
func (n *creation) serving(ctx context.Context) (*elbtypes.TargetGroup, error) {
	s, err := n.survey(ctx, n.change.Cluster, n.settings.balancer())
	if err != nil {
		return nil, err
	}
	chosen := s.pickRule(n.settings.ListenerPort)
	if chosen == nil {
		return nil, nil
	}
	best, most := "", int32(-1)
	for _, d := range chosen.destinations() {
		if s.ownerOf(deref(d.TargetGroupArn)) != nil && weight(d) > most {
			best, most = deref(d.TargetGroupArn), weight(d)
		}
	}
	if best == "" {
		return nil, nil
	}
	found, err := n.targetGroupsByARN(ctx, []string{best})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// setAttributes writes the source's attributes, and the deregistration delay: how
// long a removed target may finish its requests.
func (n *creation) setAttributes(ctx context.Context) (string, error) {
	if n.targetGroup == "" {
		return "", nil
	}
	want, err := n.sourceAttributes(ctx)
	if err != nil {
		return "", err
	}
	want[deregistrationDelay] = strconv.Itoa(int(n.options.DeregistrationDelay.Seconds()))
	stored, err := n.attributes(ctx, n.targetGroup)
	if err != nil {
		return "", err
	}
	var missing []elbtypes.TargetGroupAttribute
	for _, key := range sortedKeys(want) {
		if stored[key] != want[key] {
			missing = append(missing, elbtypes.TargetGroupAttribute{Key: ptr(key), Value: ptr(want[key])})
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	_, err = n.balance.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: ptr(n.targetGroup), Attributes: missing,
	})
	return "ModifyTargetGroupAttributes", aws.Classify(err, "modify attributes of target group %s", nameOfTargetGroup(n.targetGroup))
}

// attach makes the rule forward to the target group at weight 0: only then does
// the load balancer check the health of its targets.
func (n *creation) attach(ctx context.Context) (string, error) {
	if n.targetGroup == "" {
		return "", nil
	}
	s, err := n.survey(ctx, n.change.Cluster, n.settings.balancer())
	if err != nil {
		return "", err
	}
	chosen := s.pickRule(n.settings.ListenerPort)
	if chosen == nil {
		return "", delivery.Errorf(delivery.NotFound, "listener of load balancer %s", n.settings.balancer())
	}
	if chosen.has(n.targetGroup) {
		return "", nil
	}
	if other := s.second(chosen); other != nil {
		return "", delivery.Errorf(delivery.Conflict, "two rules, of ports %d and %d, forward to cluster %s; weights are moved in one",
			chosen.port, other.port, n.change.Cluster.Name())
	}
	destinations := make([]elbtypes.TargetGroupTuple, 0, maxDestinations)
	for _, d := range chosen.destinations() {
		if s.ownerOf(deref(d.TargetGroupArn)) == nil {
			return "", delivery.Errorf(delivery.Conflict, "the rule of port %d forwards to target group %s, which is not of cluster %s",
				chosen.port, nameOfTargetGroup(deref(d.TargetGroupArn)), n.change.Cluster.Name())
		}
		destinations = append(destinations, elbtypes.TargetGroupTuple{TargetGroupArn: d.TargetGroupArn, Weight: ptr(weight(d))})
	}
	if len(destinations) >= maxDestinations {
		return "", delivery.Errorf(delivery.Quota, "the rule of port %d forwards to %d target groups already", chosen.port, len(destinations))
	}
	return n.writeRule(ctx, *chosen, append(destinations, elbtypes.TargetGroupTuple{TargetGroupArn: ptr(n.targetGroup), Weight: ptr(int32(0))}))
}

func (n *creation) makeGroup(ctx context.Context) (string, error) {
	if err := n.findVPC(ctx); err != nil {
		return "", err
	}
	subnets, findings, err := n.subnetsOf(ctx, n.settings, n.source, n.vpc)
	if err != nil {
		return "", err
	}
	if err := delivery.InvalidError("server group "+n.change.Group, findings); err != nil {
		return "", err
	}
	in := n.groupInput(subnets)
	_, err = n.groups.CreateAutoScalingGroup(ctx, in)
	if isA[*astypes.AlreadyExistsFault](err) {
		return "CreateAutoScalingGroup", n.compareExisting(ctx)
	}
	return "CreateAutoScalingGroup", aws.Classify(err, "create Auto Scaling group %s", n.change.Group)
}

// compareExisting decides what an "already exists" means. It is nil when an
// earlier try of ours made the group and its answer was lost, NotReady when the
// group is not visible yet, and Conflict when it is somebody else's.
func (n *creation) compareExisting(ctx context.Context) error {
	group, err := n.group(ctx, n.change.Group)
	if err != nil {
		return err
	}
	if group == nil {
		return delivery.Errorf(delivery.NotReady, "Auto Scaling group %s exists and is not visible yet", n.change.Group)
	}
	return own(n.change, "Auto Scaling group", groupTags(group))
}

func (n *creation) groupInput(subnets []string) *autoscaling.CreateAutoScalingGroupInput {
	c, s := n.change, n.settings
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: ptr(c.Group),
		MinSize:              ptr(int32(c.Capacity.Min)), MaxSize: ptr(int32(c.Capacity.Max)), DesiredCapacity: ptr(int32(c.Capacity.Desired)),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{
			LaunchTemplateId: n.template.LaunchTemplateId,
			// Never $Latest: what a group runs must not change under it.
			Version: ptr(strconv.FormatInt(cmp.Or(deref(n.template.LatestVersionNumber), 1), 10)),
		},
		VPCZoneIdentifier: ptr(strings.Join(subnets, ",")),
	}
	n.source.fill(in)
	if s.HealthCheckType != "" || n.source == nil {
		in.HealthCheckType = ptr(s.healthCheck())
	}
	if s.HealthCheckGracePeriod != nil || n.source == nil {
		in.HealthCheckGracePeriod = ptr(s.gracePeriod())
	}
	in.DefaultCooldown = cmp.Or(s.Cooldown, in.DefaultCooldown)
	if len(s.TerminationPolicies) > 0 {
		in.TerminationPolicies = s.TerminationPolicies
	}
	if n.targetGroup != "" {
		in.TargetGroupARNs = []string{n.targetGroup}
	}
	tags := n.tags()
	for _, key := range []string{tagImage, tagImageID} {
		tags = append(tags, tag{key, templateTags(n.template)[key]})
	}
	for _, t := range tags {
		in.Tags = append(in.Tags, astypes.Tag{
			Key: ptr(t.key), Value: ptr(t.value), PropagateAtLaunch: ptr(!n.source.keepsToItself(t.key)),
			ResourceId: ptr(c.Group), ResourceType: ptr("auto-scaling-group"),
		})
	}
	return in
}

// tags are the ownership tags, and the source's with the spec's own on top.
func (n *creation) tags() []tag {
	out, own := ownership(n.change), n.source.tags()
	maps.Copy(own, n.settings.Tags)
	for _, key := range sortedKeys(own) {
		if key != tagName {
			out = append(out, tag{key, own[key]})
		}
	}
	return out
}

// own returns Conflict unless the tags say that this very change made the piece.
func own(c delivery.Change, what string, tags map[string]string) error {
	if tags[tagChange] == tagValue(string(c.Key)) {
		return nil
	}
	return delivery.Errorf(delivery.Conflict, "%s of %s exists and was made by %s, not by %s",
		what, c.Group, cmp.Or(tags[tagChange], "somebody else"), c.Key)
}

func ec2Tags(tags []tag) []ec2types.Tag {
	out := make([]ec2types.Tag, len(tags))
	for i, t := range tags {
		out[i] = ec2types.Tag{Key: ptr(t.key), Value: ptr(t.value)}
	}
	return out
}

func elbTags(tags []tag) []elbtypes.Tag {
	out := make([]elbtypes.Tag, len(tags))
	for i, t := range tags {
		out[i] = elbtypes.Tag{Key: ptr(t.key), Value: ptr(t.value)}
	}
	return out
}
