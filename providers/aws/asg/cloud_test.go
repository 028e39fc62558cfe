package asg_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/asg"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
	simaws "github.com/slipway-cd/slipway/simcloud/aws"
)

const (
	account   = "aws-test"
	accountID = "111122223333"
	region    = "us-east-1"
	balancer  = "shop"
	// scale makes a health check's 5 s pass in 83 ms.
	scale = 60
)

// cloud is a simulated account that is reached through the AWS SDK, by the
// target and by the tests themselves.
type cloud struct {
	world    *simcloud.World
	target   *asg.Target
	groups   *autoscaling.Client
	compute  *ec2.Client
	balance  *elb.Client
	seeded   simaws.SeededRegion
	endpoint string
	server   *simaws.Cloud
	balancer string // ARN
	setUp    int    // writes that the set-up made
}

var _ providertest.Cloud = (*cloud)(nil)

func newCloud(t *testing.T) *cloud {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: scale, Seed: 1, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(world.Close)
	server := simaws.New(world, simaws.Options{PageSize: 2})
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	c := &cloud{world: world, endpoint: endpoint.URL, server: server}
	c.seeded = c.addNetwork()
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", BootDelay: 2 * time.Second},
		{Name: "shop-1.1", BootDelay: 2 * time.Second},
		{Name: "shop-sick", BootDelay: time.Second, NeverHealthy: true},
	} {
		if _, err := server.SeedImage(image); err != nil {
			t.Fatal(err)
		}
	}
	session, err := aws.Open(t.Context(), aws.Options{Account: account, AccountID: accountID, Endpoint: endpoint.URL, AccessKeyID: "AKIATEST", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	c.target = asg.New(session, region, asg.Options{Settle: time.Second, DeregistrationDelay: 5 * time.Second})
	cfg := session.Config(region)
	c.groups, c.compute, c.balance = autoscaling.NewFromConfig(cfg), ec2.NewFromConfig(cfg), elb.NewFromConfig(cfg)
	c.balancer = c.addBalancer(t, balancer, elbtypes.Action{
		Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: sdk.String("503")},
	})
	c.setUp = c.Writes()
	return c
}

// addNetwork makes a VPC with subnets and security groups.
func (c *cloud) addNetwork() simaws.SeededRegion {
	return c.server.SeedRegion(simaws.SeedRegion{
		Account: account, AccountID: accountID, AccessKey: "AKIATEST", Region: region,
		Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}, SecurityGroups: []string{"web", "admin", "db"},
	})
}

