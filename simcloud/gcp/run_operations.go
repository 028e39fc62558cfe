package gcp

import (
	"slices"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// runOperation is an operation that has not ended.
type runOperation struct {
	path string
	// service is the path of the service that changes, revision that of the one that is made; either may be empty.
	service, revision string
	// removed is what a deletion removed: it is the response, at the time given.
	removed proto.Message
	at      time.Time
}

// beginRunOperation begins an operation. Its metadata is what it is about (runpb: metadata_type Service or Revision).
func (c *call) beginRunOperation(op *runOperation, about proto.Message) *longrunningpb.Operation {
	op.path = pathOf(c.project.id, "locations", regionOfPath(c.about), "operations", c.cloud.newUID())
	op.at = c.now.Add(c.cloud.world.Between(c.cloud.options.OperationTime/3, c.cloud.options.OperationTime))
	out := &longrunningpb.Operation{Name: op.path, Metadata: asAny(about)}
	c.data.resources[op.path] = &resource{path: op.path, message: out, created: c.now}
	c.project.run.operations = append(c.project.run.operations, op)
	return out
}

// validated is the operation of a request that was only validated: it is done and its result is what would come to be. It
// is not kept: assumption.
func (c *Cloud) validated(m proto.Message) *longrunningpb.Operation {
	return &longrunningpb.Operation{
		Name: "operations/" + c.newUID(), Done: true, Metadata: asAny(m), Result: &longrunningpb.Operation_Response{Response: asAny(m)},
	}
}

// asAny packs a message; those of this package can always be packed.
func asAny(m proto.Message) *anypb.Any {
	out, err := anypb.New(m)
	if err != nil {
		return nil
	}
	return out
}

// endChange ends the operations of a service whose change has come to its end. why is nil for a success. The failure of
// a revision is that of the operation that made it.
func (p *runPlane) endChange(s *runpb.Service, why *failure) {
	for _, op := range p.operations {
		if op.service != s.Name {
			continue
		}
		own := why
		if r := p.revisions[op.revision]; r != nil && r.failure != nil {
			own = r.failure
		}
		p.end(op, s, own)
	}
	p.operations = slices.DeleteFunc(p.operations, func(op *runOperation) bool { return op.service == s.Name })
}

// abandonOperations ends the operations of a service that is deleted: assumption.
func (p *runPlane) abandonOperations(service string) {
	if s := lookup[*runpb.Service](p.project.data, service); s != nil {
		p.endChange(s, &failure{code: code.Code_ABORTED, text: "Service '" + nameOf(service) + "' was deleted."})
	}
}

// endOperations ends the deletions that are due.
func (p *runPlane) endOperations(now time.Time) {
	p.operations = slices.DeleteFunc(p.operations, func(op *runOperation) bool {
		if op.removed == nil || now.Before(op.at) {
			return false
		}
		p.end(op, op.removed, nil)
		return true
	})
}

func (p *runPlane) end(op *runOperation, response proto.Message, why *failure) {
	stored := lookup[*longrunningpb.Operation](p.project.data, op.path)
	if stored == nil {
		return // the client has deleted it
	}
	stored.Done, stored.Metadata = true, asAny(response)
	stored.Result = &longrunningpb.Operation_Response{Response: asAny(response)}
	if why != nil {
		stored.Result = &longrunningpb.Operation_Error{Error: &status.Status{Code: int32(why.code), Message: why.text}}
	}
}

// sweepOperations forgets operations that ended long ago: assumption, the API does not say how long it keeps them.
func (p *runPlane) sweepOperations(now time.Time) {
	if now.Sub(p.swept) < refreshEvery {
		return
	}
	p.swept = now
	for _, r := range all[*longrunningpb.Operation](p.project.data) {
		if r.message.(*longrunningpb.Operation).Done && now.Sub(r.created) > operationsKept {
			delete(p.project.data.resources, r.path)
		}
	}
}

func (c *call) getRunOperation(in *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	op := lookup[*longrunningpb.Operation](c.data, in.GetName())
	if op == nil {
		return nil, runNotFound(in.GetName())
	}
	return op, nil
}

// waitRunOperation answers at once: "It may return the latest state before the specified timeout (including immediately)"
// (discovery document).
func (c *call) waitRunOperation(in *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	return c.getRunOperation(&longrunningpb.GetOperationRequest{Name: in.GetName()})
}

// listRunOperations knows the filters "done:true" and "done:false" (discovery document).
func (c *call) listRunOperations(in *longrunningpb.ListOperationsRequest) (*longrunningpb.ListOperationsResponse, error) {
	list := newestFirst(c.data.under(in.GetName() + "/operations"))
	switch filter := in.GetFilter(); filter {
	case "":
	case "done:true", "done:false":
		list = slices.DeleteFunc(list, func(r *resource) bool {
			return r.message.(*longrunningpb.Operation).Done != (filter == "done:true")
		})
	default:
		return nil, runInvalid("Invalid filter '%s': must be empty, 'done:true' or 'done:false'.", filter)
	}
	part, next, refusal := page(list, in.GetPageToken(), int(in.GetPageSize()), c.cloud.options.PageSize)
	if refusal != nil {
		return nil, refusal
	}
	out := &longrunningpb.ListOperationsResponse{NextPageToken: next}
	for _, r := range part {
		out.Operations = append(out.Operations, r.message.(*longrunningpb.Operation))
	}
	return out, nil
}

// deleteRunOperation forgets an operation: "It does not cancel the operation" (discovery document).
func (c *call) deleteRunOperation(in *longrunningpb.DeleteOperationRequest) (*emptypb.Empty, error) {
	if lookup[*longrunningpb.Operation](c.data, in.GetName()) == nil {
		return nil, runNotFound(in.GetName())
	}
	delete(c.data.resources, in.GetName())
	return &emptypb.Empty{}, nil
}

// internal is the failure of what is not further said: code 13, as recorded in terraform-google-modules/terraform-docs-samples
// pull request 269 and GoogleCloudPlatform/cymbal-superstore issue 6.
func internal(reason conditionReason, text string) *failure {
	return &failure{code: code.Code_INTERNAL, reason: reason, text: text}
}
