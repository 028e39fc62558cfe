package gcp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

func TestRunPages(t *testing.T) {
	r := newRunRig(t, gcp.Options{PageSize: 2})
	r.seed(0)
	var want []string
	for n := 1; n <= 4; n++ {
		name := fmt.Sprintf("shop-run-v%03d", n)
		r.change(&runpb.Service{Template: template(name, "1.1")}, "template")
		want = append([]string{name}, want...)
	}
	want = append(want, "shop-run-v000")
	for _, parent := range []string{shop, runLocation + "/services/-"} {
		var got []string
		for it := r.revisions.ListRevisions(t.Context(), &runpb.ListRevisionsRequest{Parent: parent}); ; {
			m, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Name[strings.LastIndex(m.Name, "/")+1:])
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("revisions of %s are %v, wanted %v", parent, got, want)
		}
	}
	calls := 0
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.APICall && e.Action == "Revisions.ListRevisions" {
			calls++
		}
	}
	if calls != 6 {
		t.Errorf("%d calls, wanted 3 pages twice", calls)
	}
}

func TestRunOperations(t *testing.T) {
	r := newRunRig(t, gcp.Options{})
	r.seed(0)
	op, err := r.update(&runpb.Service{Labels: map[string]string{"a": "b"}}, "labels")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := op.Metadata()
	if err != nil || meta.Name != shop || !meta.Reconciling {
		t.Errorf("metadata %v, %v", meta, err)
	}
	if _, err := r.ended(op); err != nil {
		t.Fatal(err)
	}
	got, err := r.services.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.Name()})
	if err != nil || !got.Done || got.Name != op.Name() {
		t.Errorf("wait: %v, %v", got, err)
	}
	for filter, want := range map[string]int{"": 2, "done:true": 2, "done:false": 0} {
		n := 0
		for it := r.services.ListOperations(t.Context(), &longrunningpb.ListOperationsRequest{Name: runLocation, Filter: filter}); ; n++ {
			if _, err := it.Next(); errors.Is(err, iterator.Done) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n != want {
			t.Errorf("%d operations for filter %q, wanted %d", n, filter, want)
		}
	}
	if err := r.services.DeleteOperation(t.Context(), &longrunningpb.DeleteOperationRequest{Name: op.Name()}); err != nil {
		t.Error(err)
	}
	if _, err := r.services.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.Name()}); refusedAs(err) != "404 NOT_FOUND" {
		t.Errorf("get a deleted operation: %v", err)
	}
}
