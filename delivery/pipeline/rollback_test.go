package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func TestParseRollback(t *testing.T) {
	east := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	west := east
	west.Region = "us-west-2"
	strategyOf := func(kind rollout.OperationKind, text string) rollout.Strategy {
		s, _ := rollout.ParseStrategy(json.RawMessage(text))
		s.Kind = rollout.Kind(kind)
		return s
	}
	group := rollout.RollbackGroupOperation
	for _, test := range []struct {
		kind  rollout.OperationKind
		stage string
		want  RollbackStage
	}{
		{rollout.RollbackClusterOperation, strings.Replace(operate("rollbackCluster", `,"targetHealthyRollbackPercentage":95,"waitTimeBetweenRegions":"60","additionalRollbackContext":{},
			"deployments":["X/1/aws-sim/us-west-2/storefront-prod"],"scaleDown":true,"reason":"slow","healthTimeoutSec":60`), `["us-east-1"]`, `["us-east-1","us-west-2"]`, 1),
			RollbackStage{Between: time.Minute, Clusters: []RollbackCluster{
				{Cluster: east, Kind: rollout.RollbackClusterOperation, Strategy: strategyOf(rollout.RollbackClusterOperation, `{"healthTimeoutSec":60}`),
					Request: rollout.RollbackRequest{HealthyPercent: 95, ScaleDown: true, Reason: "slow"}},
				{Cluster: west, Kind: rollout.RollbackClusterOperation, Strategy: strategyOf(rollout.RollbackClusterOperation, `{"healthTimeoutSec":60}`),
					Request: rollout.RollbackRequest{HealthyPercent: 95, ScaleDown: true, Reason: "slow", Deployment: "X/1/aws-sim/us-west-2/storefront-prod"}}}}},
		{group, `{"credentials":"aws-sim","region":"us-east-1","rollbackType":"EXPLICIT","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002",
			"restoreServerGroupName":"storefront-prod-v001","targetHealthyRollbackPercentage":"100","delayBeforeDisableSeconds":0,"enableAndDisableOnly":false},"destroy":true}`,
			RollbackStage{Clusters: []RollbackCluster{{Cluster: east, Kind: group, Strategy: strategyOf(group, `{}`),
				Request: rollout.RollbackRequest{From: "storefront-prod-v002", Restore: "storefront-prod-v001", HealthyPercent: 100, Destroy: true}}}}},
		{group, operate("rollbackServerGroup", `,"rollbackType":"PREVIOUS_IMAGE","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002"}`),
			RollbackStage{Clusters: []RollbackCluster{{Cluster: east, Kind: group, Strategy: strategyOf(group, `{}`),
				Request: rollout.RollbackRequest{From: "storefront-prod-v002", Redeploy: true}}}}},
	} {
		got, err := ParseRollback(string(test.kind), json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.stage, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.stage, diff)
		}
	}
	if _, err := ParseRollback("deploy", json.RawMessage(`{}`)); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("deploy: %v", err)
	}
}

