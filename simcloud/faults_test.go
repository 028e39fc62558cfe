package simcloud_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

func TestFaultsMatch(t *testing.T) {
	call := simcloud.Call{Service: "autoscaling", Action: "CreateAutoScalingGroup", Account: "a", Region: "us-east-1", Write: true}
	read := simcloud.Call{Service: "autoscaling", Action: "DescribeAutoScalingGroups", Account: "a", Region: "us-east-1"}
	throttle := simcloud.Effect{Kind: simcloud.EffectThrottle}
	for name, test := range map[string]struct {
		fault simcloud.Fault
		calls []simcloud.Call
		want  []bool
	}{
		"everything":    {simcloud.Fault{Effect: throttle}, []simcloud.Call{call, read}, []bool{true, true}},
		"wildcard":      {simcloud.Fault{Match: simcloud.Match{Action: "Create*"}, Effect: throttle}, []simcloud.Call{call, read}, []bool{true, false}},
		"region":        {simcloud.Fault{Match: simcloud.Match{Region: "us-west-2"}, Effect: throttle}, []simcloud.Call{call}, []bool{false}},
		"writes":        {simcloud.Fault{Match: simcloud.Match{Writes: true}, Effect: throttle}, []simcloud.Call{read, call}, []bool{false, true}},
		"reads":         {simcloud.Fault{Match: simcloud.Match{Reads: true}, Effect: throttle}, []simcloud.Call{read, call}, []bool{true, false}},
		"second":        {simcloud.Fault{Match: simcloud.Match{Action: "Create*", Nth: 2}, Effect: throttle}, []simcloud.Call{call, read, call, call}, []bool{false, false, true, false}},
		"two times":     {simcloud.Fault{Times: 2, Effect: throttle}, []simcloud.Call{call, call, call}, []bool{true, true, false}},
		"stale 2 reads": {simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 2}}, []simcloud.Call{call, read, read, read}, []bool{false, true, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			faults := simcloud.NewFaults(simcloud.NewClock(0), 1)
			if _, err := faults.Add(test.fault); err != nil {
				t.Fatal(err)
			}
			var got []bool
			for _, c := range test.calls {
				got = append(got, faults.Decide(c).Fault != "")
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("acted %v, want %v", got, test.want)
			}
		})
	}
}

func TestStaleReadWindowPasses(t *testing.T) {
	clock := simcloud.NewClock(0)
	faults := simcloud.NewFaults(clock, 1)
	if _, err := faults.Add(simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Duration: time.Minute}}); err != nil {
		t.Fatal(err)
	}
	stale := func() bool { return faults.Decide(simcloud.Call{}).Is(simcloud.EffectStaleRead) }
	for range 2 {
		if !stale() {
			t.Error("a read inside the window is not stale")
		}
	}
	clock.Advance(2 * time.Minute)
	if stale() {
		t.Error("a read after the window is stale")
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	run := func(seed int64) []bool {
		faults := simcloud.NewFaults(simcloud.NewClock(0), seed)
		fault := simcloud.Fault{Match: simcloud.Match{Probability: 0.3}, Effect: simcloud.Effect{Kind: simcloud.EffectErrorAfter}}
		if _, err := faults.Add(fault); err != nil {
			t.Fatal(err)
		}
		var acted []bool
		for range 200 {
			acted = append(acted, faults.Decide(simcloud.Call{}).Fault != "")
		}
		return acted
	}
	first := run(7)
	if !slices.Equal(first, run(7)) {
		t.Error("the same seed gave different faults")
	}
	if slices.Equal(first, run(8)) {
		t.Error("another seed gave the same faults")
	}
	if n := len(slices.DeleteFunc(first, func(b bool) bool { return !b })); n < 30 || n > 90 {
		t.Errorf("%d of 200 calls failed, want about 60", n)
	}
}

func TestBadFaultsAreRefused(t *testing.T) {
	good := simcloud.Effect{Kind: simcloud.EffectReset}
	for field, fault := range map[string]simcloud.Fault{
		"effect.kind":       {Effect: simcloud.Effect{Kind: "meteor"}},
		"effect.duration":   {Effect: simcloud.Effect{Kind: simcloud.EffectSlow}},
		"effect.reads":      {Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead}},
		"effect.status":     {Effect: simcloud.Effect{Kind: simcloud.EffectError, Status: 200}},
		"match.probability": {Effect: good, Match: simcloud.Match{Probability: 1.5}},
		"match.action":      {Effect: good, Match: simcloud.Match{Action: "["}},
		"match.nth":         {Effect: good, Match: simcloud.Match{Nth: -1}},
		"times":             {Effect: good, Times: -1},
	} {
		if err := fault.Check(); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("Check = %v, want an error about %s", err, field)
		}
	}
}
