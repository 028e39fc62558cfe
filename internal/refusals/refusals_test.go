package refusals

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cluster returns the cluster object of a deploy stage to AWS.
func cluster(changes ...string) string {
	return changed(map[string]json.RawMessage{
		"account": json.RawMessage(`"aws-sim"`), "application": json.RawMessage(`"storefront"`),
		"cloudProvider": json.RawMessage(`"aws"`), "stack": json.RawMessage(`"prod"`),
		"strategy": json.RawMessage(`"rolling"`), "maxSurge": json.RawMessage(`1`),
		"capacity":          json.RawMessage(`{"min":1,"max":2,"desired":1}`),
		"availabilityZones": json.RawMessage(`{"us-east-1":["us-east-1a","us-east-1b"]}`),
		"loadBalancers":     json.RawMessage(`["storefront"]`), "securityGroups": json.RawMessage(`["storefront"]`),
		"instanceType": json.RawMessage(`"m6i.large"`), "amiName": json.RawMessage(`"storefront-1.1"`),
	}, changes...)
}

// changed returns an object with changes: pairs of a field and its JSON; the JSON
// "" leaves the field out.
func changed(fields map[string]json.RawMessage, changes ...string) string {
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			delete(fields, changes[i])
			continue
		}
		fields[changes[i]] = json.RawMessage(changes[i+1])
	}
	out, err := json.Marshal(fields)
	if err != nil {
		panic(fmt.Sprintf("%v: %v", changes, err)) // a mistake in the table
	}
	return string(out)
}

// stage is a deploy stage; requisites is a JSON list.
func stage(refID, requisites, cluster string) string {
	return fmt.Sprintf(`{"refId":%q,"requisiteStageRefIds":%s,"type":"deploy","name":"Deploy","clusters":[%s]}`, refID, requisites, cluster)
}

func document(name, stages string) string {
	return fmt.Sprintf(`{"application":"storefront","name":%q,"parameterConfig":[{"name":"image","default":"storefront-1.1"}],"stages":[%s]}`, name, stages)
}