// TestWrongRollbacks are refused when the pipeline is saved.
func TestWrongRollbacks(t *testing.T) {
	explicit := func(context string) string {
		return operate("rollbackServerGroup", `,"rollbackType":"EXPLICIT","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002","restoreServerGroupName":"storefront-prod-v001"`+context+`}`)
	}
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no cluster", `{"type":"rollbackCluster","credentials":"a","regions":["r"]}`, "/cluster", "is required"},
		{"no region", `{"type":"rollbackCluster","credentials":"a","cluster":"a-b"}`, "/regions", "is required"},
		{"none healthy", operate("rollbackCluster", `,"targetHealthyRollbackPercentage":0`), "/targetHealthyRollbackPercentage", "must be 1 to 100"},
		{"a pause before now", operate("rollbackCluster", `,"waitTimeBetweenRegions":-1`), "/waitTimeBetweenRegions", "must be 0 s"},
		{"an image", operate("rollbackCluster", `,"additionalRollbackContext":{"imageName":"x"}`), "/additionalRollbackContext/imageName", "cannot be chosen"},
		{"a deployment of another cluster", operate("rollbackCluster", `,"deployments":["X/1/aws-sim/us-east-1/other"]`), "/deployments", "of none of the clusters"},
		{"a revision's size", strings.Replace(operate("rollbackCluster", `,"scaleDown":true`), `"aws"`, `"cloudrun"`, 1), "/scaleDown", "a revision cannot be changed"},
		{"two steps back", operate("rollbackCluster", `,"concurrency":"supersede"`), "/concurrency", "goes back by itself"},
		{"what was rolled back again", inTwoRegions(operate("rollbackCluster", twice)), "/retry", "not rolled back again"},
		{"and one after the other", inTwoRegions(operate("rollbackCluster", `,"waitTimeBetweenRegions":60`+twice)), "/retry", "not rolled back again"},
		{"no type", operate("rollbackServerGroup", `,"rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002"}`), "/rollbackType", "is required"},
		{"an unknown type", operate("rollbackServerGroup", `,"rollbackType":"TEST","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002"}`), "/rollbackType", "must be EXPLICIT"},
		{"no context", operate("rollbackServerGroup", `,"rollbackType":"AUTOMATIC"`), "/rollbackContext", "is required"},
		{"nothing to roll back", operate("rollbackServerGroup", `,"rollbackType":"AUTOMATIC","rollbackContext":{}`), "/rollbackContext/rollbackServerGroupName", "is required"},
		{"no group", operate("rollbackServerGroup", `,"rollbackType":"AUTOMATIC","rollbackContext":{"rollbackServerGroupName":"web"}`), "/rollbackContext/rollbackServerGroupName", "not the name"},
		{"another cluster's group", operate("rollbackServerGroup", `,"rollbackType":"AUTOMATIC","rollbackContext":{"rollbackServerGroupName":"web-v001"}`), "/rollbackContext/rollbackServerGroupName", "is of cluster web"},
		{"to itself", operate("rollbackServerGroup", `,"rollbackType":"EXPLICIT","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002","restoreServerGroupName":"storefront-prod-v002"}`), "/rollbackContext/restoreServerGroupName", "cannot take its own traffic"},
		{"nothing to restore", operate("rollbackServerGroup", `,"rollbackType":"EXPLICIT","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002"}`), "/rollbackContext/restoreServerGroupName", "is required"},
		{"what the records say", operate("rollbackServerGroup", `,"rollbackType":"PREVIOUS_IMAGE","rollbackContext":{"rollbackServerGroupName":"storefront-prod-v002","restoreServerGroupName":"storefront-prod-v001"}`),
			"/rollbackContext/restoreServerGroupName", "the records say"},
		{"a shared time", explicit(`,"delayBeforeDisableSeconds":30`), "/rollbackContext/delayBeforeDisableSeconds", "all traffic moves at once"},
		{"without capacity", explicit(`,"enableAndDisableOnly":true`), "/rollbackContext/enableAndDisableOnly", "gets its capacity first"},
		{"another image", explicit(`,"imageId":"ami-1"`), "/rollbackContext/imageId", "cannot be chosen"},
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

// TestRollbacksWithExpressions are checked when they run.
func TestRollbacksWithExpressions(t *testing.T) {
	for _, stage := range []string{
		`{"type":"rollbackCluster","credentials":"${a}","regions":"${b}","cluster":"${c}","deployments":["${d}"],"waitTimeBetweenRegions":"${e}"}`,
		`{"type":"rollbackServerGroup","credentials":"a","region":"b","cluster":"c","rollbackType":"${d}","rollbackContext":{"rollbackServerGroupName":"${e}","restoreServerGroupName":"${f}"}}`,
		`{"type":"rollbackServerGroup","credentials":"a","region":"b","rollbackType":"EXPLICIT","rollbackContext":{"rollbackServerGroupName":"${e}","restoreServerGroupName":"${f}"}}`,
		`{"type":"rollbackServerGroup","credentials":"a","region":"b","cluster":"c","rollbackType":"EXPLICIT","rollbackContext":"${d}"}`,
	} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + stage + `]}`)); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
	}
}
