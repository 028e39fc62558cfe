package wirefaults

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// enumeratedSize is that of the old server group and of the new one.
const enumeratedSize = 2

// enumeratedStrategy is a strategy with its bounds for groups of enumeratedSize.
type enumeratedStrategy struct {
	name, fields string
	// needsSize is true when groups without a size cannot be deployed so.
	needsSize bool
	// checked strategies meet a version that fails its requests, too.
	checked        bool
	floor, ceiling int
	// empties is true when the old server group ends without instances.
	empties bool
	// groups is how many server groups it makes; zero is one.
	groups   int
	judgment judgment
	// dark is true for a dark release, of which the fields are the kind's, and for what is
	// done to one that was deployed before.
	dark bool
	// earlier is what is deployed before.
	earlier []earlier
	// operation are the fields of a stage that is no deploy stage, with IMAGE for that
	// of the version; shares are what it ends with. A versioned one makes a server group
	// and meets a version that is never healthy, too.
	operation string
	shares    map[int]int
	versioned bool
	// inPlace is true for an update in place of a group that an earlier deployment made:
	// seeded managed instance groups are not healed. It is larger than what the cloud
	// replaces at once, and the floor is what that leaves.
	inPlace bool
}

func enumeratedStrategies() []enumeratedStrategy {
	return []enumeratedStrategy{
		{name: "rolling", fields: `"strategy":"rolling","maxSurge":1`, floor: 2, ceiling: 3, empties: true},
		{name: "unavailability", fields: `"strategy":"rolling","maxSurge":0,"maxUnavailable":1`, needsSize: true, floor: 1, ceiling: 2, empties: true},
		{name: "rollingredblack", fields: `"strategy":"rollingredblack","targetPercentages":[50]`, floor: 2, ceiling: 4},
		{name: "canary", fields: `"strategy":"canary","steps":[{"weight":5,"bake":30},{"weight":50}]`, floor: 2, ceiling: 4},
		{name: "canary-kept", fields: `"strategy":"canary","steps":[{"weight":10,"size":1,"bake":20}],"keepOldFor":20`, needsSize: true, floor: 2, ceiling: 4, empties: true},
		{name: "canary-checked", fields: `"strategy":"canary","steps":[{"weight":50,"bake":300}],"checks":[{"name":"errors","query":"errorRate","max":1}]`,
			checked: true, floor: 2, ceiling: 4},
		{name: "canary-baseline", fields: `"strategy":"canary","baseline":true,"steps":[{"weight":20,"bake":20}]`, floor: 2, ceiling: 5, groups: 2},
		{name: "canary-gated", fields: `"strategy":"canary","steps":[{"weight":50,"bake":20` + judgment{onTimeout: "rollback"}.gate() + `}]`, floor: 2, ceiling: 4,
			judgment: judgment{answer: delivery.JudgmentContinue, onTimeout: "rollback"}},
		{name: "dark", dark: true, floor: 2, ceiling: 4},
		{name: "bluegreen", fields: `"strategy":"bluegreen","delayBeforeDisableSec":20`, floor: 2, ceiling: 4},
		{name: "bluegreen-scaled", fields: `"strategy":"redblack","scaleDown":true`, needsSize: true, floor: 2, ceiling: 4, empties: true},
		{name: "highlander", fields: `"strategy":"highlander"`, floor: 2, ceiling: 4},
		{name: "none", fields: `"strategy":"none"`, floor: 2, ceiling: 4},
		{name: "inplace", fields: `"strategy":"rolling","inPlace":true,"maxSurge":1`, needsSize: true, inPlace: true},
		{name: "inplace-unavailability", fields: `"strategy":"rolling","inPlace":true,"maxSurge":0,"maxUnavailable":2`, needsSize: true, inPlace: true, floor: 1},
		{name: "promote", dark: true, operation: `"type":"promoteServerGroup","target":"newest","strategy":"bluegreen"`, shares: map[int]int{0: 0, 1: 100}, floor: 2, ceiling: 4},
		{name: "abandon", dark: true, operation: `"type":"abandonServerGroup","target":"newest"`, shares: map[int]int{0: 100}, floor: 2, ceiling: 4},
		{name: "clone", operation: `"type":"cloneServerGroup","target":"current_asg_dynamic","strategy":"bluegreen","healthTimeoutSec":120,IMAGE`, versioned: true, groups: 1,
			shares: map[int]int{0: 0, 1: 100}, floor: 2, ceiling: 4},
		{name: "rollback", earlier: []earlier{{`"strategy":"bluegreen"`, true}}, operation: `"type":"rollbackCluster"`, shares: map[int]int{0: 100, 1: 0}, floor: 2, ceiling: 4},
		{name: "rollback-scaled", earlier: []earlier{{`"strategy":"rolling","maxSurge":1`, true}}, operation: `"type":"rollbackCluster","scaleDown":true`, needsSize: true,
			shares: map[int]int{0: 100, 1: 0}, floor: 2, ceiling: 4, empties: true},
		{name: "rollback-anew", earlier: []earlier{{`"strategy":"highlander"`, true}, {`"strategy":"highlander"`, false}}, operation: `"type":"rollbackCluster","destroy":true`,
			groups: 1, shares: map[int]int{3: 100}, floor: 2, ceiling: 4},
	}
}

// tried reports whether the kind can carry the case of the version out.
func (s enumeratedStrategy) tried(k kind, image string) bool {
	switch {
	case s.needsSize && !k.sized, s.dark && k.dark == "":
		return false
	case image == k.broken:
		return s.checked
	default:
		return image != k.crashing || s.operation == "" || s.versioned
	}
}

func newEnumeration(kept *keeper, k kind, s enumeratedStrategy, image string) *enumeration {
	version := map[string]string{k.good: "good", k.crashing: "crashing", k.broken: "broken"}[image]
	switch {
	case s.operation != "":
		s.operation = strings.ReplaceAll(s.operation, "IMAGE", fmt.Sprintf("%q:%q", k.imageField, image))
		if s.dark {
			s.earlier = []earlier{{k.dark, true}}
		}
	case s.dark:
		s.fields = k.dark
	}
	if s.operation == "" {
		s.groups = max(1, s.groups)
	}
	c := &enumeration{name: fmt.Sprintf("%s/%s/%s", k.name, s.name, version), inPlace: s.inPlace, kept: kept,
		schedule: schedule{kind: k, old: enumeratedSize, wanted: enumeratedSize, strategy: s.fields, empties: s.empties,
			floor: s.floor, ceiling: s.ceiling, groups: s.groups, judgment: s.judgment, image: image, pageSize: 5,
			earlier: s.earlier, operation: s.operation, shares: s.shares}}
	if s.inPlace {
		size := max(enumeratedSize, 2*k.ahead+1)
		c.old, c.wanted, c.groups, c.ceiling, c.floor = size, size, 0, size, cmp.Or(s.floor, size-k.ahead)
		c.earlier = []earlier{{`"strategy":"highlander"`, false}}
	}
	return c
}