// addBalancer makes an ALB with a listener on port 80 and returns its ARN.
func (c *cloud) addBalancer(t *testing.T, name string, action elbtypes.Action) string {
	t.Helper()
	made, err := c.balance.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{
		Name: sdk.String(name), Subnets: []string{c.seeded.Subnets["us-east-1a"], c.seeded.Subnets["us-east-1b"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := *made.LoadBalancers[0].LoadBalancerArn
	c.addListener(t, arn, 80, action)
	return arn
}

func (c *cloud) addListener(t *testing.T, balancerARN string, port int32, action elbtypes.Action) string {
	t.Helper()
	made, err := c.balance.CreateListener(t.Context(), &elb.CreateListenerInput{
		LoadBalancerArn: sdk.String(balancerARN), Port: sdk.Int32(port), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: []elbtypes.Action{action},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Listeners[0].ListenerArn
}

// addTargetGroup makes a target group that belongs to nobody and returns its ARN.
func (c *cloud) addTargetGroup(t *testing.T, name string) string {
	t.Helper()
	made, err := c.balance.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: sdk.String(name), Protocol: elbtypes.ProtocolEnumHttp, Port: sdk.Int32(80), VpcId: sdk.String(c.seeded.VPC),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *made.TargetGroups[0].TargetGroupArn
}

func (c *cloud) Target() delivery.Target { return c.target }

func (c *cloud) Cluster(m delivery.Moniker) delivery.Cluster {
	return delivery.Cluster{Provider: asg.Provider, Account: account, Region: region, Moniker: m}
}

// object is a deploy stage's cluster object; tests overwrite its fields.
func object() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"availabilityZones":      json.RawMessage(`{"us-east-1":["us-east-1a","us-east-1b"]}`),
		"instanceType":           json.RawMessage(`"t3.small"`),
		"securityGroups":         json.RawMessage(`["web"]`),
		"healthCheckPath":        json.RawMessage(`"/healthz"`),
		"healthCheckInterval":    json.RawMessage(`5`),
		"healthCheckTimeout":     json.RawMessage(`2`),
		"healthyThreshold":       json.RawMessage(`2`),
		"unhealthyThreshold":     json.RawMessage(`2`),
		"healthCheckGracePeriod": json.RawMessage(`20`),
	}
}

func (c *cloud) Spec(image string, size int, behindLoadBalancer bool) delivery.GroupSpec {
	fields := object()
	spec := delivery.GroupSpec{Image: image, Capacity: delivery.Pinned(size)}
	if behindLoadBalancer {
		spec.LoadBalancer = balancer
		fields["loadBalancers"] = json.RawMessage(`["` + balancer + `"]`)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err) // raw messages always marshal
	}
	spec.Settings = raw
	return spec
}

func (c *cloud) Images() (good, sick string) { return "shop-1.1", "shop-sick" }

func (c *cloud) Writes() int {
	n := -c.setUp
	for _, e := range c.world.Log.Events() {
		if e.Kind == simcloud.APICall && e.Write && e.Effect && e.Fault == "" {
			n++
		}
	}
	return n
}

// calls counts the requests since the last event before.
func (c *cloud) calls(since int64) (all int, byAction map[string]int) {
	byAction = map[string]int{}
	for _, e := range c.world.Log.After(since, 0) {
		if e.Kind == simcloud.APICall {
			all++
			byAction[e.Action]++
		}
	}
	return all, byAction
}

func (c *cloud) LoseAnswer(nth int) {
	c.fault(simcloud.Fault{Match: simcloud.Match{Writes: true, Nth: nth}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter}, Times: 1})
}

func (c *cloud) fault(f simcloud.Fault) {
	if _, err := c.world.Faults.Add(f); err != nil {
		panic(err) // a mistake in the test itself
	}
}

func (c *cloud) Pieces() []string {
	ctx := context.Background()
	out := []string{}
	groups := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.groups, &autoscaling.DescribeAutoScalingGroupsInput{})
	for groups.HasMorePages() {
		for _, g := range must(groups.NextPage(ctx)).AutoScalingGroups {
			out = append(out, "group "+*g.AutoScalingGroupName)
		}
	}
	templates := ec2.NewDescribeLaunchTemplatesPaginator(c.compute, &ec2.DescribeLaunchTemplatesInput{})
	for templates.HasMorePages() {
		for _, l := range must(templates.NextPage(ctx)).LaunchTemplates {
			out = append(out, "template "+*l.LaunchTemplateName)
		}
	}
	targets := elb.NewDescribeTargetGroupsPaginator(c.balance, &elb.DescribeTargetGroupsInput{})
	for targets.HasMorePages() {
		for _, g := range must(targets.NextPage(ctx)).TargetGroups {
			out = append(out, "target group "+*g.TargetGroupName)
		}
	}
	for _, r := range c.rules(ctx) {
		for _, d := range destinations(r) {
			out = append(out, fmt.Sprintf("destination %s %d", *d.TargetGroupArn, *d.Weight))
		}
	}
	slices.Sort(out)
	return out
}

// rules returns every rule of every listener.
func (c *cloud) rules(ctx context.Context) []elbtypes.Rule {
	var out []elbtypes.Rule
	for _, b := range must(c.balance.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{PageSize: sdk.Int32(100)})).LoadBalancers {
		for _, l := range must(c.balance.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn, PageSize: sdk.Int32(100)})).Listeners {
			out = append(out, must(c.balance.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn, PageSize: sdk.Int32(100)})).Rules...)
		}
	}
	return out
}

func destinations(r elbtypes.Rule) []elbtypes.TargetGroupTuple {
	for _, a := range r.Actions {
		if a.ForwardConfig != nil {
			return a.ForwardConfig.TargetGroups
		}
	}
	return nil
}

func (c *cloud) Plant(t *testing.T, name string) {
	t.Helper()
	images := must(c.compute.DescribeImages(t.Context(), &ec2.DescribeImagesInput{
		Filters: []ec2types.Filter{{Name: sdk.String("name"), Values: []string{"shop-1.0"}}},
	}))
	must(c.compute.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: sdk.String(name),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: images.Images[0].ImageId, InstanceType: ec2types.InstanceTypeT3Small},
	}))
	must(c.groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: sdk.String(name), MinSize: sdk.Int32(0), MaxSize: sdk.Int32(1), DesiredCapacity: sdk.Int32(0),
		VPCZoneIdentifier: sdk.String(c.seeded.Subnets["us-east-1a"]),
		LaunchTemplate:    launchTemplate(name),
	}))
}

// must is for calls of the tests' own, which the simulator has no reason to refuse.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