// TestBadPipelinesAreNotSaved: what is wrong whatever the clouds hold is refused
// when the pipeline is saved.
func TestBadPipelinesAreNotSaved(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	one := func(changes ...string) string { return document("p", stage("1", "[]", cluster(changes...))) }
	for _, test := range []struct{ name, body, pointer string }{
		{"malformed JSON", `{"application":"storefront","name":"p","stages":[}`, ""},
		{"a list instead of an object", `[]`, ""},
		{"no body", ``, ""},
		{"a key twice", `{"application":"storefront","application":"other","name":"p","stages":[]}`, "/application"},
		{"a name of the wrong type", `{"application":"storefront","name":7,"stages":[]}`, "/name"},
		{"stages of the wrong type", `{"application":"storefront","name":"p","stages":{}}`, "/stages"},
		{"a stage of the wrong type", document("p", `"deploy"`), "/stages/0"},
		{"an unknown stage type", document("p", `{"refId":"1","type":"deplyo"}`), "/stages/0/type"},
		{"a cycle of two", document("p", stage("1", `["2"]`, cluster())+","+stage("2", `["1"]`, cluster("stack", `"two"`))), "/stages/0/requisiteStageRefIds"},
		{"a stage that waits for itself", document("p", stage("1", `["1"]`, cluster())), "/stages/0/requisiteStageRefIds/0"},
		{"an unknown stage to wait for", document("p", stage("1", `["9"]`, cluster())), "/stages/0/requisiteStageRefIds/0"},
		{"two stages of one refId", document("p", stage("1", `[]`, cluster())+","+stage("1", `[]`, cluster("stack", `"two"`))), "/stages/1/refId"},
		{"capacity min above max", one("capacity", `{"min":3,"max":1,"desired":1}`), "/stages/0/clusters/0/capacity/min"},
		{"capacity desired above max", one("capacity", `{"min":0,"max":1,"desired":2}`), "/stages/0/clusters/0/capacity/desired"},
		{"capacity with a max of 0", one("capacity", `{"min":1,"max":0,"desired":0}`), "/stages/0/clusters/0/capacity/min"},
		{"negative capacity", one("capacity", `{"min":-1,"max":1,"desired":1}`), "/stages/0/clusters/0/capacity/min"},
		{"half an instance", one("capacity", `{"min":1,"max":2,"desired":1.5}`), "/stages/0/clusters/0/capacity/desired"},
		{"capacity in words", one("capacity", `{"min":"one","max":2,"desired":1}`), "/stages/0/clusters/0/capacity/min"},
		{"capacity of the wrong type", one("capacity", `3`), "/stages/0/clusters/0/capacity"},
		{"no capacity", one("capacity", ""), "/stages/0/clusters/0/capacity"},
		{"no account", one("account", ""), "/stages/0/clusters/0/account"},
		{"an account of the wrong type", one("account", `["aws-sim"]`), "/stages/0/clusters/0/account"},
		{"no image", one("amiName", ""), "/stages/0/clusters/0/amiName"},
		{"an image of the wrong type", one("amiName", `{"name":"x"}`), "/stages/0/clusters/0/amiName"},
		{"zones as a list", one("availabilityZones", `["us-east-1a"]`), "/stages/0/clusters/0/availabilityZones"},
		{"a zone that is no list", one("availabilityZones", `{"us-east-1":"us-east-1a"}`), "/stages/0/clusters/0/availabilityZones/us-east-1"},
		{"a load balancer that is no list", one("loadBalancers", `"storefront"`), "/stages/0/clusters/0/loadBalancers"},
		{"two load balancers", one("loadBalancers", `["storefront","other"]`), "/stages/0/clusters/0/loadBalancers"},
		{"an unknown strategy", one("strategy", `"rollling"`), "/stages/0/clusters/0/strategy"},
		{"a strategy of the wrong type", one("strategy", `7`), "/stages/0/clusters/0/strategy"},
		{"a surge in words", one("maxSurge", `"some"`), "/stages/0/clusters/0/maxSurge"},
		{"nothing may move", one("maxSurge", `0`, "maxUnavailable", `0`), "/stages/0/clusters/0/maxSurge"},
		{"a pause in words", one("pauseBetweenBatches", `"long"`), "/stages/0/clusters/0/pauseBetweenBatches"},
		{"checks that nothing waits for", one("checks", `[{"name":"errors","query":"errorRate","max":1}]`), "/stages/0/clusters/0/checks"},
		{"checks that are no list", one("checks", `{}`), "/stages/0/clusters/0/checks"},
		{"an unknown measurement", one("pauseBetweenBatches", `60`, "checks", `[{"name":"errors","query":"errors","max":1}]`), "/stages/0/clusters/0/checks/0/query"},
		{"a check without a bound", one("pauseBetweenBatches", `60`, "checks", `[{"name":"errors","query":"errorRate"}]`), "/stages/0/clusters/0/checks/0/max"},
		{"a query of another cloud", one("pauseBetweenBatches", `60`, "checks", `[{"name":"n","max":1,"query":{"cloudMonitoring":{"filter":"f","aligner":"a","reducer":"r"}}}]`),
			"/stages/0/clusters/0/checks/0/query/cloudMonitoring"},
		{"1 % without a load balancer", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":1}]`, "loadBalancers", ""), "/stages/0/clusters/0/steps/0/weight"},
		{"a canary without steps", one("strategy", `"canary"`, "maxSurge", ""), "/stages/0/clusters/0/steps"},
		{"a canary that shrinks", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":50},{"weight":5}]`), "/stages/0/clusters/0/steps/1/weight"},
		{"dark by nothing", one("strategy", `"dark"`, "maxSurge", ""), "/stages/0/clusters/0/match"},
		{"dark by half a header", one("strategy", `"dark"`, "maxSurge", "", "match", `{"header":"X-Canary"}`), "/stages/0/clusters/0/match/value"},
		{"dark without a load balancer", one("strategy", `"dark"`, "maxSurge", "", "match", `{"header":"X-Canary","value":"1"}`, "loadBalancers", ""), "/stages/0/clusters/0/strategy"},
		{"a revision that is dark by a header", document("p", stage("1", "[]", service("strategy", `"dark"`, "maxSurge", "", "match", `{"header":"X-Canary","value":"1"}`))),
			"/stages/0/clusters/0/match/header"},
		{"a promotion into the dark", document("p", `{"refId":"1","type":"promoteServerGroup","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","target":"current","strategy":"dark"}`),
			"/stages/0/strategy"},
		{"a promotion beside a baseline", document("p", `{"refId":"1","type":"promoteServerGroup","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","target":"current",
			"strategy":"canary","baseline":true,"steps":[{"weight":5}]}`), "/stages/0/baseline"},
		{"a promotion in place", document("p", `{"refId":"1","type":"promoteServerGroup","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","target":"current",
			"strategy":"rolling","inPlace":true}`), "/stages/0/inPlace"},
		{"a clone in place", document("p", `{"refId":"1","type":"cloneServerGroup","credentials":"aws-sim","region":"us-east-1","targetCluster":"storefront-prod","target":"current","inPlace":true}`), "/stages/0/inPlace"},
		{"a promotion to a size that revisions do not have", document("p", `{"refId":"1","type":"promoteServerGroup","cloudProvider":"cloudrun","credentials":"gcp-sim","regions":["us-central1"],"cluster":"storefront-run","target":"current",
			"strategy":"canary","steps":[{"weight":5,"size":1}]}`), "/stages/0/steps/0/size"},
		{"a gate that asks nothing", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"gate":{}}]`), "/stages/0/clusters/0/steps/0/gate"},
		{"a gate with a slip", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"gate":{"manualJudgement":{}}}]`), "/stages/0/clusters/0/steps/0/gate/manualJudgement"},
		{"a judgment that ends in words", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"gate":{"manualJudgment":{"onTimeout":"ask again"}}}]`),
			"/stages/0/clusters/0/steps/0/gate/manualJudgment/onTimeout"},
		{"requests that nobody counts", one("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":100,"minRequests":10}]`, "loadBalancers", ""), "/stages/0/clusters/0/steps/0/minRequests"},
		{"an unknown concurrency", one("concurrency", `"parallel"`), "/stages/0/clusters/0/concurrency"},
		{"a revision with a size", document("p", stage("1", "[]", service("strategy", `"canary"`, "maxSurge", "", "steps", `[{"weight":5,"size":1}]`))), "/stages/0/clusters/0/steps/0/size"},
		{"a revision that is to be scaled down", document("p", stage("1", "[]", service("strategy", `"rollingredblack"`, "targetPercentages", `[50]`, "maxSurge", "", "scaleDown", `true`))),
			"/stages/0/clusters/0/scaleDown"},
		{"no image for Compute Engine", document("p", stage("1", "[]", instanceGroup("image", ""))), "/stages/0/clusters/0/image"},
		{"no size of an instance group", document("p", stage("1", "[]", instanceGroup("capacity", ""))), "/stages/0/clusters/0/capacity"},
		{"a targetSize in words", document("p", stage("1", "[]", instanceGroup("capacity", "", "targetSize", `"three"`))), "/stages/0/clusters/0/targetSize"},
		{"no image for Cloud Run", document("p", stage("1", "[]", service("image", ""))), "/stages/0/clusters/0/image"},
		{"a manifest of another kind", document("p", stage("1", "[]", service("image", "", "manifest", `{"kind":"Job"}`))), "/stages/0/clusters/0/manifest/kind"},
		{"a manifest stage without manifests", document("p", `{"refId":"1","type":"deployCloudrunManifest","account":"gcp-sim","region":"us-central1"}`), "/stages/0/manifests"},
		{"an image that is found for another region", document("p", `{"refId":"f","requisiteStageRefIds":[],"type":"findImageFromTags","packageName":"storefront","regions":["us-west-2"]},`+stage("1", `["f"]`, cluster("amiName", ""))), "/stages/1/clusters/0/amiName"},
		{"an image that is found afterwards", document("p", `{"refId":"f","requisiteStageRefIds":["1"],"type":"findImageFromTags","packageName":"storefront","regions":["us-east-1"]},`+stage("1", `[]`, cluster("amiName", ""))), "/stages/1/clusters/0/amiName"},
		{"an image by a region that is not meant", one("amiName", "", "imageByRegion", `{"us-east-1":"ami-1","us-west-2":"ami-2"}`), "/stages/0/clusters/0/imageByRegion/us-west-2"},
		{"two ways to say the image", one("imageByRegion", `{"us-east-1":"ami-1"}`), "/stages/0/clusters/0/imageByRegion"},
		{"a cluster to look in that is not named", document("p", `{"refId":"1","type":"findImage","credentials":"aws-sim","regions":["us-east-1"]}`), "/stages/0/cluster"},
		{"an unknown choice of an image", document("p", `{"refId":"1","type":"findImage","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","selectionStrategy":"BEST"}`), "/stages/0/selectionStrategy"},
		{"no package", document("p", `{"refId":"1","type":"findImageFromTags","regions":["us-east-1"]}`), "/stages/0/packageName"},
		{"tags of the wrong type", document("p", `{"refId":"1","type":"findImageFromTags","regions":["us-east-1"],"packageName":"storefront","tags":["prod"]}`), "/stages/0/tags"},
		{"a clone of nothing", document("p", `{"refId":"1","type":"cloneServerGroup","credentials":"aws-sim","region":"us-east-1","targetCluster":"storefront-prod"}`), "/stages/0/target"},
		{"a clone from another account", document("p", `{"refId":"1","type":"cloneServerGroup","credentials":"aws-sim","region":"us-east-1","source":{"account":"gcp-sim","asgName":"storefront-prod-v000"}}`),
			"/stages/0/source/account"},
		{"an expression that does not end", one("amiName", `"${parameters.image"`), "/stages/0/clusters/0/amiName"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.traces(t)
			status, p := w.post(t, "/pipelines", test.body)
			if status != 400 || p.Status != 400 || !p.names(test.pointer) {
				t.Errorf("%d %+v, want 400 at %q", status, p, test.pointer)
			}
			if diff := cmp.Diff(before, w.traces(t)); diff != "" {
				t.Errorf("something was made (-before +after):\n%s", diff)
			}
		})
	}
}

