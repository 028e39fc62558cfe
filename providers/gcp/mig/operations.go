package mig

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// history is the operations on some resources that the region remembers. It keeps
// ended ones for two weeks. It is always read before the resources: what an
// operation that has ended there brought about, they show.
type history []*computepb.Operation

// pieceCollections are where the pieces of a group lie.
const pieceCollections = "instanceTemplates|instanceGroupManagers|autoscalers|backendServices"

// historyOf returns the operations on the pieces of a group and on a URL map;
// either may be empty.
func (t *Target) historyOf(ctx context.Context, group, urlMap string) (history, error) {
	var targets []string
	if group != "" {
		targets = append(targets, "("+pieceCollections+")/"+regexp.QuoteMeta(group)+templateSuffix)
	}
	if urlMap != "" {
		targets = append(targets, "urlMaps/"+regexp.QuoteMeta(urlMap))
	}
	expression := fmt.Sprintf(".*/regions/%s/(%s)", t.region, strings.Join(targets, "|"))
	return t.listOperations(ctx, where("targetLink", expression))
}

// running returns the region's operations that have not ended.
func (t *Target) running(ctx context.Context) (history, error) {
	return t.listOperations(ctx, proto.String(`status != "DONE"`))
}

func (t *Target) listOperations(ctx context.Context, filter *string) (history, error) {
	return collect(ctx, t.operations.List(ctx, &computepb.ListRegionOperationsRequest{
		Project: t.project, Region: t.region, Filter: filter,
	}, gcp.Reads()...), "list operations")
}

// pending returns an operation that runs, or nil.
func (h history) pending() *computepb.Operation {
	i := slices.IndexFunc(h, func(o *computepb.Operation) bool { return o.GetStatus() != computepb.Operation_DONE })
	if i < 0 {
		return nil
	}
	return h[i]
}

// on returns the operations on one resource.
func (h history) on(path string) history {
	return slices.DeleteFunc(slices.Clone(h), func(o *computepb.Operation) bool { return pathOf(o.GetTargetLink()) != path })
}

// waiting is the receipt of a change that a running operation is in the way of;
// the zero receipt when there is none.
func (h history) waiting() delivery.Receipt {
	o := h.pending()
	if o == nil {
		return delivery.Receipt{}
	}
	return delivery.Receipt{Waiting: fmt.Sprintf("operation %s on %s to end", o.GetOperationType(), lastTwo(o.GetTargetLink()))}
}

// deleting reports whether the deletion of a resource runs.
func (h history) deleting(path string) bool {
	return slices.ContainsFunc(h, func(o *computepb.Operation) bool {
		return o.GetStatus() != computepb.Operation_DONE && strings.HasSuffix(o.GetOperationType(), "delete") && pathOf(o.GetTargetLink()) == path
	})
}

// lastTwo shortens a URL to kind and name: "backendServices/shop-v001".
func lastTwo(url string) string {
	parts := strings.Split(url, "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

// toldFor is how long the error of an ended operation answers the same write
// again. Later the write is tried anew: quotas are raised and stocks filled.
const toldFor = time.Minute

// write is one mutating call of a change.
type write struct {
	key delivery.ChangeKey
	// action is the service's and the method's name: "RegionUrlMaps.Patch".
	action string
	// request is the call without its id.
	request proto.Message
	// seen is what was observed of that which the request does not tell, for
	// example the size that is to be changed.
	seen string
}

// requestID returns the id that the write is made under. It is the same for the
// same change, request and observed state, so that a repeat after a lost answer
// has no second effect: the API answers it with the first operation. When that
// operation has ended and the state still asks for the write, somebody undid it or
// it failed, and the id follows from the operation's name. A failure that no
// repeat will mend is returned.
func (h history) requestID(w write) (string, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(w.request)
	if err != nil {
		return "", fmt.Errorf("marshal request of %s: %w", w.action, err)
	}
	id := delivery.ChangeKey(fmt.Sprintf("%s/%s/%s/%x", w.key, w.action, w.seen, sha256.Sum256(body))).Token()
	for range len(h) + 1 {
		o := h.begunBy(id)
		if o == nil {
			return id, nil
		}
		if err := failure(o); err != nil && !delivery.KindOf(err).Retryable() && !endedLongAgo(o) {
			return "", err
		}
		id = delivery.ChangeKey(id + "/" + o.GetName()).Token()
	}
	return id, nil
}

func (h history) begunBy(id string) *computepb.Operation {
	i := slices.IndexFunc(h, func(o *computepb.Operation) bool { return o.GetClientOperationId() == id })
	if i < 0 {
		return nil
	}
	return h[i]
}

func endedLongAgo(o *computepb.Operation) bool {
	ended, err := time.Parse(time.RFC3339, o.GetEndTime())
	return err == nil && time.Since(ended) > toldFor
}

// failure returns the error in an operation, with its kind; nil for none.
func failure(o *computepb.Operation) error {
	all := o.GetError().GetErrors()
	if len(all) == 0 && o.GetHttpErrorStatusCode() == 0 {
		return nil
	}
	told := &gcp.OperationError{Reason: "UNKNOWN", Message: o.GetHttpErrorMessage()}
	for _, e := range all {
		told = &gcp.OperationError{Reason: e.GetCode(), Message: e.GetMessage()}
		if delivery.KindOf(gcp.Classify(told, "")) != delivery.Internal {
			break // the first that says something
		}
	}
	return gcp.Classify(told, "%s of %s", o.GetOperationType(), lastTwo(o.GetTargetLink()))
}

// submit makes a write under its request id. call sets the id in the request.
func (h history) submit(w write, call func(id *string) (*compute.Operation, error), doing string, args ...any) (delivery.Receipt, error) {
	id, err := h.requestID(w)
	if err != nil {
		return delivery.Receipt{}, err
	}
	op, err := call(&id)
	return began(w.action, op, err, doing, args...)
}

// began makes the answer to a write a receipt. An operation that comes back ended
// is that of an earlier try, or was short; its error is the write's.
func began(action string, op *compute.Operation, err error, doing string, args ...any) (delivery.Receipt, error) {
	if err != nil {
		return delivery.Receipt{}, gcp.Classify(err, doing, args...)
	}
	if err := failure(op.Proto()); err != nil {
		return delivery.Receipt{}, fmt.Errorf(doing+": %w", append(args, err)...)
	}
	return delivery.Receipt{Wrote: action}, nil
}

// exists makes the refusal of an insertion a wait: the resource that has the name
// is not visible yet, and the next read tells whose it is.
func exists(receipt delivery.Receipt, err error) (delivery.Receipt, error) {
	switch gcp.Reason(err) {
	case "alreadyExists", "ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS":
		return receipt, delivery.Errorf(delivery.NotReady, "%w, and is not visible yet", err)
	default:
		return receipt, err
	}
}

// gone makes "not found" of a deletion a success and "in use for a moment" a wait.
func gone(receipt delivery.Receipt, err error) (delivery.Receipt, error) {
	switch delivery.KindOf(err) {
	case delivery.NotFound:
		return delivery.Receipt{Waiting: "what was deleted to vanish"}, nil
	case delivery.NotReady:
		return delivery.Receipt{Waiting: err.Error()}, nil
	default:
		return receipt, err
	}
}
