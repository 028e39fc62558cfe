package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/simcloud"
)

// SeedRegion describes what exists in one region of an account before anybody calls. Seeding the same account again adds
// a region to it.
type SeedRegion struct {
	// Account is the name that events call the account, AccountID its twelve digits.
	Account, AccountID string
	// AccessKey is the access key id of the account's user; the secret is not checked. Empty when the account is
	// reached through roles only.
	AccessKey string
	Region    string
	// Zones are availability zones such as "us-east-1a": each gets one subnet.
	Zones []string
	// SecurityGroups are the names of security groups.
	SecurityGroups []string
}

// SeededRegion names what SeedRegion made.
type SeededRegion struct {
	VPC            string
	Subnets        map[string]string // by zone
	SecurityGroups map[string]string // by name
}

// SeedRegion makes an account's region with a default VPC, one subnet in each zone and security groups.
func (c *Cloud) SeedRegion(seed SeedRegion) SeededRegion {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[seed.AccountID]
	if a == nil {
		a = &account{ID: seed.AccountID, Name: seed.Account}
		c.accounts[a.ID] = a
	}
	if seed.AccessKey != "" {
		c.keys[seed.AccessKey] = principal{Account: a, ARN: "arn:aws:iam::" + a.ID + ":user/" + a.Name, UserID: "AIDA" + seed.AccessKey}
	}
	r := c.regionOf(a, seed.Region)
	out := SeededRegion{VPC: c.newID("vpc-", 17), Subnets: map[string]string{}, SecurityGroups: map[string]string{}}
	r.data.VPCs[out.VPC] = &vpc{ID: out.VPC, CIDR: "10.0.0.0/16", Default: true}
	for i, zone := range seed.Zones {
		s := &subnet{
			ID: c.newID("subnet-", 17), VPC: out.VPC, Zone: zone, CIDR: fmt.Sprintf("10.0.%d.0/20", i*16),
			Tags: []tag{{"Name", "default." + zone}},
		}
		r.data.Subnets[s.ID] = s
		out.Subnets[zone] = s.ID
	}
	for _, name := range seed.SecurityGroups {
		g := &securityGroup{ID: c.newID("sg-", 17), Name: name, VPC: out.VPC, Tags: []tag{{"Name", name}}}
		r.data.SecurityGroups[g.ID] = g
		out.SecurityGroups[name] = g.ID
	}
	return out
}

// SeedRole makes a role demand an external id from whoever assumes it. Roles that were not seeded can be assumed by
// anybody known.
func (c *Cloud) SeedRole(arn, externalID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roles[arn] = externalID
}

// SeedImage publishes an image that instances can be launched from.
func (c *Cloud) SeedImage(image simcloud.Image) (simcloud.Image, error) {
	published, err := c.world.Images.Publish(image)
	if err != nil {
		return simcloud.Image{}, fmt.Errorf("publish image %s: %w", image.Name, err)
	}
	return published, nil
}

// SeedCluster describes a server group behind a load balancer that serves before anybody calls.
type SeedCluster struct {
	AccountID, Region string
	// LoadBalancer is the name of the load balancer; it is made, with a listener on port 80, if it does not exist.
	LoadBalancer string
	// Group is the name of the Auto Scaling group, TargetGroup that of its target group.
	Group, TargetGroup string
	// Image is the id or the name of its image.
	Image         string
	Capacity      simcloud.Capacity
	SecurityGroup string // name; may be empty
	// Tags go onto the group (propagated), the target group and the launch template.
	Tags map[string]string
	// DrainSeconds is the deregistration delay; 30 when 0.
	DrainSeconds int
}

// SeedCluster makes the parts of a server group: launch template, target group, load balancer with a listener whose
// default rule forwards to it, and Auto Scaling group. Its instances boot by the clock like any others.
func (c *Cloud) SeedCluster(seed SeedCluster) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[seed.AccountID]
	if a == nil {
		return fmt.Errorf("seed cluster %s: account %s does not exist", seed.Group, seed.AccountID)
	}
	r := c.regionOf(a, seed.Region)
	who := principal{Account: a, ARN: "arn:aws:iam::" + a.ID + ":root", UserID: a.ID}
	s := seeder{
		seed: seed,
		call: &call{cloud: c, region: r, data: r.data, account: a, principal: who, action: "Seed", now: c.world.Clock.Now()},
	}
	if err := s.run(); err != nil {
		return fmt.Errorf("seed cluster %s: %w", seed.Group, err)
	}
	r.reconcile(s.call.now)
	return nil
}

// seeder makes a cluster with the same handlers that clients use.
type seeder struct {
	seed SeedCluster
	call *call
}

