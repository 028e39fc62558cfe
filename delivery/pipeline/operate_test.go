package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// operate is a stage of the type with fields on top of what every one has.
func operate(kind, fields string) string {
	return `{"refId":"1","type":"` + kind + `","cloudProvider":"aws","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod"` + fields + `}`
}

func TestParseOperate(t *testing.T) {
	prod := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	west := prod
	west.Region = "us-west-2"
	strategyOf := func(kind, text string) rollout.Strategy {
		s, _ := rollout.ParseStrategy(json.RawMessage(text))
		s.Kind = rollout.Kind(kind)
		return s
	}
	for _, test := range []struct {
		kind, stage string
		want        []OperateCluster
	}{
		{"resizeServerGroup", operate("resizeServerGroup", `,"target":"current_asg_dynamic","action":"scale_exact","resizeType":"exact","capacity":{"min":1,"max":"4","desired":2},"healthTimeoutSec":60`),
			[]OperateCluster{{Cluster: prod, Strategy: strategyOf("resizeServerGroup", `{"healthTimeoutSec":60}`),
				Operation: rollout.Operation{Kind: rollout.ResizeOperation, Select: delivery.SelectCurrent, Capacity: &delivery.Capacity{Min: 1, Max: 4, Desired: 2}}}}},
		{"disableServerGroup", `{"credentials":"aws-sim","regions":["us-east-1","us-west-2"],"moniker":{"app":"storefront","stack":"prod","cluster":"storefront-prod"},"target":"oldest_asg_dynamic"}`,
			[]OperateCluster{
				{Cluster: prod, Strategy: strategyOf("disableServerGroup", `{}`), Operation: rollout.Operation{Kind: rollout.DisableOperation, Select: delivery.SelectOldest}},
				{Cluster: west, Strategy: strategyOf("disableServerGroup", `{}`), Operation: rollout.Operation{Kind: rollout.DisableOperation, Select: delivery.SelectOldest}}}},
		{"resizeServerGroup", operate("resizeServerGroup", `,"target":"current","action":"scale_up","resizeType":"pct","scalePct":"50","scaleNum":1`),
			[]OperateCluster{{Cluster: prod, Strategy: strategyOf("resizeServerGroup", `{}`),
				Operation: rollout.Operation{Kind: rollout.ResizeOperation, Select: delivery.SelectCurrent, Scale: &rollout.Scale{By: rollout.Percentage(50)}}}}},
		{"resizeServerGroup", operate("resizeServerGroup", `,"target":"current","action":"scale_down","resizeType":"incr","scaleNum":2`),
			[]OperateCluster{{Cluster: prod, Strategy: strategyOf("resizeServerGroup", `{}`),
				Operation: rollout.Operation{Kind: rollout.ResizeOperation, Select: delivery.SelectCurrent, Scale: &rollout.Scale{By: rollout.Instances(2), Down: true}}}}},
		{"promoteServerGroup", operate("promoteServerGroup", `,"target":"current_asg_dynamic","strategy":"canary","steps":[{"weight":10,"bake":60}],"capacity":{"min":1,"max":4,"desired":2}`),
			[]OperateCluster{{Cluster: prod, Strategy: strategyOf("canary", `{"strategy":"canary","steps":[{"weight":10,"bake":60}]}`),
				Promotion: &rollout.Promotion{Select: delivery.SelectCurrent, Capacity: &delivery.Capacity{Min: 1, Max: 4, Desired: 2}}}}},
		{"abandonServerGroup", operate("abandonServerGroup", `,"target":"current"`),
			[]OperateCluster{{Cluster: prod, Strategy: strategyOf("abandonServerGroup", `{}`), Operation: rollout.Operation{Kind: rollout.AbandonOperation, Select: delivery.SelectCurrent}}}},
		{"destroyServerGroup", `{"account":"aws-sim","region":"us-east-1","asgName":"storefront-prod-v003","concurrency":"reject"}`,
			[]OperateCluster{{Cluster: prod, Group: "storefront-prod-v003", Strategy: strategyOf("destroyServerGroup", `{"concurrency":"reject"}`),
				Operation: rollout.Operation{Kind: rollout.DestroyOperation}}}},
	} {
		got, err := ParseOperate(test.kind, json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.kind, err)
		}
		if diff := cmp.Diff(test.want, got.Clusters); diff != "" {
			t.Errorf("%s: %s", test.kind, diff)
		}
	}
	if _, err := ParseOperate("deploy", json.RawMessage(`{}`)); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("deploy: %v", err)
	}
}