// TestBadTasksAreRefused: jobs that are stages are checked as a pipeline is that is
// saved and started at once.
func TestBadTasksAreRefused(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	const group = `"type":"resizeServerGroup","cloudProvider":"aws","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","target":"current"`
	const size = `,"capacity":{"min":1,"max":2,"desired":1}`
	job := func(changes ...string) string {
		return `{"type":"createServerGroup",` + cluster(changes...)[1:]
	}
	for _, test := range []struct{ name, jobs, pointer string }{
		{"a job of the wrong type", `7`, "/job"},
		{"capacity min above max", `{` + group + `,"capacity":{"min":3,"max":2,"desired":2}}`, "/job/0/capacity/min"},
		{"no capacity", `{` + group + `}`, "/job/0/capacity"},
		{"an unknown account", strings.Replace(`{`+group+size+`}`, "aws-sim", "aws-prod", 1), "/job/0/credentials"},
		{"another provider", strings.Replace(`{`+group+size+`}`, `"aws"`, `"gce"`, 1), "/job/0/cloudProvider"},
		{"an unknown region", strings.Replace(`{`+group+size+`}`, "us-east-1", "eu-north-1", 1), "/job/0/regions"},
		{"an unknown target", strings.Replace(`{`+group+size+`}`, "current", "nearest", 1), "/job/0/target"},
		{"a cluster shrunk to less than nothing", `{"type":"shrinkCluster","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","shrinkToSize":-1}`, "/job/0/shrinkToSize"},
		{"a cluster without an enabled group", `{"type":"disableCluster","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","remainingEnabledServerGroups":0}`, "/job/0/remainingEnabledServerGroups"},
		{"all but a named group", `{"type":"scaleDownCluster","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","target":"current"}`, "/job/0/target"},
		{"a cluster of an unknown account", `{"type":"scaleDownCluster","credentials":"aws-prod","regions":["us-east-1"],"cluster":"storefront-prod"}`, "/job/0/credentials"},
		{"an image of an unknown account", `{"type":"findImage","credentials":"aws-prod","regions":["us-east-1"],"cluster":"storefront-prod"}`, "/job/0/credentials"},
		{"an image of an unknown region", `{"type":"findImageFromTags","credentials":"aws-sim","packageName":"storefront","regions":["eu-north-1"]}`, "/job/0/regions"},
		{"an image that nothing finds", job("amiName", ""), "/job/0/amiName"},
		{"the second job", `{"type":"wait","waitTime":1},{"type":"wait","waitTime":-1}`, "/job/1/waitTime"},
		{"an unknown type", `{"type":"wait","waitTime":1},{"type":"resizeServerGruop"}`, "/job/1/type"},
		{"an application's job", `{"type":"wait","waitTime":1},{"type":"deleteApplication","application":{"name":"storefront"}}`, "/job/1/type"},
		{"an unknown image", job("amiName", `"storefront-9.9"`), "/job/0/amiName"},
		{"no image", job("amiName", ""), "/job/0/amiName"},
		{"an unknown load balancer", job("loadBalancers", `["shop"]`), "/job/0/loadBalancers/0"},
		{"an unknown zone", job("availabilityZones", `{"us-east-1":["us-east-1a","us-east-1z"]}`), "/job/0/availabilityZones/us-east-1/1"},
		{"an unknown strategy", job("strategy", `"rollling"`), "/job/0/strategy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/tasks", "/tasks/plan"} {
				before := w.traces(t)
				status, p := w.post(t, path, `{"application":"storefront","job":[`+test.jobs+`]}`)
				if status != 400 || p.Status != 400 || !p.names(test.pointer) {
					t.Errorf("%s: %d %+v, want 400 at %q", path, status, p, test.pointer)
				}
				if diff := cmp.Diff(before, w.traces(t)); diff != "" {
					t.Errorf("something was made (-before +after):\n%s", diff)
				}
			}
		})
	}
	if status, p := w.post(t, "/tasks", `{"application":"storefront","job":[`+job()+`]}`); status != 200 {
		t.Errorf("a good task: %d %+v", status, p)
	}
	if diff := cmp.Diff(traces{Executions: 1, Starts: 1}, w.traces(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// badStart is a cluster object that can be saved, and a trigger; one of them is wrong.
type badStart struct{ name, cluster, body, pointer string }

const (
	nothing = `{}`
	at      = "/stages/0/clusters/0"
)

// TestBadStartsAreRefused: what only the configuration and the cloud can tell is
// refused when the pipeline is started, before the execution is recorded.
func TestBadStartsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	for i, test := range append(badGoogleStarts(), []badStart{
		{"an unknown account", cluster("account", `"aws-prod"`), nothing, at + "/account"},
		{"another provider", cluster("cloudProvider", `"gce"`), nothing, at + "/cloudProvider"},
		{"an unknown region", cluster("availabilityZones", `{"eu-north-1":["eu-north-1a"]}`), nothing, at + "/availabilityZones/eu-north-1"},
		{"an unknown zone", cluster("availabilityZones", `{"us-east-1":["us-east-1a","us-east-1z"]}`), nothing, at + "/availabilityZones/us-east-1/1"},
		{"an unknown kind of subnet", cluster("subnetType", `"internal (main)"`), nothing, at + "/subnetType"},
		{"an unknown image", cluster("amiName", `"storefront-9.9"`), nothing, at + "/amiName"},
		{"an unknown image id", cluster("amiName", `"ami-00000000000000000"`), nothing, at + "/amiName"},
		{"an image with a wild card", cluster("amiName", `"storefront-1.*"`), nothing, at + "/amiName"},
		{"an unknown image in a parameter", cluster("amiName", `"${parameters.image}"`), `{"parameters":{"image":"storefront-9.9"}}`, at + "/amiName"},
		{"a parameter of the wrong type", cluster("amiName", `"${parameters.image}"`), `{"parameters":{"image":["storefront-1.1"]}}`, at + "/amiName"},
		{"an unknown load balancer", cluster("loadBalancers", `["shop"]`), nothing, at + "/loadBalancers/0"},
		{"an unknown port", cluster("listenerPort", `8443`), nothing, at + "/listenerPort"},
		{"an unknown security group", cluster("securityGroups", `["storefront","admin"]`), nothing, at + "/securityGroups/1"},
		{"no instance type", cluster("instanceType", ""), nothing, at + "/instanceType"},
		{"a setting of the wrong type", cluster("healthCheckGracePeriod", `"long"`), nothing, at + "/healthCheckGracePeriod"},
		{"a foreign target group", cluster("targetGroups", `["mine"]`), nothing, at + "/targetGroups"},
		{"another cluster's load balancer", cluster("stack", `"other"`), nothing, at + "/loadBalancers/0"},
		{"malformed JSON", cluster(), `{"parameters":`, ""},
		{"parameters of the wrong type", cluster(), `{"parameters":["storefront-1.1"]}`, "/parameters"},
		{"a trigger of the wrong type", cluster(), `{"type":7}`, "/type"},
		{"a list for a trigger", cluster(), `[]`, ""},
	}...) {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("start-%d", i)
			if status, p := w.post(t, "/pipelines", document(name, stage("1", "[]", test.cluster))); status != 200 {
				t.Fatalf("save: %d %+v", status, p)
			}
			before := w.traces(t)
			status, p := w.post(t, "/pipelines/storefront/"+name, test.body)
			if status != 400 || p.Status != 400 || !p.names(test.pointer) {
				t.Errorf("%d %+v, want 400 at %q", status, p, test.pointer)
			}
			if diff := cmp.Diff(before, w.traces(t)); diff != "" {
				t.Errorf("something was made (-before +after):\n%s", diff)
			}
		})
	}
}

// TestGoodInputLeavesTraces shows that the tests above would see something.
func TestGoodInputLeavesTraces(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	if status, p := w.post(t, "/pipelines", document("p", stage("1", "[]", cluster("amiName", `"${parameters.image}"`)))); status != 200 {
		t.Fatalf("save: %d %+v", status, p)
	}
	if status, p := w.post(t, "/pipelines/storefront/p", `{"parameters":{"image":"storefront-1.0"}}`); status != 202 {
		t.Fatalf("start: %d %+v", status, p)
	}
	if diff := cmp.Diff(traces{Pipelines: 1, Executions: 1, Starts: 1}, w.traces(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
