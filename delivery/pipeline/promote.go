package pipeline

import (
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery/rollout"
)

// PromoteType is the stage type that lets a server group which takes no traffic
// take that of the others, by a strategy.
const PromoteType = rollout.PromoteServerGroup

// readPromotion reads what a stage that promotes adds to what names the group: the
// fields of a strategy, as a cluster object of a deploy stage has them, and a
// capacity.
func readPromotion(o object, one OperateCluster) OperateCluster {
	one.Operation = rollout.Operation{}
	one.Promotion = &rollout.Promotion{Select: readTarget(o, one.Group)}
	one.Strategy = readStrategyOf(o)
	switch {
	case !o.given("strategy"):
		o.refuse("strategy", "is required: how the server group takes the traffic")
	case one.Strategy.Kind == rollout.Dark:
		o.refuse("strategy", "is dark; a promotion gives the server group the public traffic")
	}
	if one.Strategy.Baseline {
		o.refuse("baseline", "cannot be used: a baseline is made beside a new server group, and the promoted one is there already")
	}
	if one.Strategy.InPlace {
		o.refuse("inPlace", "cannot be used: a promotion moves traffic and changes no version")
	}
	if !o.given("capacity") {
		return one
	}
	if one.Cluster.Provider == cloudRun {
		o.refuse("capacity", "cannot be set: the size of a revision cannot be changed")
		return one
	}
	capacity := readCapacity(o)
	one.Promotion.Capacity = &capacity
	refuseOversized(o, one.Strategy, capacity)
	return one
}

// readStrategyOf reads the strategy of a stage that has its fields itself.
func readStrategyOf(o object) rollout.Strategy {
	raw, err := json.Marshal(o.fields)
	if err != nil {
		o.r.refuse(o.at, "is not an object: %v", err)
	}
	return readStrategy(o, raw)
}

// IntendedOperations reads as much of a stage that operates as can be known before
// its expressions are evaluated. What is wrong with it is Parse's to say.
func IntendedOperations(stage StageSpec) OperateStage {
	if !Operates(stage.Type) {
		return OperateStage{}
	}
	r := &reader{deferred: true}
	o, ok := r.document(stage.Context())
	if !ok {
		return OperateStage{}
	}
	return readOperate(o, rollout.OperationKind(stage.Type))
}
