package aws_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/slipway-cd/slipway/simcloud"
)

func statusOf(err error) int {
	var e *smithyhttp.ResponseError
	if errors.As(err, &e) {
		return e.HTTPStatusCode()
	}
	return 0
}

// TestErrorCodes asks for what must be refused and compares code, status and a part of the text as the real SDK sees them.
func TestErrorCodes(t *testing.T) {
	r := manual(t)
	listener, target := r.seedShop(1)
	defaultRule := r.rules(listener)[0]
	template := r.newTemplate("shop-prod-v001", "shop-1.1")
	other := r.newTarget("shop-other")
	rule := must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), createRule(listener, 10, other))).Rules[0]
	full := func() *autoscaling.CreateAutoScalingGroupInput {
		return &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: p("shop-prod-v001"), MinSize: p(int32(1)), MaxSize: p(int32(2)),
			LaunchTemplate: &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &template, Version: p("1")}, VPCZoneIdentifier: p(r.network.Subnets["us-east-1a"]),
		}
	}
	create := func(change func(in *autoscaling.CreateAutoScalingGroupInput)) error {
		in := full()
		change(in)
		_, err := r.asg.CreateAutoScalingGroup(ctx(t), in)
		return err
	}
	update := func(in *autoscaling.UpdateAutoScalingGroupInput) error {
		_, err := r.asg.UpdateAutoScalingGroup(ctx(t), in)
		return err
	}
	newRule := func(in *elb.CreateRuleInput) error {
		_, err := r.elb.CreateRule(ctx(t), in)
		return err
	}
	modify := func(arn string, actions ...elbtypes.Action) error {
		_, err := r.elb.ModifyRule(ctx(t), &elb.ModifyRuleInput{RuleArn: &arn, Actions: actions})
		return err
	}
	newTarget := func(change func(in *elb.CreateTargetGroupInput)) error {
		in := &elb.CreateTargetGroupInput{Name: p("shop-other"), Protocol: elbtypes.ProtocolEnumHttp, Port: p(int32(8080)), VpcId: &r.network.VPC}
		change(in)
		_, err := r.elb.CreateTargetGroup(ctx(t), in)
		return err
	}
	ec2Template := func(in *ec2.CreateLaunchTemplateInput) error {
		in.LaunchTemplateData = &ec2types.RequestLaunchTemplateData{ImageId: p("ami-1")}
		_, err := r.ec2.CreateLaunchTemplate(ctx(t), in)
		return err
	}
	const absent = "no-such-thing"
	tests := []struct {
		name string
		err  error
		code string
		text string
		want int
	}{
		{"image", second(r.ec2.DescribeImages(ctx(t), &ec2.DescribeImagesInput{ImageIds: []string{"ami-00000000"}})), "InvalidAMIID.NotFound", "'[ami-00000000]' does not exist", 400},
		{"subnet", second(r.ec2.DescribeSubnets(ctx(t), &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0"}})), "InvalidSubnetID.NotFound", "subnet-0", 400},
		{"security group", second(r.ec2.DescribeSecurityGroups(ctx(t), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0"}})), "InvalidGroup.NotFound", "sg-0", 400},
		{"security group name", second(r.ec2.DescribeSecurityGroups(ctx(t), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{absent}})), "InvalidGroup.NotFound", absent, 400},
		{"vpc", second(r.ec2.DescribeVpcs(ctx(t), &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-0"}})), "InvalidVpcID.NotFound", "vpc-0", 400},
		{"instance", second(r.ec2.DescribeInstances(ctx(t), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0"}})), "InvalidInstanceID.NotFound", "i-0", 400},
		{"filter", second(r.ec2.DescribeImages(ctx(t), &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: p(absent), Values: []string{"x"}}}})), "InvalidParameterValue", absent, 400},
		{"dry run", second(r.ec2.DescribeVpcs(ctx(t), &ec2.DescribeVpcsInput{DryRun: p(true)})), "DryRunOperation", "DryRun", 412},
		{"template exists", ec2Template(&ec2.CreateLaunchTemplateInput{LaunchTemplateName: p("shop-prod-v001")}), "InvalidLaunchTemplateName.AlreadyExistsException", "already in use", 400},
		{"template name", ec2Template(&ec2.CreateLaunchTemplateInput{LaunchTemplateName: p("a b c")}), "InvalidLaunchTemplateName.MalformedException", "between 3 and 128", 400},
		{"template by id", second(r.ec2.DeleteLaunchTemplate(ctx(t), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: p("lt-0")})), "InvalidLaunchTemplateId.NotFound", "lt-0", 400},
		{"template by name", second(r.ec2.DeleteLaunchTemplate(ctx(t), &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: p(absent)})), "InvalidLaunchTemplateName.NotFoundException", "does not exist", 400},
		{"template version", second(r.ec2.DescribeLaunchTemplateVersions(ctx(t), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: []string{"7"}})), "InvalidLaunchTemplateId.VersionNotFound", "7", 400},
		{"ec2 token", second(r.ec2.DescribeVpcs(ctx(t), &ec2.DescribeVpcsInput{NextToken: p("x")})), "InvalidNextToken", "x", 400},

		{"group exists", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = p("shop-prod-v000") }), "AlreadyExists", "already exists", 400},
		{"group's capacity", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.DesiredCapacity = p(int32(5)) }), "ValidationError", "Desired capacity:5 must be between the specified min size:1 and max size:2", 400},
		{"group's bounds", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.MinSize = p(int32(3)) }), "ValidationError", "greater than or equal", 400},
		{"group's template", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate.LaunchTemplateId = p("lt-0") }), "ValidationError", "valid fully-formed launch template", 400},
		{"group's template version", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate.Version = p("9") }), "ValidationError", "valid fully-formed launch template", 400},
		{"group's subnet", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = p("subnet-0") }), "ValidationError", "subnet-0", 400},
		{"group's target group", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.TargetGroupARNs = []string{absent} }), "ValidationError", "Provided Target Groups may not be valid", 400},
		{"group's hooks", create(func(in *autoscaling.CreateAutoScalingGroupInput) { in.MaxInstanceLifetime = p(int32(86400)) }), "UnsupportedOperation", "MaxInstanceLifetime", 400},
		{"no group", update(&autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: p(absent)}), "ValidationError", "AutoScalingGroup name not found", 400},
		{"desired above", second(r.asg.SetDesiredCapacity(ctx(t), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: p("shop-prod-v000"), DesiredCapacity: p(int32(9))})), "ValidationError", "above max value 1", 400},
		{"desired below", second(r.asg.SetDesiredCapacity(ctx(t), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: p("shop-prod-v000"), DesiredCapacity: p(int32(0))})), "ValidationError", "below min value 1", 400},
		{"group in use", second(r.asg.DeleteAutoScalingGroup(ctx(t), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: p("shop-prod-v000")})), "ResourceInUse", "while there are instances", 400},
		{"process", second(r.asg.SuspendProcesses(ctx(t), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: p("shop-prod-v000"), ScalingProcesses: []string{absent}})), "ValidationError", absent, 400},
		{"no refresh", second(r.asg.CancelInstanceRefresh(ctx(t), &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: p("shop-prod-v000")})), "ActiveInstanceRefreshNotFound", "", 400},
		{"autoscaling token", second(r.asg.DescribeTags(ctx(t), &autoscaling.DescribeTagsInput{NextToken: p("x")})), "InvalidNextToken", "x", 400},

		{"balancer", second(r.elb.DescribeLoadBalancers(ctx(t), &elb.DescribeLoadBalancersInput{Names: []string{absent}})), "LoadBalancerNotFound", absent, 400},
		{"listener", second(r.elb.DescribeRules(ctx(t), &elb.DescribeRulesInput{ListenerArn: p(absent)})), "ListenerNotFound", "", 400},
		{"rule", modify(absent), "RuleNotFound", "", 400},
		{"default rule", modify(defaultRule, forward(target)), "OperationNotPermitted", "Default rule", 400},
		{"default rule deleted", second(r.elb.DeleteRule(ctx(t), &elb.DeleteRuleInput{RuleArn: &defaultRule})), "OperationNotPermitted", "Default rule", 400},
		{"priority", newRule(createRule(listener, 10, target)), "PriorityInUse", "'10'", 400},
		{"priority range", newRule(createRule(listener, 50001, target)), "ValidationError", "50000", 400},
		{"rule's target group", newRule(createRule(listener, 11, absent)), "TargetGroupNotFound", "", 400},
		{"weight", modify(*rule.RuleArn, weighted(target, 1000)), "ValidationError", "999", 400},
		{"six groups", modify(*rule.RuleArn, weighted(target, 1), weighted(target, 1)), "UnsupportedOperation", "member.2", 400},
		{"twice the same group", modify(*rule.RuleArn, weighted(target, 1, target)), "ValidationError", "more than once", 400},
		{"target group in use", second(r.elb.DeleteTargetGroup(ctx(t), &elb.DeleteTargetGroupInput{TargetGroupArn: &target})), "ResourceInUse", "currently in use by a listener or a rule", 400},
		{"target group differs", newTarget(func(in *elb.CreateTargetGroupInput) { in.Port = p(int32(9090)) }), "DuplicateTargetGroupName", "different settings", 400},
		{"target group name", newTarget(func(in *elb.CreateTargetGroupInput) { in.Name = p(strings.Repeat("x", 33)) }), "ValidationError", "longer than '32'", 400},
		{"target group interval", newTarget(func(in *elb.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = p(int32(4)) }), "ValidationError", "interval '4'", 400},
		{"no target group", second(r.elb.DescribeTargetHealth(ctx(t), &elb.DescribeTargetHealthInput{TargetGroupArn: p(absent)})), "TargetGroupNotFound", "", 400},
		{"target", second(r.elb.RegisterTargets(ctx(t), &elb.RegisterTargetsInput{TargetGroupArn: &target, Targets: []elbtypes.TargetDescription{{Id: p("i-0")}}})), "InvalidTarget", "i-0", 400},
		{"attribute", second(r.elb.ModifyTargetGroupAttributes(ctx(t), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &target, Attributes: []elbtypes.TargetGroupAttribute{{Key: p("x"), Value: p("y")}}})), "ValidationError", "'x'", 400},
		{"attribute range", second(r.elb.ModifyTargetGroupAttributes(ctx(t), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &target, Attributes: []elbtypes.TargetGroupAttribute{{Key: p("deregistration_delay.timeout_seconds"), Value: p("3601")}}})), "ValidationError", "3600", 400},

		{"assume a foreign role", second(r.sts.AssumeRole(ctx(t), &sts.AssumeRoleInput{RoleArn: p("arn:aws:iam::999999999999:role/x"), RoleSessionName: p("me")})), "AccessDenied", "sts:AssumeRole", 403},
		{"metrics without time", second(r.metrics.GetMetricData(ctx(t), &cloudwatch.GetMetricDataInput{StartTime: p(r.world.Clock.Now()), EndTime: p(r.world.Clock.Now()), MetricDataQueries: []cwtypes.MetricDataQuery{}})), "ValidationError", "StartTime", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if codeOf(tt.err) != tt.code || statusOf(tt.err) != tt.want || !strings.Contains(tt.err.Error(), tt.text) {
				t.Errorf("got %d %v, want %d %s ...%s", statusOf(tt.err), tt.err, tt.want, tt.code, tt.text)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func (r *rig) rules(listener string) []string {
	r.t.Helper()
	var arns []string
	pages := elb.NewDescribeRulesPaginator(r.elb, &elb.DescribeRulesInput{ListenerArn: &listener})
	for pages.HasMorePages() {
		for _, rule := range must[*elb.DescribeRulesOutput](r.t)(pages.NextPage(ctx(r.t))).Rules {
			arns = append(arns, *rule.RuleArn)
		}
	}
	return arns
}

func forward(arn string) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &arn}
}

