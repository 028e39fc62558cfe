package simulator_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

const (
	region   = "us-east-1"
	newGroup = "storefront-prod-v001"
)

// deployer carries out a blue/green deploy by hand, with the SDK, as a script of an operator would.
type deployer struct {
	t        *testing.T
	s        *simulator.Simulator
	ec2      *ec2.Client
	asg      *autoscaling.Client
	elb      *elb.Client
	listener *string
	old, new string // target groups
}

func newDeployer(t *testing.T, s *simulator.Simulator) *deployer {
	t.Helper()
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(s.Endpoints().AWS), HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider(simulator.AccessKey, "any", ""),
	}
	d := &deployer{
		t: t, s: s, ec2: ec2.NewFromConfig(config), asg: autoscaling.NewFromConfig(config), elb: elb.NewFromConfig(config),
	}
	balancers, err := d.elb.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{simulator.LoadBalancer}})
	d.check(err)
	listeners, err := d.elb.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: balancers.LoadBalancers[0].LoadBalancerArn})
	d.check(err)
	d.listener = listeners.Listeners[0].ListenerArn
	d.old = *listeners.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups[0].TargetGroupArn
	return d
}

func (d *deployer) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func tags() map[string]string {
	return map[string]string{
		"slipway:application": "storefront", "slipway:cluster": simulator.Cluster, "slipway:server-group": newGroup,
		"slipway:deployment": "by-hand",
	}
}

// create makes the new group of n instances behind a target group at weight 0.
func (d *deployer) create(image string, n int32) {
	d.t.Helper()
	ctx := d.t.Context()
	images, err := d.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{image}}},
	})
	d.check(err)
	subnets, err := d.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	d.check(err)
	var ec2Tags []ec2types.Tag
	var elbTags []elbtypes.Tag
	var asgTags []astypes.Tag
	for key, value := range tags() {
		ec2Tags = append(ec2Tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
		elbTags = append(elbTags, elbtypes.Tag{Key: aws.String(key), Value: aws.String(value)})
		asgTags = append(asgTags, astypes.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	_, err = d.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(newGroup),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: images.Images[0].ImageId, InstanceType: ec2types.InstanceTypeT3Small,
		},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeLaunchTemplate, Tags: ec2Tags}},
	})
	d.check(err)
	group, err := d.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("by-hand"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: subnets.Subnets[0].VpcId,
		HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
		Tags: elbTags,
	})
	d.check(err)
	d.new = *group.TargetGroups[0].TargetGroupArn
	d.weigh(100, 0)
	_, err = d.asg.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(newGroup), MinSize: aws.Int32(n), MaxSize: aws.Int32(n), DesiredCapacity: aws.Int32(n),
		LaunchTemplate:    &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(newGroup), Version: aws.String("1")},
		VPCZoneIdentifier: subnets.Subnets[0].SubnetId, TargetGroupARNs: []string{d.new}, Tags: asgTags,
	})
	d.check(err)
}

// weigh sets the weights and reads them back.
func (d *deployer) weigh(old, new int32) {
	d.t.Helper()
	_, err := d.elb.ModifyListener(d.t.Context(), &elb.ModifyListenerInput{
		ListenerArn: d.listener,
		DefaultActions: []elbtypes.Action{{
			Type: elbtypes.ActionTypeEnumForward,
			ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
				{TargetGroupArn: aws.String(d.old), Weight: aws.Int32(old)}, {TargetGroupArn: aws.String(d.new), Weight: aws.Int32(new)},
			}},
		}},
	})
	d.check(err)
	_, err = d.elb.DescribeListeners(d.t.Context(), &elb.DescribeListenersInput{ListenerArns: []string{*d.listener}})
	d.check(err)
}

// awaitEffect waits until every proxy worker gives the old group this weight.
func (d *deployer) awaitEffect(weight int) {
	d.t.Helper()
	workers := map[int]bool{}
	d.await(func(e simcloud.Event) bool {
		if e.Kind == simcloud.WeightsEffective && e.Region == region {
			workers[e.Worker] = e.Weights[d.old] == weight
		}
		return len(workers) == 4 && workers[0] && workers[1] && workers[2] && workers[3]
	})
}