func (s *seeder) run() error {
	template, err := s.template()
	if err != nil {
		return err
	}
	target, err := s.target()
	if err != nil {
		return err
	}
	if err := s.route(target); err != nil {
		return err
	}
	return s.group(template, target)
}

func (s *seeder) group(template, target string) error {
	var tags []tagInput
	for _, t := range s.tags() {
		tags = append(tags, tagInput{Key: t.Key, Value: t.Value, PropagateAtLaunch: ptr(true)})
	}
	subnets, zones := s.subnets()
	_, err := s.call.createAutoScalingGroup(&createGroupInput{
		AutoScalingGroupName: s.seed.Group, MinSize: ptr(int32(s.seed.Capacity.Min)), MaxSize: ptr(int32(s.seed.Capacity.Max)),
		DesiredCapacity: ptr(int32(s.seed.Capacity.Desired)), LaunchTemplate: &templateSpec{LaunchTemplateId: template, Version: "1"},
		VPCZoneIdentifier: strings.Join(subnets, ","), AvailabilityZones: zones, TargetGroupARNs: []string{target}, HealthCheckType: "ELB",
		HealthCheckGracePeriod: ptr(int32(60)), Tags: tags,
	})
	return err
}

func (s *seeder) tags() []queryTag {
	var out []queryTag
	for key, value := range s.seed.Tags {
		out = append(out, queryTag{key, value})
	}
	slices.SortFunc(out, func(a, b queryTag) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return out
}

func (s *seeder) subnets() (ids, zones []string) {
	for _, sub := range sorted(s.call.data.Subnets) {
		ids, zones = append(ids, sub.ID), append(zones, sub.Zone)
	}
	return ids, zones
}

func (s *seeder) template() (string, error) {
	image := s.seed.Image
	for _, i := range s.call.region.images() {
		if i.Name == image {
			image = i.ID
		}
	}
	in := &createLaunchTemplateInput{
		LaunchTemplateName: s.seed.Group,
		LaunchTemplateData: templateData{ImageId: &image, InstanceType: ptr("t3.small")},
		TagSpecification:   []templateTags{{ResourceType: "launch-template", Tag: mapped(s.tags(), func(t queryTag) ec2Tag1 { return ec2Tag1(t) })}},
	}
	for _, g := range s.call.data.SecurityGroups {
		if g.Name == s.seed.SecurityGroup {
			in.LaunchTemplateData.SecurityGroupIds = []string{g.ID}
		}
	}
	out, err := s.call.createLaunchTemplate(in)
	if err != nil {
		return "", err
	}
	return out.LaunchTemplate.LaunchTemplateId, nil
}

func (s *seeder) target() (string, error) {
	var network string
	for id := range s.call.data.VPCs {
		network = id
	}
	out, err := s.call.createTargetGroup(&createTargetGroupInput{
		Name: s.seed.TargetGroup, Protocol: "HTTP", Port: ptr(int32(8080)), VpcId: network, HealthCheckPath: "/healthz",
		HealthCheckIntervalSeconds: ptr(int32(5)), HealthCheckTimeoutSeconds: ptr(int32(2)), HealthyThresholdCount: ptr(int32(2)),
		UnhealthyThresholdCount: ptr(int32(2)), Tags: s.tags(),
	})
	if err != nil {
		return "", err
	}
	arn := out.TargetGroups.Items[0].TargetGroupArn
	drain := s.seed.DrainSeconds
	if drain == 0 {
		drain = 30
	}
	_, err = s.call.modifyTargetGroupAttributes(&modifyTargetGroupAttributesInput{
		TargetGroupArn: arn, Attributes: []attributeXML{{"deregistration_delay.timeout_seconds", fmt.Sprint(drain)}},
	})
	return arn, err
}

func (s *seeder) route(target string) error {
	r := s.call.region
	for _, b := range r.data.Balancers {
		if b.Name == s.seed.LoadBalancer {
			return fmt.Errorf("load balancer %s exists", b.Name)
		}
	}
	subnets, _ := s.subnets()
	b := &balancer{Name: s.seed.LoadBalancer, Scheme: "internet-facing", Subnets: subnets, CreatedAt: s.call.now, ActiveAt: s.call.now}
	for id := range r.data.VPCs {
		b.VPC = id
	}
	r.addBalancer(b)
	actions, refusal := s.call.checkActions([]ruleAction{{Type: "forward", TargetGroupArn: &target}}, b.ARN)
	if refusal != nil {
		return refusal
	}
	_, err := r.addListener(b, 80, actions, nil)
	return err
}