func weighted(arn string, weight int32, more ...string) elbtypes.Action {
	config := &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: &arn, Weight: &weight}}}
	for _, also := range more {
		config.TargetGroups = append(config.TargetGroups, elbtypes.TargetGroupTuple{TargetGroupArn: &also})
	}
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: config}
}

func createRule(listener string, priority int32, target string) *elb.CreateRuleInput {
	return &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: &priority, Actions: []elbtypes.Action{forward(target)},
		Conditions: []elbtypes.RuleCondition{{Field: p("http-header"), HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: p("X-Dark"), Values: []string{"yes"}}}},
	}
}

// TestIdentity goes through keys that are known, unknown, assumed and mixed up.
func TestIdentity(t *testing.T) {
	r := manual(t)
	who := must[*sts.GetCallerIdentityOutput](t)(r.sts.GetCallerIdentity(ctx(t), nil))
	if *who.Account != accountID || *who.Arn != "arn:aws:iam::"+accountID+":user/aws-sim" {
		t.Errorf("the seeded key is %s in %s", *who.Arn, *who.Account)
	}
	r.cloud.SeedRole("arn:aws:iam::"+accountID+":role/deployer", "secret-id")
	in := &sts.AssumeRoleInput{RoleArn: p("arn:aws:iam::" + accountID + ":role/deployer"), RoleSessionName: p("slipway")}
	if _, err := r.sts.AssumeRole(ctx(t), in); codeOf(err) != "AccessDenied" {
		t.Errorf("without the external id: %v", err)
	}
	in.ExternalId = p("secret-id")
	assumed := must[*sts.AssumeRoleOutput](t)(r.sts.AssumeRole(ctx(t), in)).Credentials
	r.connect(credentials.NewStaticCredentialsProvider(*assumed.AccessKeyId, *assumed.SecretAccessKey, *assumed.SessionToken))
	who = must[*sts.GetCallerIdentityOutput](t)(r.sts.GetCallerIdentity(ctx(t), nil))
	if *who.Arn != "arn:aws:sts::"+accountID+":assumed-role/deployer/slipway" {
		t.Errorf("the session is %s", *who.Arn)
	}

	for _, tt := range []struct{ name, key, token, query, ec2, cbor string }{
		{"unknown key", "AKIAUNKNOWN", "", "InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException"},
		{"session without its token", *assumed.AccessKeyId, "", "InvalidClientTokenId", "InvalidClientTokenId", "InvalidClientTokenId"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.connect(credentials.NewStaticCredentialsProvider(tt.key, "secret", tt.token))
			_, asgErr := r.asg.DescribeAutoScalingGroups(ctx(t), nil)
			_, ec2Err := r.ec2.DescribeVpcs(ctx(t), nil)
			_, cwErr := r.metrics.ListMetrics(ctx(t), nil)
			if codeOf(asgErr) != tt.query || codeOf(ec2Err) != tt.ec2 || codeOf(cwErr) != tt.cbor {
				t.Errorf("got %v, %v, %v", asgErr, ec2Err, cwErr)
			}
		})
	}
}

