package pipeline

import (
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// keepFields are the fields that say what an operation on a cluster leaves alone,
// as Spinnaker calls them; active is empty where the operation has no such field.
type keepFields struct{ groups, larger, active string }

func keepFieldsOf(kind rollout.OperationKind) keepFields {
	switch kind {
	case rollout.ShrinkOperation:
		return keepFields{"shrinkToSize", "retainLargerOverNewer", "allowDeleteActive"}
	case rollout.ScaleDownOperation:
		return keepFields{"remainingFullSizeServerGroups", "preferLargerOverNewer", "allowScaleDownActive"}
	default:
		return keepFields{groups: "remainingEnabledServerGroups", larger: "preferLargerOverNewer"}
	}
}

// readClusterOperation reads an operation on all server groups of a cluster but some.
func readClusterOperation(o object, kind rollout.OperationKind) OperateStage {
	one := OperateCluster{
		Cluster:   delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o), Moniker: readOperated(o, "")},
		Operation: rollout.Operation{Kind: kind, Keep: readKeep(o, kind)},
		Strategy:  readTimeouts(o, kind),
	}
	for _, name := range [...]string{"serverGroupName", "asgName", "target"} {
		if o.given(name) {
			o.refuse(name, "is not for %s, which is about the whole cluster", kind)
		}
	}
	switch kind {
	case rollout.ScaleDownOperation:
		one.Operation.Capacity = &delivery.Capacity{}
		if one.Cluster.Provider == cloudRun {
			o.refuse("cloudProvider", "is %q: the size of a revision cannot be changed", cloudRun)
		}
	case rollout.DisableClusterOperation:
		if n, ok := o.whole("desiredPercentage"); ok && n != 100 || o.dynamic("desiredPercentage") {
			o.refuse("desiredPercentage", "is %s; a server group is disabled as a whole", o.fields["desiredPercentage"])
		}
	}
	return inRegions(o, one)
}

// readKeep returns what is left alone: by default one group, and every one that
// takes traffic.
func readKeep(o object, kind rollout.OperationKind) *rollout.Keep {
	f := keepFieldsOf(kind)
	keep := rollout.Keep{Groups: 1, Larger: o.flag(f.larger, false)}
	if f.active != "" {
		keep.Active = o.flag(f.active, false)
	}
	if n, ok := o.whole(f.groups); ok {
		keep.Groups = n
	}
	least := 0
	if f.active == "" || keep.Active {
		least = 1
	}
	if keep.Groups < least {
		o.refuse(f.groups, "is %d; must be at least %d", keep.Groups, least)
	}
	return &keep
}
