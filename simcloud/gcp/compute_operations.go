package gcp

import (
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func (c *call) getRegionOperation(in *computepb.GetRegionOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "regions", in.GetRegion(), "operations", in.GetOperation())
}

func (c *call) getZoneOperation(in *computepb.GetZoneOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "zones", in.GetZone(), "operations", in.GetOperation())
}

func (c *call) getGlobalOperation(in *computepb.GetGlobalOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "global", "operations", in.GetOperation())
}

// A wait "might return before the default deadline is reached, or might return after zero seconds" (discovery document): here
// it never waits.

func (c *call) waitRegionOperation(in *computepb.WaitRegionOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "regions", in.GetRegion(), "operations", in.GetOperation())
}

func (c *call) waitZoneOperation(in *computepb.WaitZoneOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "zones", in.GetZone(), "operations", in.GetOperation())
}

func (c *call) waitGlobalOperation(in *computepb.WaitGlobalOperationRequest) (*computepb.Operation, error) {
	return get[*computepb.Operation](c, "global", "operations", in.GetOperation())
}

func (c *call) listRegionOperations(in *computepb.ListRegionOperationsRequest) (*computepb.OperationList, error) {
	return operationList(c, in, "regions", in.GetRegion(), "operations")
}

func (c *call) listZoneOperations(in *computepb.ListZoneOperationsRequest) (*computepb.OperationList, error) {
	return operationList(c, in, "zones", in.GetZone(), "operations")
}

func (c *call) listGlobalOperations(in *computepb.ListGlobalOperationsRequest) (*computepb.OperationList, error) {
	return operationList(c, in, "global", "operations")
}

func operationList(c *call, in listing, collection ...string) (*computepb.OperationList, error) {
	items, next, err := list[*computepb.Operation](c, in, collection...)
	return &computepb.OperationList{Kind: proto.String("compute#operationList"), Items: items, NextPageToken: next}, err
}

// aggregateOperations lists the operations of all scopes, by scope.
func (c *call) aggregateOperations(in *computepb.AggregatedListGlobalOperationsRequest) (*computepb.OperationAggregatedList, error) {
	var found []*computepb.Operation
	for _, r := range all[*computepb.Operation](c.data) {
		found = append(found, r.message.(*computepb.Operation))
	}
	items, next, err := pageOf(c, in, found)
	if err != nil {
		return nil, err
	}
	out := &computepb.OperationAggregatedList{Kind: proto.String("compute#operationAggregatedList"), Items: map[string]*computepb.OperationsScopedList{}, NextPageToken: next}
	for _, op := range items {
		scope := strings.TrimPrefix(scopeOf(pathOfLink(op.GetSelfLink())), pathOf(c.project.id))
		if out.Items[scope] == nil {
			out.Items[scope] = &computepb.OperationsScopedList{}
		}
		out.Items[scope].Operations = append(out.Items[scope].Operations, op)
	}
	for _, region := range slices.Sorted(maps.Keys(c.project.regions)) {
		if out.Items["regions/"+region] == nil {
			out.Items["regions/"+region] = &computepb.OperationsScopedList{}
		}
	}
	return out, nil
}