// TestFaults spoils calls in every way and looks at what the SDK sees and whether the call had an effect.
func TestFaults(t *testing.T) {
	tests := []struct {
		name   string
		effect simcloud.Effect
		code   string // of Auto Scaling's answer; "" means a broken connection
		status int
		took   bool
	}{
		{"throttle", simcloud.Effect{Kind: simcloud.EffectThrottle}, "Throttling", 400, false},
		{"error", simcloud.Effect{Kind: simcloud.EffectError}, "InternalFailure", 500, false},
		{"unavailable", simcloud.Effect{Kind: simcloud.EffectError, Status: 503}, "ServiceUnavailable", 503, false},
		{"denied", simcloud.Effect{Kind: simcloud.EffectError, Status: 403, Code: "AccessDenied"}, "AccessDenied", 403, false},
		{"reset", simcloud.Effect{Kind: simcloud.EffectReset}, "", 0, false},
		{"reset after", simcloud.Effect{Kind: simcloud.EffectErrorAfter}, "", 0, true},
		{"error after", simcloud.Effect{Kind: simcloud.EffectErrorAfter, Status: 500}, "InternalFailure", 500, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := manual(t)
			_, _ = r.seedShop(1)
			if _, err := r.world.Faults.Add(simcloud.Fault{Match: simcloud.Match{Service: "autoscaling", Action: "SuspendProcesses"}, Effect: tt.effect, Times: 1}); err != nil {
				t.Fatal(err)
			}
			suspend := &autoscaling.SuspendProcessesInput{AutoScalingGroupName: p("shop-prod-v000"), ScalingProcesses: []string{"Launch"}}
			_, err := r.asg.SuspendProcesses(ctx(t), suspend)
			if err == nil || statusOf(err) != tt.status || tt.code != "" && codeOf(err) != tt.code {
				t.Errorf("got %d %v, want %d %s", statusOf(err), err, tt.status, tt.code)
			}
			if took := len(r.group("shop-prod-v000").SuspendedProcesses) == 1; took != tt.took {
				t.Errorf("the call had an effect: %v", took)
			}
			if _, err := r.asg.SuspendProcesses(ctx(t), suspend); err != nil {
				t.Errorf("the next call: %v", err)
			}
			logged := false
			for _, e := range r.world.Log.Events() {
				if e.Kind == simcloud.APICall && e.Fault != "" {
					logged = e.Action == "SuspendProcesses" && e.Effect == tt.took && e.Error != "" && e.Write && e.Resource == "shop-prod-v000"
				}
			}
			if !logged {
				t.Error("the log does not tell of the fault")
			}
		})
	}
}

