package aws_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
)

// TestPagination lists more than a page of everything that delivery tools list, with and without following the token.
func TestPagination(t *testing.T) {
	r := manual(t)
	listener, target := r.seedShop(1)
	const n = 7 // the default page is 5
	for i := range n {
		name := fmt.Sprintf("shop-x-v%03d", i)
		r.plain(name, "shop-1.0", 0)
		r.newTarget(name)
		must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), createRule(listener, int32(100-i), target)))
	}
	groups := 0
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(r.asg, &autoscaling.DescribeAutoScalingGroupsInput{})
	for pages.HasMorePages() {
		part := len(must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(pages.NextPage(ctx(t))).AutoScalingGroups)
		if part > 5 {
			t.Errorf("a page of %d groups", part)
		}
		groups += part
	}
	targets := 0
	targetPages := elb.NewDescribeTargetGroupsPaginator(r.elb, &elb.DescribeTargetGroupsInput{PageSize: p(int32(3))})
	for targetPages.HasMorePages() {
		targets += len(must[*elb.DescribeTargetGroupsOutput](t)(targetPages.NextPage(ctx(t))).TargetGroups)
	}
	templates := 0
	templatePages := ec2.NewDescribeLaunchTemplatesPaginator(r.ec2, &ec2.DescribeLaunchTemplatesInput{})
	for templatePages.HasMorePages() {
		templates += len(must[*ec2.DescribeLaunchTemplatesOutput](t)(templatePages.NextPage(ctx(t))).LaunchTemplates)
	}
	if groups != n+1 || targets != n+1 || templates != n+1 {
		t.Errorf("%d groups, %d target groups, %d templates", groups, targets, templates)
	}
	if rules := r.rules(listener); len(rules) != n+1 || len(slices.Compact(slices.Sorted(slices.Values(rules)))) != n+1 {
		t.Errorf("%d rules", len(rules))
	}
}

// TestGroupFilters selects groups by tags.
func TestGroupFilters(t *testing.T) {
	r := manual(t)
	r.plain("shop-prod-v001", "shop-1.0", 0)
	r.plain("shop-prod-v002", "shop-1.0", 0)
	names := func(filters ...asgtypes.Filter) []string {
		var out []string
		for _, g := range must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(r.asg.DescribeAutoScalingGroups(ctx(t), &autoscaling.DescribeAutoScalingGroupsInput{Filters: filters})).AutoScalingGroups {
			out = append(out, *g.AutoScalingGroupName)
		}
		return out
	}
	both := asgtypes.Filter{Name: p("tag:slipway:cluster"), Values: []string{"shop-prod"}}
	one := asgtypes.Filter{Name: p("tag:slipway:server-group"), Values: []string{"shop-prod-v002", "other"}}
	for _, tt := range []struct {
		name    string
		filters []asgtypes.Filter
		want    []string
	}{
		{"cluster", []asgtypes.Filter{both}, []string{"shop-prod-v001", "shop-prod-v002"}},
		{"cluster and group", []asgtypes.Filter{both, one}, []string{"shop-prod-v002"}},
		{"key", []asgtypes.Filter{{Name: p("tag-key"), Values: []string{"no-such-key"}}}, nil},
	} {
		if diff := cmp.Diff(tt.want, names(tt.filters...)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestClientToken repeats creations with their token.
func TestClientToken(t *testing.T) {
	r := manual(t)
	in := &ec2.CreateLaunchTemplateInput{
		ClientToken: p("token-1"), LaunchTemplateName: p("shop-prod-v001"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: p(r.images["shop-1.0"]), InstanceType: ec2types.InstanceTypeT3Small},
	}
	first := must[*ec2.CreateLaunchTemplateOutput](t)(r.ec2.CreateLaunchTemplate(ctx(t), in))
	again := must[*ec2.CreateLaunchTemplateOutput](t)(r.ec2.CreateLaunchTemplate(ctx(t), in))
	if *first.LaunchTemplate.LaunchTemplateId != *again.LaunchTemplate.LaunchTemplateId {
		t.Error("the same token made two templates")
	}
	changed := *in
	changed.LaunchTemplateName = p("shop-prod-v002")
	if err := second(r.ec2.CreateLaunchTemplate(ctx(t), &changed)); codeOf(err) != "IdempotentParameterMismatch" {
		t.Errorf("the same token with another name: %v", err)
	}
	version := &ec2.CreateLaunchTemplateVersionInput{
		ClientToken: p("token-1"), LaunchTemplateName: in.LaunchTemplateName, SourceVersion: p("$Latest"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: p(r.images["shop-1.1"])},
	}
	for range 2 {
		out := must[*ec2.CreateLaunchTemplateVersionOutput](t)(r.ec2.CreateLaunchTemplateVersion(ctx(t), version))
		if v := out.LaunchTemplateVersion; *v.VersionNumber != 2 || v.LaunchTemplateData.InstanceType != ec2types.InstanceTypeT3Small || *v.LaunchTemplateData.ImageId != r.images["shop-1.1"] {
			t.Errorf("version %d: %+v", *v.VersionNumber, v.LaunchTemplateData)
		}
	}
}

// TestHeaderRule leads whoever sends a header to one target group: it divides nobody's
// traffic, and the log has no weights of it.
func TestHeaderRule(t *testing.T) {
	r := manual(t)
	listener, target := r.seedShop(1)
	arn := *must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), createRule(listener, 10, target))).Rules[0].RuleArn
	in := createRule(listener, 20, target)
	in.Conditions = []elbtypes.RuleCondition{{Field: p("path-pattern"), Values: []string{"/docs/*"}}}
	plain := *must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), in)).Rules[0].RuleArn
	told := map[string]bool{}
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.WeightsStored {
			told[e.Resource] = true
		}
	}
	if told[arn] || !told[plain] {
		t.Errorf("weights told of %v", told)
	}
}

