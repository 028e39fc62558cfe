package mig

import (
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func managerOf(size int) *computepb.InstanceGroupManager {
	return &computepb.InstanceGroupManager{TargetSize: proto.Int32(int32(size))}
}

func autoscalerWith(mode string, low, high int) *computepb.Autoscaler {
	return &computepb.Autoscaler{AutoscalingPolicy: &computepb.AutoscalingPolicy{
		Mode: proto.String(mode), MinNumReplicas: proto.Int32(int32(low)), MaxNumReplicas: proto.Int32(int32(high)),
	}}
}

func TestCapacityAndNextStep(t *testing.T) {
	wide := delivery.Capacity{Min: 1, Max: 4, Desired: 2}
	for name, test := range map[string]struct {
		size int
		a    *computepb.Autoscaler
		want delivery.Capacity
		is   delivery.Capacity
		next step
	}{
		"pinned as wanted":        {2, nil, delivery.Pinned(2), delivery.Pinned(2), stepNone},
		"pinned, other size":      {2, nil, delivery.Pinned(3), delivery.Pinned(2), stepSize},
		"stopped, other size":     {2, autoscalerWith("OFF", 1, 4), delivery.Pinned(0), delivery.Pinned(2), stepSize},
		"scaled, to be pinned":    {2, autoscalerWith("ON", 1, 4), delivery.Pinned(2), wide, stepPin},
		"wide, no autoscaler":     {2, nil, wide, delivery.Pinned(2), stepScale},
		"wide, size first":        {0, autoscalerWith("OFF", 1, 4), wide, delivery.Pinned(0), stepSize},
		"wide, then let go":       {2, autoscalerWith("OFF", 1, 4), wide, delivery.Pinned(2), stepScale},
		"wide as wanted":          {2, autoscalerWith("ON", 1, 4), wide, wide, stepNone},
		"scaled above":            {3, autoscalerWith("ON", 1, 4), wide, delivery.Capacity{Min: 1, Max: 4, Desired: 3}, stepNone},
		"scaled below":            {1, autoscalerWith("ON", 1, 4), wide, delivery.Capacity{Min: 1, Max: 4, Desired: 1}, stepPin},
		"other bounds":            {3, autoscalerWith("ON", 2, 6), wide, delivery.Capacity{Min: 2, Max: 6, Desired: 3}, stepScale},
		"only out is scaling too": {2, autoscalerWith("ONLY_SCALE_OUT", 1, 4), delivery.Pinned(2), wide, stepPin},
		"no mode is on":           {2, &computepb.Autoscaler{AutoscalingPolicy: &computepb.AutoscalingPolicy{MaxNumReplicas: proto.Int32(4)}}, delivery.Pinned(2), delivery.Capacity{Max: 4, Desired: 2}, stepPin},
	} {
		if got := capacityOf(managerOf(test.size), test.a); got != test.is {
			t.Errorf("%s: capacity %+v; want %+v", name, got, test.is)
		}
		if got := nextStep(managerOf(test.size), test.a, test.want); got != test.next {
			t.Errorf("%s: next step %d; want %d", name, got, test.next)
		}
	}
}

// TestEveryResizeEnds carries the steps out on any state: at most three writes
// lead to the wanted capacity, and the size is never written while an autoscaler
// moves it.
func TestEveryResizeEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(label string) int { return rapid.IntRange(0, 4).Draw(t, label) }
		size, mode := n("size"), rapid.SampledFrom([]string{"none", "ON", "OFF", "ONLY_SCALE_OUT"}).Draw(t, "mode")
		a := autoscalerWith(mode, n("low"), 4+n("high"))
		if mode == "none" {
			a = nil
		}
		want := delivery.Capacity{Min: n("min")}
		want.Desired = want.Min + n("desired")
		want.Max = want.Desired + n("max")
		for range 3 {
			switch nextStep(managerOf(size), a, want) {
			case stepPin:
				a = autoscalerWith("OFF", 0, 9)
			case stepSize:
				if scales(a) {
					t.Fatal("sized under an autoscaler")
				}
				size = want.Desired
			case stepScale:
				a = autoscalerWith("ON", want.Min, want.Max)
			}
		}
		if is := capacityOf(managerOf(size), a); nextStep(managerOf(size), a, want) != stepNone || !reached(is, want) || is.Desired < want.Desired {
			t.Fatalf("ended at %+v; want %+v", is, want)
		}
	})
}