// TestStaleRead changes a rule and reads it from before the change, as often as the fault says.
func TestStaleRead(t *testing.T) {
	r := manual(t)
	listener, target := r.seedShop(1)
	next := r.newTarget("shop-next")
	weightOf := func() int32 {
		out := must[*elb.DescribeRulesOutput](t)(r.elb.DescribeRules(ctx(t), &elb.DescribeRulesInput{ListenerArn: &listener}))
		for _, g := range out.Rules[0].Actions[0].ForwardConfig.TargetGroups {
			if *g.TargetGroupArn == next {
				return *g.Weight
			}
		}
		return -1
	}
	r.weights(listener, map[string]int32{target: 90, next: 10})
	if _, err := r.world.Faults.Add(simcloud.Fault{Match: simcloud.Match{Action: "DescribeRules"}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 2}}); err != nil {
		t.Fatal(err)
	}
	for read, want := range []int32{-1, -1, 10} {
		if got := weightOf(); got != want {
			t.Errorf("read %d: weight %d, want %d", read, got, want)
		}
	}
}

// TestThrottling empties the bucket of each service.
func TestThrottling(t *testing.T) {
	r := manual(t) // no time passes, so nothing flows back
	calls := map[string]struct {
		call   func() error
		code   string
		status int
		burst  int
	}{
		"ec2":         {func() error { return second(r.ec2.DescribeVpcs(ctx(t), nil)) }, "RequestLimitExceeded", 503, 100},
		"autoscaling": {func() error { return second(r.asg.DescribeAutoScalingGroups(ctx(t), nil)) }, "Throttling", 400, 100},
		"elbv2":       {func() error { return second(r.elb.DescribeLoadBalancers(ctx(t), nil)) }, "Throttling", 400, 40},
		"cloudwatch":  {func() error { return second(r.metrics.ListMetrics(ctx(t), nil)) }, "Throttling", 400, 100},
	}
	for name, tt := range calls {
		t.Run(name, func(t *testing.T) {
			for n := range tt.burst {
				if err := tt.call(); err != nil {
					t.Fatalf("call %d: %v", n+1, err)
				}
			}
			err := tt.call()
			if codeOf(err) != tt.code || statusOf(err) != tt.status {
				t.Errorf("call %d: %d %v", tt.burst+1, statusOf(err), err)
			}
			r.advance(3e9)
			if err := tt.call(); err != nil {
				t.Errorf("after three seconds: %v", err)
			}
		})
	}
}