// TestRules moves rules about.
func TestRules(t *testing.T) {
	r := manual(t)
	listener, target := r.seedShop(1)
	a := *must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), createRule(listener, 10, target))).Rules[0].RuleArn
	b := *must[*elb.CreateRuleOutput](t)(r.elb.CreateRule(ctx(t), createRule(listener, 20, target))).Rules[0].RuleArn
	fallback := r.rules(listener)[2]
	swap := []elbtypes.RulePriorityPair{{RuleArn: &a, Priority: p(int32(20))}, {RuleArn: &b, Priority: p(int32(10))}}
	must[*elb.SetRulePrioritiesOutput](t)(r.elb.SetRulePriorities(ctx(t), &elb.SetRulePrioritiesInput{RulePriorities: swap}))
	if diff := cmp.Diff([]string{b, a, fallback}, r.rules(listener)); diff != "" {
		t.Errorf("order after the swap: %s", diff)
	}
	if err := second(r.elb.SetRulePriorities(ctx(t), &elb.SetRulePrioritiesInput{RulePriorities: swap[:1]})); err != nil {
		t.Errorf("the same priority again: %v", err)
	}
	if err := second(r.elb.SetRulePriorities(ctx(t), &elb.SetRulePrioritiesInput{RulePriorities: []elbtypes.RulePriorityPair{{RuleArn: &a, Priority: p(int32(10))}}})); codeOf(err) != "PriorityInUse" {
		t.Errorf("a priority in use: %v", err)
	}
	must[*elb.DeleteRuleOutput](t)(r.elb.DeleteRule(ctx(t), &elb.DeleteRuleInput{RuleArn: &a}))
	if err := second(r.elb.DeleteRule(ctx(t), &elb.DeleteRuleInput{RuleArn: &a})); codeOf(err) != "RuleNotFound" {
		t.Errorf("deleted twice: %v", err)
	}
}