// TestWrongOperations are refused when the pipeline is saved.
func TestWrongOperations(t *testing.T) {
	const two = `,"capacity":{"min":2,"max":2,"desired":2}`
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no account", `{"type":"enableServerGroup","regions":["r"],"cluster":"a-b","target":"current"}`, "/credentials", "is required"},
		{"no region", `{"type":"enableServerGroup","credentials":"a","cluster":"a-b","target":"current"}`, "/regions", "is required"},
		{"a region twice", `{"type":"enableServerGroup","credentials":"a","cluster":"a-b","target":"current","regions":["r","r"]}`, "/regions/1", "there twice"},
		{"no cluster", `{"type":"enableServerGroup","credentials":"a","regions":["r"],"target":"current"}`, "/cluster", "is required"},
		{"two clusters", operate("enableServerGroup", `,"serverGroupName":"storefront-dev-v001"`), "/serverGroupName", "is of cluster storefront-dev"},
		{"not a group", `{"type":"enableServerGroup","credentials":"a","regions":["r"],"asgName":"web"}`, "/asgName", "not the name of a server group"},
		{"no group", operate("destroyServerGroup", ``), "/target", "is required"},
		{"two groups", operate("destroyServerGroup", `,"target":"current","serverGroupName":"storefront-prod-v001"`), "/target", "only one of them"},
		{"an unknown target", operate("destroyServerGroup", `,"target":"nearest"`), "/target", "must be current"},
		{"no capacity", operate("resizeServerGroup", `,"target":"current"`), "/capacity", "is required"},
		{"a wrong capacity", operate("resizeServerGroup", `,"target":"current","capacity":{"min":3,"max":2,"desired":2}`), "/capacity/min", "more than max"},
		{"to another cluster", operate("resizeServerGroup", `,"target":"current","action":"scale_to_cluster"`+two), "/action", "must be scale_exact, scale_up or scale_down"},
		{"by nothing", operate("resizeServerGroup", `,"target":"current","action":"scale_up"`), "/scaleNum", "is required"},
		{"by less than one", operate("resizeServerGroup", `,"target":"current","action":"scale_up","scalePct":0`), "/scalePct", "at least 1"},
		{"by too much", operate("resizeServerGroup", `,"target":"current","action":"scale_up","scalePct":1000000000`), "/scalePct", "must be at most 1000000"},
		{"by too many", operate("resizeServerGroup", `,"target":"current","action":"scale_up","scaleNum":10001`), "/scaleNum", "must be at most 10000"},
		{"a capacity beyond all", operate("resizeServerGroup", `,"target":"current","capacity":{"min":2,"max":10001,"desired":2}`), "/capacity/max", "at most 10000 instances"},
		{"a size beyond all", operate("resizeServerGroup", `,"target":"current","targetSize":10001`), "/targetSize", "at most 10000 instances"},
		{"by two things", operate("resizeServerGroup", `,"target":"current","action":"scale_down","scalePct":10,"scaleNum":1`), "/scaleNum", "only one of them"},
		{"half healthy", operate("resizeServerGroup", `,"target":"current","targetHealthyDeployPercentage":50`+two), "/targetHealthyDeployPercentage", "waits for all"},
		{"a revision", strings.Replace(operate("resizeServerGroup", `,"target":"current"`+two), `"aws"`, `"cloudrun"`, 1), "/cloudProvider", "a revision cannot be changed"},
		{"by half", operate("disableServerGroup", `,"target":"current","desiredPercentage":50`), "/desiredPercentage", "as a whole"},
		{"no strategy", operate("promoteServerGroup", `,"target":"current"`), "/strategy", "is required"},
		{"into the dark", operate("promoteServerGroup", `,"target":"current","strategy":"dark","match":{"header":"X","value":"y"}`), "/strategy", "public traffic"},
		{"by a wrong canary", operate("promoteServerGroup", `,"target":"current","strategy":"canary"`), "/steps", "is required"},
		{"a match with it", operate("promoteServerGroup", `,"target":"current","strategy":"bluegreen","match":{"header":"X","value":"y"}`), "/match", "strategy dark"},
		{"to a wrong capacity", operate("promoteServerGroup", `,"target":"current","strategy":"bluegreen","capacity":{"min":3,"max":2,"desired":2}`), "/capacity/min", "more than max"},
		{"no concurrency", operate("disableServerGroup", `,"target":"current","concurrency":"later"`), "/concurrency", "queue"},
		{"a scale up again", inTwoRegions(operate("resizeServerGroup", `,"target":"current","action":"scale_up","scaleNum":1`+twice)), "/retry", "scale_up in several regions"},
		{"a scale down of a named group again", inTwoRegions(operate("resizeServerGroup", `,"serverGroupName":"storefront-prod-v001","action":"scale_down","scalePct":10`+twice)), "/retry", "scale_down in several regions"},
		{"the next largest", inTwoRegions(operate("resizeServerGroup", `,"target":"largest_asg"`+two+twice)), "/retry", "target largest_asg in several regions"},
		{"the next oldest destroyed", operate("destroyServerGroup", `,"target":"oldest"`+twice), "/retry", "name the server group"},
		{"the next dark release abandoned", operate("abandonServerGroup", `,"target":"previous"`+twice), "/retry", "name the server group"},
	} {
		_, err := Parse(json.RawMessage(`{"stages":[` + test.stage + `]}`))
		found := false
		for _, f := range delivery.FindingsOf(err) {
			found = found || f.Pointer == "/stages/0"+test.pointer && strings.Contains(f.Message, test.message)
		}
		if !found {
			t.Errorf("%s: %v", test.name, delivery.FindingsOf(err))
		}
	}
}