func (d *deployer) awaitHealthy(n int) {
	d.t.Helper()
	healthy := map[string]bool{}
	d.await(func(e simcloud.Event) bool {
		if e.Kind == simcloud.TargetStateChanged && e.Resource == d.new {
			healthy[e.Instance] = e.State == string(simcloud.TargetHealthy)
		}
		count := 0
		for _, ok := range healthy {
			if ok {
				count++
			}
		}
		return count == n
	})
}

func (d *deployer) await(match func(simcloud.Event) bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := d.s.World.Log.Await(ctx, 0, match); err != nil {
		d.t.Fatalf("the awaited event did not come: %v", err)
	}
}

// empty takes all instances out of the old group and waits for their end.
func (d *deployer) empty(n int) {
	d.t.Helper()
	_, err := d.asg.UpdateAutoScalingGroup(d.t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(simulator.Group), MinSize: aws.Int32(0), MaxSize: aws.Int32(0), DesiredCapacity: aws.Int32(0),
	})
	d.check(err)
	ended := 0
	d.await(func(e simcloud.Event) bool {
		if e.Kind == simcloud.InstanceStateChanged && e.Group == simulator.Group && e.Region == region && e.State == "terminated" {
			ended++
		}
		return ended == n
	})
}

func (d *deployer) audit(n int) []simcloud.Violation {
	return simcloud.Audit(d.s.World.Log.Events(), simcloud.AuditConfig{
		After: d.s.Seeded(), Floors: map[string]int{simulator.Cluster: n}, Ceilings: map[string]int{simulator.Cluster: 2 * n},
	})
}

// traffic sends requests to the load balancer until stop is called and enough were sent or failed, or 20 s are over. It
// returns how many were sent and how many failed.
func traffic(t *testing.T, url string) (stop func(enough func(sent, failed int64) bool) (sent, failed int64)) {
	t.Helper()
	var sent, failed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			response, err := http.Get(url)
			sent.Add(1)
			if err != nil || response.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			if err == nil {
				_ = response.Body.Close()
			}
		}
	}()
	return func(enough func(sent, failed int64) bool) (int64, int64) {
		for deadline := time.Now().Add(20 * time.Second); !enough(sent.Load(), failed.Load()) && time.Now().Before(deadline); {
			<-time.After(5 * time.Millisecond)
		}
		cancel()
		<-done
		return sent.Load(), failed.Load()
	}
}

func TestCarefulDeployFailsNoRequest(t *testing.T) {
	const n = 3
	s := start(t, simulator.Options{Scale: 50, Capacity: n})
	d := newDeployer(t, s)
	stop := traffic(t, s.LoadBalancer(region))
	d.create("storefront-1.1", n)
	d.awaitHealthy(n)
	d.weigh(50, 50)
	d.awaitEffect(50)
	d.weigh(0, 100)
	d.awaitEffect(0)
	d.empty(n)
	if sent, failed := stop(func(sent, _ int64) bool { return sent >= 50 }); failed > 0 || sent < 50 {
		t.Errorf("%d of %d requests failed, want none of at least 50", failed, sent)
	}
	for _, v := range d.audit(n) {
		t.Error(v)
	}
	var said struct{ Version string }
	send(t, http.MethodGet, s.LoadBalancer(region), "", http.StatusOK, &said)
	if said.Version != "1.1" {
		t.Errorf("version = %s, want 1.1", said.Version)
	}
}

// TestCarelessDeployIsCaught takes the old group away at once. That must hurt, and the auditor must say why.
func TestCarelessDeployIsCaught(t *testing.T) {
	const n = 2
	s := start(t, simulator.Options{Scale: 50, Capacity: n})
	d := newDeployer(t, s)
	stop := traffic(t, s.LoadBalancer(region))
	d.create("storefront-2.0-crash", n)
	d.weigh(0, 100)
	d.awaitEffect(0)
	d.empty(n)
	if _, failed := stop(func(_, failed int64) bool { return failed > 0 }); failed == 0 {
		t.Error("no request failed, although nothing healthy was left")
	}
	found := map[string]bool{}
	for _, v := range d.audit(n) {
		found[v.Invariant] = true
	}
	for _, invariant := range []string{"I1", "I2", "I5"} {
		if !found[invariant] {
			t.Errorf("%s was not reported: %v", invariant, found)
		}
	}
}
