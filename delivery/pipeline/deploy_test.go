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

const goodCluster = `{"account":"aws-sim","application":"storefront","cloudProvider":"aws","stack":"prod","freeFormDetails":"",
	"strategy":"rolling","maxSurge":"50%","capacity":{"min":"3","max":6,"desired":3.0},"amiName":"storefront-1.1",
	"availabilityZones":{"us-west-2":[],"us-east-1":["us-east-1a","us-east-1b"]},"loadBalancers":["storefront"],"instanceType":"m6i.large"}`

// with returns the good cluster with fields set; the value "" removes one.
func with(t *testing.T, pairs ...string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(goodCluster), &fields); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		delete(fields, pairs[i])
		if pairs[i+1] != "" {
			fields[pairs[i]] = json.RawMessage(pairs[i+1])
		}
	}
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func deploy(clusters ...string) string {
	return `{"type":"deploy","clusters":[` + strings.Join(clusters, ",") + `]}`
}

func TestParseDeploy(t *testing.T) {
	second := with(t, "strategy", "", "maxSurge", "", "cloudProvider", "", "provider", "", "loadBalancers", "[]", "amiName", "",
		"imageId", `"ami-1"`, "availabilityZones", "", "region", `"us-east-1"`, "freeFormDetails", `"canary"`, "useSourceCapacity", `"true"`)
	got, err := ParseDeploy(DeployType, json.RawMessage(deploy(goodCluster, second)))
	if err != nil {
		t.Fatal(err)
	}
	rolling, _ := rollout.ParseStrategy(json.RawMessage(`{"strategy":"rolling","maxSurge":"50%"}`))
	none, _ := rollout.ParseStrategy(json.RawMessage(`{}`))
	first := DeployCluster{
		Cluster: delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}},
		Spec: delivery.GroupSpec{Image: "storefront-1.1", LoadBalancer: "storefront", Capacity: delivery.Capacity{Min: 3, Max: 6, Desired: 3},
			Settings: json.RawMessage(goodCluster)},
		Strategy: rolling, Pointer: "/clusters/0",
	}
	west := first
	west.Cluster.Region = "us-west-2"
	want := DeployStage{Clusters: []DeployCluster{first, west, {
		Cluster:  delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod", Detail: "canary"}},
		Spec:     delivery.GroupSpec{Image: "ami-1", Capacity: delivery.Capacity{Min: 3, Max: 6, Desired: 3}, Settings: json.RawMessage(second)},
		Strategy: none, UseSourceCapacity: true, Pointer: "/clusters/1",
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseDeployFindings(t *testing.T) {
	tests := map[string]struct {
		stage string
		want  []delivery.Finding
	}{
		"no clusters":    {`{}`, []delivery.Finding{{Pointer: "/clusters", Message: "is required"}}},
		"empty clusters": {deploy(), []delivery.Finding{{Pointer: "/clusters", Message: "is empty; there is nothing to deploy"}}},
		"clusters of wrong type": {`{"clusters":{}}`,
			[]delivery.Finding{{Pointer: "/clusters", Message: "must be a list, not an object"}}},
		"cluster of wrong type": {deploy(`"x"`),
			[]delivery.Finding{{Pointer: "/clusters/0", Message: "must be an object, not a string"}}},
		"everything missing": {deploy(`{}`), []delivery.Finding{
			{Pointer: "/clusters/0/account", Message: "is required"},
			{Pointer: "/clusters/0/application", Message: "is required"},
			{Pointer: "/clusters/0/amiName", Message: "is required: the image to deploy, a name or an id"},
			{Pointer: "/clusters/0/capacity", Message: "is required"},
			{Pointer: "/clusters/0/availabilityZones", Message: "is required: the regions to deploy to, each with its zones"},
		}},
		"wrong types": {deploy(with(t, "account", "1", "amiName", "[]", "capacity", `"x"`, "availabilityZones", `["us-east-1"]`, "loadBalancers", `"lb"`)),
			[]delivery.Finding{
				{Pointer: "/clusters/0/account", Message: "must be a string, not a number"},
				{Pointer: "/clusters/0/amiName", Message: "must be a string, not a list"},
				{Pointer: "/clusters/0/loadBalancers", Message: "must be a list, not a string"},
				{Pointer: "/clusters/0/capacity", Message: "must be an object, not a string"},
				{Pointer: "/clusters/0/availabilityZones", Message: "must be an object, not a list"},
			}},
		"capacity fields": {deploy(with(t, "capacity", `{"min":"three","max":1.5}`)), []delivery.Finding{
			{Pointer: "/clusters/0/capacity/min", Message: `must be a whole number, not "three"`},
			{Pointer: "/clusters/0/capacity/max", Message: "must be a whole number, not 1.5"},
			{Pointer: "/clusters/0/capacity/desired", Message: "is required"},
		}},
		"capacity out of range": {deploy(with(t, "capacity", `{"min":-1,"max":1e12,"desired":"NaN"}`)), []delivery.Finding{
			{Pointer: "/clusters/0/capacity/min", Message: "is -1; must not be negative"},
			{Pointer: "/clusters/0/capacity/max", Message: "is 1e12; must be within 2147483647"},
			{Pointer: "/clusters/0/capacity/desired", Message: `must be a whole number, not "NaN"`},
		}},
		"capacity beyond all": {deploy(with(t, "capacity", `{"min":0,"max":1500000,"desired":1500000}`)), []delivery.Finding{
			{Pointer: "/clusters/0/capacity/max", Message: "is 1500000; a server group has at most 10000 instances"},
			{Pointer: "/clusters/0/capacity/desired", Message: "is 1500000; a server group has at most 10000 instances"},
		}},
		"nothing in the dark": {deploy(with(t, "capacity", `{"min":0,"max":3,"desired":0}`, "strategy", `"dark"`, "match", `{"cookie":"canary","value":"always"}`, "maxSurge", "null")), []delivery.Finding{
			{Pointer: "/clusters/0/capacity/desired", Message: "is 0; strategy dark needs an instance that its match can lead to"},
		}},
		"capacity in the wrong order": {deploy(with(t, "capacity", `{"min":3,"max":0,"desired":2}`)), []delivery.Finding{
			{Pointer: "/clusters/0/capacity/min", Message: "is 3, more than max 0"},
			{Pointer: "/clusters/0/capacity/desired", Message: "is 2, outside min 3 and max 0"},
		}},
		"names": {deploy(with(t, "application", `"a-b"`, "stack", `"x-y"`, "freeFormDetails", `"/"`)), []delivery.Finding{
			{Pointer: "/clusters/0/application", Message: `"a-b" is not an application name: letters, digits, '_' and '.' only`},
			{Pointer: "/clusters/0/stack", Message: `"x-y" is not a stack name: letters, digits, '_' and '.' only`},
			{Pointer: "/clusters/0/freeFormDetails", Message: `"/" is not a detail: letters, digits, '_', '.' and '-' only`},
		}},
		"two load balancers": {deploy(with(t, "loadBalancers", `["a","b"]`)),
			[]delivery.Finding{{Pointer: "/clusters/0/loadBalancers", Message: "names 2 load balancers; a cluster is behind one or none"}}},
		"load balancer of wrong type": {deploy(with(t, "loadBalancers", `[7]`)),
			[]delivery.Finding{{Pointer: "/clusters/0/loadBalancers/0", Message: "must be a string, not a number"}}},
		"no region": {deploy(with(t, "availabilityZones", `{}`)),
			[]delivery.Finding{{Pointer: "/clusters/0/availabilityZones", Message: "names no region"}}},
		"zones of wrong type": {deploy(with(t, "availabilityZones", `{"us/east":"a"}`)),
			[]delivery.Finding{{Pointer: "/clusters/0/availabilityZones/us~1east", Message: "must be a list, not a string"}}},
		"two providers": {deploy(with(t, "provider", `"gce"`)),
			[]delivery.Finding{{Pointer: "/clusters/0/provider", Message: `is "gce", but cloudProvider is "aws"`}}},
		"strategy": {deploy(goodCluster, with(t, "stack", `"b"`, "strategy", `"rollingg"`)),
			[]delivery.Finding{{Pointer: "/clusters/1/strategy", Message: `"rollingg" is not a strategy that can be carried out; known are rolling, rollingredblack, canary, bluegreen, highlander, none and dark`}}},
		"the same cluster twice": {deploy(goodCluster, with(t, "availabilityZones", `{"us-west-2":[]}`)),
			[]delivery.Finding{{Pointer: "/clusters/1", Message: "deploys to aws-sim/us-west-2/storefront-prod, as /clusters/0 does"}}},
		"expressions that were not evaluated": {deploy(with(t, "capacity", `{"min":"${a}","max":1,"desired":1}`)),
			[]delivery.Finding{{Pointer: "/clusters/0/capacity/min", Message: `must be a whole number, not "${a}"`}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDeploy(DeployType, json.RawMessage(tt.stage))
			if delivery.KindOf(err) != delivery.Invalid {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(tt.want, delivery.FindingsOf(err)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// What is known only when the stage starts is not judged when the pipeline is saved.
func TestParseLeavesExpressionsToTheStart(t *testing.T) {
	good := map[string]string{
		"capacity":      deploy(with(t, "capacity", `{"min":"${parameters.n}","max":5,"desired":"${parameters.n}"}`)),
		"all capacity":  deploy(with(t, "capacity", `"${parameters.capacity}"`)),
		"image":         deploy(with(t, "amiName", `"${parameters.image}"`)),
		"names":         deploy(with(t, "account", `"${a}"`, "application", `"${b}"`, "stack", `"${c}"`, "freeFormDetails", `"x-${d}"`)),
		"zones":         deploy(with(t, "availabilityZones", `"${parameters.zones}"`)),
		"region":        deploy(with(t, "availabilityZones", "", "region", `"${parameters.region}"`)),
		"load balancer": deploy(with(t, "loadBalancers", `["${parameters.lb}"]`)),
		"strategy":      deploy(with(t, "strategy", `"${parameters.strategy}"`)),
		"steps of it":   deploy(with(t, "strategy", `"${parameters.strategy}"`, "maxSurge", "", "steps", `[{"weight":5}]`)),
		"surge":         deploy(with(t, "maxSurge", `"${parameters.surge}"`)),
		"percentages":   deploy(with(t, "strategy", `"rollingredblack"`, "maxSurge", "", "targetPercentages", `["${a}",100]`)),
		"instructions": deploy(with(t, "strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"gate":{"manualJudgment":{"instructions":"look at ${parameters.image}"}}}]`,
			"checks", `[{"name":"errors","query":"errorRate","max":1}]`)),
		"pause":       deploy(with(t, "pauseBetweenBatches", `"${parameters.pause}"`, "checks", `[{"name":"errors","query":"errorRate","max":1}]`)),
		"flag":        deploy(with(t, "useSourceCapacity", `"${a}"`)),
		"two regions": deploy(with(t, "stack", `"${a}"`), with(t, "stack", `"${b}"`)),
		"clusters":    `{"type":"deploy","clusters":"${parameters.clusters}"}`,
		"cluster":     `{"type":"deploy","clusters":["${parameters.cluster}"]}`,
		"wait":        `{"type":"wait","waitTime":"${parameters.seconds}"}`,
	}
	for name, stage := range good {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(stages(stage)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSizesBeyondTheCapacity are refused where both are known.
func TestSizesBeyondTheCapacity(t *testing.T) {
	canary := func(changes ...string) string {
		return with(t, append([]string{"strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"size":4}]`}, changes...)...)
	}
	clone := func(more string) string {
		return `{"type":"cloneServerGroup","credentials":"aws-sim","region":"us-east-1","targetCluster":"storefront-prod","target":"current_asg_dynamic","strategy":"canary","steps":[{"weight":5,"size":4}]` + more + `}`
	}
	promote := `{"type":"promoteServerGroup","credentials":"aws-sim","regions":["us-east-1"],"serverGroupName":"storefront-prod-v002","strategy":"canary","steps":[{"weight":5,"size":4}]`
	const three = `"capacity":{"min":3,"max":3,"desired":3}`
	for stage, pointer := range map[string]string{
		deploy(canary()): "/stages/0/clusters/0/steps/0/size",
		deploy(canary("useSourceCapacity", "true")):               "",
		deploy(canary("capacity", `"${parameters.capacity}"`)):    "",
		deploy(canary("steps", `[{"weight":5,"size":"${ 1 }"}]`)): "",
		clone(`,` + three):          "/stages/0/steps/0/size",
		clone(``):                   "",
		promote + `,` + three + `}`: "/stages/0/steps/0/size",
		promote + `}`:               "",
	} {
		_, err := Parse(stages(stage))
		findings := delivery.FindingsOf(err)
		if pointer == "" && err != nil || pointer != "" && (len(findings) != 1 || findings[0].Pointer != pointer) {
			t.Errorf("%s: %v, want %q", stage, err, pointer)
		}
	}
}

func TestParseStillChecksBesideExpressions(t *testing.T) {
	_, open := Parse(stages(deploy(with(t, "strategy", `"${parameters.strategy}"`, "steps", `[{"weights":5}]`))))
	unknown := []delivery.Finding{{Pointer: "/stages/0/clusters/0/steps/0/weights", Message: "is not known; did you mean weight?"}}
	if diff := cmp.Diff(unknown, delivery.FindingsOf(open)); diff != "" {
		t.Errorf("whatever the strategy will be (-want +got):\n%s", diff)
	}
	_, err := Parse(stages(wait("a"), deployRef("b", with(t, "capacity", `{"min":"${x}","max":"many"}`, "maxSurge", `"${y}"`, "maxUnavailable", `"lots"`))))
	want := []delivery.Finding{
		{Pointer: "/stages/1/clusters/0/capacity/max", Message: `must be a whole number, not "many"`},
		{Pointer: "/stages/1/clusters/0/capacity/desired", Message: "is required"},
		{Pointer: "/stages/1/clusters/0/maxUnavailable", Message: `"lots" is neither a number of instances nor a percentage like "25%"`},
	}
	if diff := cmp.Diff(want, delivery.FindingsOf(err)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func deployRef(refID string, clusters ...string) string {
	return `{"refId":"` + refID + `",` + strings.TrimPrefix(deploy(clusters...), "{")
}

func TestParseWait(t *testing.T) {
	for context, want := range map[string]time.Duration{
		`{"waitTime":30}`: 30 * time.Second, `{"waitTime":"5"}`: 5 * time.Second, `{"waitTime":0}`: 0, `{"waitTime":31622400}`: 366 * 24 * time.Hour,
	} {
		if got, err := ParseWait(json.RawMessage(context)); got != want || err != nil {
			t.Errorf("ParseWait(%s) = %s, %v; want %s", context, got, err, want)
		}
	}
	for context, want := range map[string]string{
		`{}`:                    "is required",
		`{"waitTime":null}`:     "is required",
		`{"waitTime":-1}`:       "is -1; must not be negative",
		`{"waitTime":1.5}`:      "must be a whole number, not 1.5",
		`{"waitTime":true}`:     "must be a whole number, not a boolean",
		`{"waitTime":31622401}`: "is 31622401 seconds; the longest wait is 31622400",
	} {
		_, err := ParseWait(json.RawMessage(context))
		if diff := cmp.Diff([]delivery.Finding{{Pointer: "/waitTime", Message: want}}, delivery.FindingsOf(err)); diff != "" {
			t.Errorf("ParseWait(%s) (-want +got):\n%s", context, diff)
		}
	}
}