const twice = `,"retry":{"maxAttempts":2}`

func inTwoRegions(stage string) string {
	return strings.Replace(stage, `["us-east-1"]`, `["us-east-1","us-west-2"]`, 1)
}

// TestRepeatedOperations may be tried again: a later attempt does no more than the first.
func TestRepeatedOperations(t *testing.T) {
	const two = `,"capacity":{"min":2,"max":2,"desired":2}`
	for _, stage := range []string{
		operate("resizeServerGroup", `,"target":"current","action":"scale_up","scaleNum":1`+twice),
		inTwoRegions(operate("resizeServerGroup", `,"target":"current","action":"scale_up","scaleNum":1,"retry":null`)),
		inTwoRegions(operate("resizeServerGroup", `,"target":"current"`+two+twice)),
		inTwoRegions(operate("disableServerGroup", `,"target":"oldest"`+twice)),
		inTwoRegions(operate("shrinkCluster", `,"shrinkToSize":1`+twice)),
		inTwoRegions(operate("destroyServerGroup", `,"serverGroupName":"storefront-prod-v001"`+twice)),
		inTwoRegions(operate("promoteServerGroup", `,"target":"current","strategy":"bluegreen"`+twice)),
		operate("rollbackCluster", twice),
	} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + stage + `]}`)); err != nil {
			t.Errorf("%s: %v", stage, delivery.FindingsOf(err))
		}
	}
}

// TestRepeatedOperationsOfExpressions are refused once the regions and the action are known.
func TestRepeatedOperationsOfExpressions(t *testing.T) {
	for _, test := range []struct {
		stage string
		known map[string]string
		parse func(stageType string, context json.RawMessage) error
	}{
		{strings.Replace(operate("resizeServerGroup", `,"target":"current","action":"scale_up","scaleNum":1`+twice), `["us-east-1"]`, `"${r}"`, 1),
			map[string]string{`"${r}"`: `["us-east-1","us-west-2"]`}, func(kind string, context json.RawMessage) error { _, err := ParseOperate(kind, context); return err }},
		{inTwoRegions(operate("resizeServerGroup", `,"target":"current","action":"${a}","scaleNum":1,"capacity":{"min":1,"max":1,"desired":1}`+twice)),
			map[string]string{`"${a}"`: `"scale_down"`}, func(kind string, context json.RawMessage) error { _, err := ParseOperate(kind, context); return err }},
		{strings.Replace(operate("rollbackCluster", twice), `["us-east-1"]`, `"${r}"`, 1),
			map[string]string{`"${r}"`: `["us-east-1","us-west-2"]`}, func(kind string, context json.RawMessage) error { _, err := ParseRollback(kind, context); return err }},
	} {
		d, err := Parse(json.RawMessage(`{"stages":[` + test.stage + `]}`))
		if err != nil {
			t.Errorf("%s: %v", test.stage, delivery.FindingsOf(err))
			continue
		}
		context := string(d.Stages[0].Context())
		for expression, value := range test.known {
			context = strings.ReplaceAll(context, expression, value)
		}
		findings := delivery.FindingsOf(test.parse(d.Stages[0].Type, json.RawMessage(context)))
		if len(findings) != 1 || findings[0].Pointer != "/retry" {
			t.Errorf("%s: %v, want /retry to be refused", context, findings)
		}
	}
}

// TestOperationsWithExpressions are checked when they run.
func TestOperationsWithExpressions(t *testing.T) {
	for _, stage := range []string{
		`{"type":"destroyServerGroup","credentials":"${a}","region":"${b}","serverGroupName":"${c}"}`,
		`{"type":"resizeServerGroup","credentials":"a","regions":"${b}","cluster":"${c}","target":"${d}","capacity":"${e}"}`,
		`{"type":"resizeServerGroup","credentials":"a","region":"b","cluster":"c","target":"current","action":"scale_up","scaleNum":"${e}"}`,
		`{"type":"resizeServerGroup","credentials":"a","region":"b","cluster":"c","target":"current","action":"${d}","scaleNum":1}`,
		`{"type":"disableServerGroup","credentials":"a","regions":["${b}"],"moniker":{"app":"${c}"},"target":"current"}`,
		`{"type":"disableServerGroup","credentials":"a","region":"b","moniker":"${c}","target":"current"}`,
		`{"type":"promoteServerGroup","credentials":"a","region":"b","cluster":"c","target":"current","strategy":"${d}"}`,
		`{"type":"promoteServerGroup","credentials":"a","region":"b","cluster":"c","target":"current","strategy":"canary","steps":"${d}","capacity":"${e}"}`,
	} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + stage + `]}`)); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
	}
}
