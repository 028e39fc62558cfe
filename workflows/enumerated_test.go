package workflows

import (
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// enumerated is a deployment of which every crash and every cancel is tried.
type enumerated struct {
	name string
	// strategy are its fields in a cluster object; empty for an operation, which is the
	// fields of its stage, with IMAGE for the version.
	strategy, operation string
	// there are the server groups at the start, of which a version may be that of the case;
	// nil for one of three instances.
	there func(image string) []fakecloud.Existing
	// recorded is true when v001 is recorded to have replaced v000, which had two
	// instances of the version of the case.
	recorded bool
	// versioned operations meet a version that is never healthy, too.
	versioned bool
	// needsSize is true when groups without a size cannot be deployed so.
	needsSize bool
	// unsizedOnly is true when only those can be.
	unsizedOnly bool
	// floor and ceiling are the bounds that the strategy promises for 3 instances
	// that replace 3.
	floor, ceiling int
	// beside is how many groups there are beside the old one and the new one.
	beside int
	// checked strategies meet a version that fails its requests, too.
	checked bool
}

// enumeratedStrategies are all strategies, each with what sets it apart, and the
// operations.
func enumeratedStrategies() []enumerated {
	return []enumerated{
		{name: "rolling", strategy: `"strategy":"rolling","maxSurge":1`, floor: 3, ceiling: 4},
		{name: "rolling by unavailability", strategy: `"strategy":"rolling","maxSurge":0,"maxUnavailable":2,"pauseBetweenBatches":30`, floor: 1, ceiling: 3},
		{name: "rollingredblack", strategy: `"strategy":"rollingredblack","targetPercentages":[50]`, floor: 3, ceiling: 6},
		{name: "rollingredblack with a gate", strategy: `"strategy":"rollingredblack","targetPercentages":[50],"pipelineBeforeCleanup":{"application":"shop","pipelineId":"check"}`, floor: 3, ceiling: 6},
		{name: "rollingredblack, scaled down", strategy: `"strategy":"rollingredblack","targetPercentages":[50],"scaleDown":true,"delayBeforeScaleDownSec":30`, needsSize: true, floor: 3, ceiling: 6},
		{name: "canary", strategy: `"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"bake":30}]`, floor: 3, ceiling: 6},
		{name: "canary, old kept for a while", strategy: `"strategy":"canary","steps":[{"weight":5,"size":1,"bake":60}],"keepOldFor":60`, needsSize: true, floor: 3, ceiling: 6},
		{name: "canary with a check", strategy: `"strategy":"canary","steps":[{"weight":5,"bake":300}],` + errorCheck, floor: 3, ceiling: 6, checked: true},
		{name: "canary with a baseline", strategy: `"strategy":"canary","baseline":true,"steps":[{"weight":20,"bake":60}]`, floor: 3, ceiling: 8, beside: 1},
		{name: "canary that waits for a judgment", strategy: `"strategy":"canary","steps":[{"weight":50,"bake":30,"gate":{"manualJudgment":{"timeoutSec":120,"onTimeout":"continue"}}}]`, floor: 3, ceiling: 6},
		{name: "dark", strategy: `"strategy":"dark","match":{"header":"X-Canary","value":"always"}`, needsSize: true, floor: 3, ceiling: 6},
		{name: "dark by its address", strategy: `"strategy":"dark"`, unsizedOnly: true, floor: 3, ceiling: 6},
		{name: "bluegreen", strategy: `"strategy":"bluegreen","delayBeforeDisableSec":30`, floor: 3, ceiling: 6},
		{name: "bluegreen, scaled down", strategy: `"strategy":"redblack","scaleDown":true`, needsSize: true, floor: 3, ceiling: 6},
		{name: "highlander", strategy: `"strategy":"highlander"`, floor: 3, ceiling: 6},
		{name: "none", strategy: `"strategy":"none"`, floor: 3, ceiling: 6},
		{name: "in place", strategy: `"strategy":"rolling","inPlace":true,"useSourceCapacity":true,"maxSurge":1`, needsSize: true, floor: 3, ceiling: 4},
		{name: "in place by unavailability", strategy: `"strategy":"rolling","inPlace":true,"useSourceCapacity":true,"maxSurge":0,"maxUnavailable":2`, needsSize: true, floor: 1, ceiling: 5}, // with two that are on their way out
		{name: "resize up", operation: `"type":"resizeServerGroup","target":"current_asg_dynamic","capacity":{"min":5,"max":8,"desired":5}`, there: sharing, needsSize: true, floor: 5, ceiling: 7},
		{name: "resize down", operation: `"type":"resizeServerGroup","target":"current_asg_dynamic","capacity":{"min":1,"max":8,"desired":2}`, there: sharing, needsSize: true, floor: 4, ceiling: 5},
		{name: "disable", operation: `"type":"disableServerGroup","target":"oldest_asg_dynamic"`, there: sharing, floor: 3, ceiling: 5},
		{name: "enable", operation: `"type":"enableServerGroup","target":"oldest_asg_dynamic"`, there: idle, floor: 3, ceiling: 5},
		{name: "destroy", operation: `"type":"destroyServerGroup","serverGroupName":"shop-prod-v000"`, there: idle, floor: 3, ceiling: 5},
		{name: "promote", operation: `"type":"promoteServerGroup","target":"newest","strategy":"rolling","maxSurge":1,"healthTimeoutSec":60`, there: led, versioned: true, needsSize: true, floor: 3, ceiling: 6},
		{name: "promote by its address", operation: `"type":"promoteServerGroup","target":"newest","strategy":"bluegreen","healthTimeoutSec":60`, there: addressed, versioned: true, unsizedOnly: true, floor: 3, ceiling: 6},
		{name: "abandon", operation: `"type":"abandonServerGroup","target":"newest"`, there: led, needsSize: true, floor: 3, ceiling: 4},
		{name: "abandon by its address", operation: `"type":"abandonServerGroup","target":"newest"`, there: addressed, unsizedOnly: true, floor: 3, ceiling: 4},
		{name: "clone", operation: `"type":"cloneServerGroup","region":"r1","target":"current_asg_dynamic","amiName":"IMAGE","strategy":"bluegreen"`, versioned: true, floor: 3, ceiling: 6},
		{name: "roll back", operation: `"type":"rollbackCluster"`, there: idle, recorded: true, floor: 3, ceiling: 6},
		{name: "roll back, scaled down", operation: `"type":"rollbackCluster","scaleDown":true`, there: idle, recorded: true, needsSize: true, floor: 3, ceiling: 6},
		{name: "roll back a server group, destroyed", operation: `"type":"rollbackServerGroup","rollbackType":"EXPLICIT","destroy":true,
			"rollbackContext":{"rollbackServerGroupName":"shop-prod-v001","restoreServerGroupName":"shop-prod-v000"}`, there: idle, recorded: true, floor: 3, ceiling: 6},
		{name: "roll back, deployed anew", operation: `"type":"rollbackCluster","destroy":true`, there: alone, recorded: true, versioned: true, floor: 3, ceiling: 6},
	}
}

// sharing are two groups that share the traffic.
func sharing(string) []fakecloud.Existing { return twoGroups() }

// idle are two groups of which the newer one has all traffic.
func idle(string) []fakecloud.Existing {
	both := twoGroups()
	both[0].Weight, both[1].Weight = 0, 100
	return both
}

// alone is the newer of two groups without the older one.
func alone(image string) []fakecloud.Existing { return idle(image)[1:] }

// led are a group with all traffic and a dark one of the version, smaller, to which a
// rule leads.
func led(image string) []fakecloud.Existing {
	fresh := dark(1)
	fresh.Image = image
	if image == "crash" {
		fresh.Sick = 1
	}
	return []fakecloud.Existing{v000(3), fresh}
}

// addressed are the same where the dark one has an address of its own.
func addressed(image string) []fakecloud.Existing {
	both := led(image)
	both[1].Match = nil
	return both
}

// was is what v000 of that size took the traffic with before v001.
func was(size int) rollout.Recorded {
	group := rollout.RecordedGroup{Name: "shop-prod-v000", Capacity: v000(size).Capacity, Healthy: size, Serving: true}
	return rollout.Recorded{Routed: true, Weights: []delivery.Weight{{ServerGroup: group.Name, Percent: 100}}, Groups: []rollout.RecordedGroup{group}}
}
