package gcp

import (
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Types of conditions: of a service, of a revision, of both.
const (
	conditionReady          = "Ready"
	conditionRoutes         = "RoutesReady"
	conditionConfigurations = "ConfigurationsReady"
	conditionActive         = "Active"
	conditionHealthy        = "ContainerHealthy"
	conditionImage          = "ContainerReady"
	conditionResources      = "ResourcesAvailable"
)

// States of conditions.
const (
	reconciling = runpb.Condition_CONDITION_RECONCILING
	succeeded   = runpb.Condition_CONDITION_SUCCEEDED
	failed      = runpb.Condition_CONDITION_FAILED
)

// conditionReason puts a reason into a condition: the API has several kinds of them.
type conditionReason func(*runpb.Condition)

func commonReason(reason runpb.Condition_CommonReason) conditionReason {
	return func(c *runpb.Condition) { c.Reasons = &runpb.Condition_Reason{Reason: reason} }
}

func revisionReason(reason runpb.Condition_RevisionReason) conditionReason {
	return func(c *runpb.Condition) { c.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: reason} }
}

func condition(kind string, state runpb.Condition_State, now time.Time) *runpb.Condition {
	return &runpb.Condition{Type: kind, State: state, LastTransitionTime: timestamppb.New(now)}
}

// failedCondition is one that did not come true, and why.
func failedCondition(kind string, why *failure, now time.Time) *runpb.Condition {
	c := condition(kind, failed, now)
	c.Message = why.text
	why.reason(c)
	return c
}

// setCondition puts a condition in the place of that of its type. Its time stays while its state does.
func setCondition(list []*runpb.Condition, c *runpb.Condition) []*runpb.Condition {
	at, found := slices.BinarySearchFunc(list, c.Type, func(have *runpb.Condition, kind string) int { return strings.Compare(have.GetType(), kind) })
	if !found {
		return slices.Insert(list, at, c)
	}
	list[at] = changed(list[at], c)
	return list
}

func changed(from, to *runpb.Condition) *runpb.Condition {
	if from != nil && from.State == to.State {
		to.LastTransitionTime = from.LastTransitionTime
	}
	return to
}
