package mig

import (
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

func resizeTo(size int32, seen string) write {
	return write{"01TEST/1/a/r/c#grow", "RegionInstanceGroupManagers.Resize", &computepb.ResizeRegionInstanceGroupManagerRequest{
		Project: "p", Region: "r", InstanceGroupManager: "c-v001", Size: size,
	}, seen}
}

func operation(id, name string, change func(*computepb.Operation)) *computepb.Operation {
	o := &computepb.Operation{
		ClientOperationId: proto.String(id), Name: proto.String(name), Status: computepb.Operation_DONE.Enum(), OperationType: proto.String("resize"),
		TargetLink: proto.String(host + "projects/p/regions/r/instanceGroupManagers/c-v001"), EndTime: proto.String(time.Now().Format(time.RFC3339)),
	}
	if change != nil {
		change(o)
	}
	return o
}

func failed(code string) func(*computepb.Operation) {
	return func(o *computepb.Operation) {
		o.HttpErrorStatusCode = proto.Int32(400)
		o.Error = &computepb.Error{Errors: []*computepb.Errors{{Code: proto.String(code), Message: proto.String("told so")}}}
	}
}

func idOf(t *testing.T, h history, w write) string {
	t.Helper()
	id, err := h.requestID(w)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRequestID(t *testing.T) {
	first := idOf(t, nil, resizeTo(3, "1"))
	if again := idOf(t, nil, resizeTo(3, "1")); again != first || len(first) != 36 {
		t.Errorf("a repeat has id %q, not %q", again, first)
	}
	other := resizeTo(3, "1")
	other.key += "-other"
	for name, w := range map[string]write{"another size": resizeTo(4, "1"), "another state": resizeTo(3, "2"), "another change": other} {
		if idOf(t, nil, w) == first {
			t.Errorf("%s has the same id", name)
		}
	}
}

// TestRequestIDAfterAnOperation: what an ended operation did not bring about is
// tried under another id; an unrelated operation changes nothing.
func TestRequestIDAfterAnOperation(t *testing.T) {
	w := resizeTo(3, "1")
	first := idOf(t, nil, w)
	if id := idOf(t, history{operation("somebody-elses", "o1", nil)}, w); id != first {
		t.Errorf("after an operation of others: %q", id)
	}
	undone := history{operation(first, "o1", nil)}
	second := idOf(t, undone, w)
	if second == first {
		t.Error("what was undone would be answered with the old operation")
	}
	third := idOf(t, append(undone, operation(second, "o2", failed("INTERNAL_ERROR"))), w)
	if third == first || third == second {
		t.Error("a failure that may pass is not tried again")
	}
}

func TestFailedOperation(t *testing.T) {
	w := resizeTo(3, "1")
	first := idOf(t, nil, w)
	for code, want := range map[string]delivery.Kind{
		"QUOTA_EXCEEDED": delivery.Quota, "ZONE_RESOURCE_POOL_EXHAUSTED": delivery.Quota,
		"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS": delivery.Quota, "PERMISSIONS_ERROR": delivery.Denied, "INVALID_USAGE": delivery.Invalid,
	} {
		_, err := history{operation(first, "o1", failed(code))}.requestID(w)
		if delivery.KindOf(err) != want {
			t.Errorf("%s: kind %v, %v", code, delivery.KindOf(err), err)
		}
		longAgo := history{operation(first, "o1", func(o *computepb.Operation) {
			failed(code)(o)
			o.EndTime = proto.String(time.Now().Add(-2 * toldFor).Format(time.RFC3339))
		})}
		if id := idOf(t, longAgo, w); id == first {
			t.Errorf("%s long ago is not tried again", code)
		}
	}
	several := operation(first, "o1", failed("SOMETHING_NEW"))
	several.Error.Errors = append(several.Error.Errors, &computepb.Errors{Code: proto.String("QUOTA_EXCEEDED")})
	if kind := delivery.KindOf(failure(several)); kind != delivery.Quota {
		t.Errorf("of several errors: kind %v", kind)
	}
	if err := failure(operation(first, "o1", nil)); err != nil {
		t.Errorf("success is %v", err)
	}
}

func TestHistory(t *testing.T) {
	running := operation("x", "o2", func(o *computepb.Operation) { o.Status = computepb.Operation_RUNNING.Enum() })
	if got := (history{operation("y", "o1", nil)}).waiting(); got != (delivery.Receipt{}) {
		t.Errorf("nothing runs: %+v", got)
	}
	h := history{operation("y", "o1", nil), running}
	if got, want := h.waiting().Waiting, "operation resize on instanceGroupManagers/c-v001 to end"; got != want {
		t.Errorf("waiting %q; want %q", got, want)
	}
	const path = "projects/p/regions/r/instanceGroupManagers/c-v001"
	if h.deleting(path) {
		t.Error("a resize is taken for a deletion")
	}
	running.OperationType = proto.String("delete")
	if !h.deleting(path) || h.deleting(path+"x") {
		t.Error("the deletion is not seen, or seen elsewhere")
	}
}
