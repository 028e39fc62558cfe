package asg

import (
	"context"
	"strings"
	"testing"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-cd/slipway/delivery"
)

// TestPercents: AWS's rounding of what is asked for keeps the bounds, and never
// lets nothing move where something may.
func TestPercents(t *testing.T) {
	for size := 1; size <= 300; size++ {
		for _, u := range []delivery.Update{{Surge: 1}, {Surge: size}, {Unavailable: 1}, {Surge: 2, Unavailable: 1}, {Surge: (size + 3) / 4}, {Unavailable: size / 3, Surge: size / 3}} {
			least, most := percents(size, u)
			if least < 0 || least > 100 || most < 100 || most > 200 || most-least > 100 {
				t.Fatalf("%d instances, %+v: %d to %d %%", size, u, least, most)
			}
			if keep := (size*int(least) + 99) / 100; keep < size-u.Unavailable {
				t.Errorf("%d instances, %+v: %d %% keeps %d", size, u, least, keep)
			}
			if limit := size * int(most) / 100; limit > size+u.Surge {
				t.Errorf("%d instances, %+v: %d %% allows %d", size, u, most, limit)
			}
		}
	}
}

// TestNotInPlace: what AWS would roll without looking, or stop halfway, is refused.
func TestNotInPlace(t *testing.T) {
	good := func(change func(*astypes.AutoScalingGroup)) *pieces {
		g := &astypes.AutoScalingGroup{HealthCheckType: ptr("ELB"), TargetGroupARNs: []string{"arn"},
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: ptr("lt-1"), Version: ptr("1")}}
		change(g)
		return &pieces{name: "shop-v001", group: g, template: &ec2types.LaunchTemplate{LaunchTemplateId: ptr("lt-1")}}
	}
	for says, change := range map[string]func(*astypes.AutoScalingGroup){
		"":                    func(*astypes.AutoScalingGroup) {},
		"health check type":   func(g *astypes.AutoScalingGroup) { g.HealthCheckType = ptr("EC2") },
		"$Latest":             func(g *astypes.AutoScalingGroup) { g.LaunchTemplate.Version = ptr("$Latest") },
		"$Default":            func(g *astypes.AutoScalingGroup) { g.LaunchTemplate.Version = nil },
		"made for it":         func(g *astypes.AutoScalingGroup) { g.LaunchTemplate.LaunchTemplateId = ptr("lt-2") },
		"no launch template ": func(g *astypes.AutoScalingGroup) { g.LaunchTemplate = nil },
		"suspended processes": func(g *astypes.AutoScalingGroup) {
			g.SuspendedProcesses = []astypes.SuspendedProcess{{ProcessName: ptr("Launch")}}
		},
	} {
		if got := good(change).notInPlace(); (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%q; want %q", got, says)
		}
	}
}

// TestRollWait: a refresh waits with each batch for the group's own grace period and
// what comes after it, or for its warm-up where that is longer.
func TestRollWait(t *testing.T) {
	for _, test := range []struct {
		grace, warmup int32
		want          time.Duration
	}{{300, 0, 330 * time.Second}, {0, 0, 30 * time.Second}, {20, 600, 10 * time.Minute}} {
		p := &pieces{name: "shop-v001", template: &ec2types.LaunchTemplate{LaunchTemplateId: ptr("lt-1")}, group: &astypes.AutoScalingGroup{
			HealthCheckType: ptr("ELB"), TargetGroupARNs: []string{"arn"}, HealthCheckGracePeriod: ptr(test.grace), DefaultInstanceWarmup: ptr(test.warmup),
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: ptr("lt-1"), Version: ptr(firstVersion)}}}
		var got delivery.ServerGroup
		if err := new(Target).presentVersion(context.Background(), p, &got); err != nil || got.RollWait != test.want {
			t.Errorf("grace period %d s, warm-up %d s: %s, error %v; want %s", test.grace, test.warmup, got.RollWait, err, test.want)
		}
	}
}