// TestTags adds, changes and removes tags.
func TestTags(t *testing.T) {
	r := manual(t)
	_, target := r.seedShop(1)
	arns := []string{target}
	must[*elb.AddTagsOutput](t)(r.elb.AddTags(ctx(t), &elb.AddTagsInput{ResourceArns: arns, Tags: []elbtypes.Tag{{Key: p("a"), Value: p("1")}, {Key: p("slipway:cluster"), Value: p("moved")}}}))
	must[*elb.RemoveTagsOutput](t)(r.elb.RemoveTags(ctx(t), &elb.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"slipway:deployment", "slipway:server-group"}}))
	got := map[string]string{}
	for _, tag := range must[*elb.DescribeTagsOutput](t)(r.elb.DescribeTags(ctx(t), &elb.DescribeTagsInput{ResourceArns: arns})).TagDescriptions[0].Tags {
		got[*tag.Key] = *tag.Value
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "slipway:application": "shop", "slipway:cluster": "moved"}, got); diff != "" {
		t.Error(diff)
	}
	name := p("shop-prod-v000")
	must[*autoscaling.CreateOrUpdateTagsOutput](t)(r.asg.CreateOrUpdateTags(ctx(t), &autoscaling.CreateOrUpdateTagsInput{Tags: []asgtypes.Tag{
		{Key: p("a"), Value: p("1"), ResourceId: name, ResourceType: p("auto-scaling-group"), PropagateAtLaunch: p(false)},
	}}))
	out := must[*autoscaling.DescribeTagsOutput](t)(r.asg.DescribeTags(ctx(t), &autoscaling.DescribeTagsInput{Filters: []asgtypes.Filter{{Name: p("key"), Values: []string{"a"}}}}))
	if len(out.Tags) != 1 || *out.Tags[0].Value != "1" || *out.Tags[0].ResourceId != *name {
		t.Errorf("tags of groups: %+v", out.Tags)
	}
}

// TestMetrics reads what the load balancer counted and what a client put.
func TestMetrics(t *testing.T) {
	r := newRig(t, simcloud.WorldOptions{Scale: 60}, aws.Options{})
	_, target := r.seedShop(2)
	until(t, "healthy targets", func() bool { return r.targets(target)[elbtypes.TargetHealthStateEnumHealthy] == 2 })
	l := startLoad(r.cloud.LoadBalancers()[0].URL, 1)
	until(t, "traffic", func() bool { return l.count("shop-1.0") >= 50 })
	l.end()
	sent := l.count("shop-1.0")
	must[*cloudwatch.PutMetricDataOutput](t)(r.metrics.PutMetricData(ctx(t), &cloudwatch.PutMetricDataInput{Namespace: p("Shop"), MetricData: []cwtypes.MetricDatum{
		{MetricName: p("orders"), Values: []float64{1, 5}, Counts: []float64{3, 1}, Timestamp: p(r.world.Clock.Now())},
	}}))
	listed := must[*cloudwatch.ListMetricsOutput](t)(r.metrics.ListMetrics(ctx(t), &cloudwatch.ListMetricsInput{MetricName: p("RequestCount")}))
	if len(listed.Metrics) != 1 {
		t.Fatalf("%d metrics RequestCount", len(listed.Metrics))
	}
	orders := &cwtypes.Metric{Namespace: p("Shop"), MetricName: p("orders")}
	query := func(id, stat string, metric *cwtypes.Metric) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: &id, MetricStat: &cwtypes.MetricStat{Metric: metric, Period: p(int32(3600)), Stat: &stat}}
	}
	latency := listed.Metrics[0]
	latency.MetricName = p("TargetResponseTime")
	got := map[string]float64{}
	pages := cloudwatch.NewGetMetricDataPaginator(r.metrics, &cloudwatch.GetMetricDataInput{
		StartTime: p(r.world.Clock.Now().Add(-6 * time.Hour)), EndTime: p(r.world.Clock.Now().Add(time.Hour)),
		MetricDataQueries: []cwtypes.MetricDataQuery{
			query("requests", "Sum", &listed.Metrics[0]), query("sum", "Sum", orders), query("average", "Average", orders),
			query("max", "Maximum", orders), query("count", "SampleCount", orders), query("p99", "p99", &latency),
		},
	})
	for pages.HasMorePages() {
		for _, result := range must[*cloudwatch.GetMetricDataOutput](t)(pages.NextPage(ctx(t))).MetricDataResults {
			for _, v := range result.Values {
				got[*result.Id] += v
			}
		}
	}
	if got["p99"] <= 0 || got["p99"] > 5 {
		t.Errorf("p99 of the response time is %v s", got["p99"])
	}
	delete(got, "p99")
	if diff := cmp.Diff(map[string]float64{"requests": float64(sent), "sum": 8, "average": 2, "max": 5, "count": 4}, got); diff != "" {
		t.Errorf("metrics: %s", diff)
	}
}

// TestLargeAnswersArrive makes many calls whose answers do not fit into the client's first read: see Options.Latency.
func TestLargeAnswersArrive(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 12)
	for range 90 { // below the burst of the bucket
		if n := len(r.group(g.name).Instances); n != 12 {
			t.Fatalf("%d instances", n)
		}
	}
}