// TestUnroutable sends what no AWS client sends.
func TestUnroutable(t *testing.T) {
	r := manual(t)
	const scope = "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20260101/us-east-1/"
	for _, tt := range []struct {
		name, authorization, body, code string
		status                          int
	}{
		{"unsigned", "", "Action=DescribeVpcs", "MissingAuthenticationToken", 403},
		{"half signed", "AWS4-HMAC-SHA256 Credential=" + accessKey, "Action=DescribeVpcs", "IncompleteSignature", 400},
		{"unknown service", scope + "s3/aws4_request", "Action=ListBuckets", "UnknownService", 404},
		{"unknown action", scope + "ec2/aws4_request", "Action=RunInstances", "InvalidAction", 400},
		{"no action", scope + "ec2/aws4_request", "", "MissingAction", 400},
		{"old version", scope + "ec2/aws4_request", "Action=DescribeVpcs&Version=2008-01-01", "NoSuchVersion", 400},
		{"wrong type", scope + "autoscaling/aws4_request", "Action=SetDesiredCapacity&AutoScalingGroupName=a&DesiredCapacity=many", "MalformedInput", 400},
		{"missing member", scope + "autoscaling/aws4_request", "Action=SetDesiredCapacity&AutoScalingGroupName=a", "ValidationError", 400},
		{"missing ec2 member", scope + "ec2/aws4_request", "Action=TerminateInstances", "MissingParameter", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(ctx(t), http.MethodPost, r.url, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", tt.authorization)
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text := new(strings.Builder)
			if err := answer.Write(text); err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != tt.status || !strings.Contains(text.String(), "<Code>"+tt.code+"</Code>") {
				t.Errorf("want %d %s, got\n%s", tt.status, tt.code, text)
			}
		})
	}
}
