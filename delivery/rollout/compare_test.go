package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// compared is a canary with a baseline, and a check with a bound over it.
func compared(fields string) string {
	return `{"strategy":"canary","baseline":true,"steps":[{"weight":10,"bake":300},{"weight":100,"bake":120}],"checks":[{"name":"errors","query":"errorRate","minSamples":10` + fields + `}]}`
}

func seriesOf(q rollout.Question, value, samples float64) delivery.Series {
	return delivery.Series{Points: []delivery.MetricPoint{{At: q.Request.From, Value: value, Samples: samples}}}
}

func newCompared(t *testing.T, fields string, answer func(q rollout.Question) rollout.Reading) *drive {
	t.Helper()
	config := calm()
	config.MetricDelay = 2 * time.Minute
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, compared(fields))}, config, v000(4))
	d.answer = answer
	return d
}

// TestComparedWithTheBaseline: what is bad for both is not the version's fault.
func TestComparedWithTheBaseline(t *testing.T) {
	for _, test := range []struct {
		name           string
		value, control float64
		samples        float64
		status         delivery.DeploymentStatus
		verdict        rollout.Verdict
		message        string
	}{
		{"as bad as the old version", 30, 29.5, 100, delivery.DeploymentSucceeded, rollout.VerdictPass, ""},
		{"better", 1, 40, 100, delivery.DeploymentSucceeded, rollout.VerdictPass, ""},
		{"worse", 3, 1.5, 100, delivery.DeploymentRolledBack, rollout.VerdictFail, "more than 1 % above the 1.5 % of the baseline shop-prod-v002"},
		{"too few requests of the baseline", 1, 1, 5, delivery.DeploymentRolledBack, rollout.VerdictInconclusive, "of 5 requests; 10 are needed"},
		{"silence of the baseline", 1, 1, 0, delivery.DeploymentRolledBack, rollout.VerdictInconclusive, "the baseline shop-prod-v002 has no data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newCompared(t, `,"maxOverBaseline":1,"inconclusiveLimit":0,"onInconclusive":"rollback"`, func(q rollout.Question) rollout.Reading {
				if q.Baseline == nil || q.Baseline.Group != "shop-prod-v002" || q.Request.Group != "shop-prod-v001" || !q.Baseline.From.Equal(q.Request.From) {
					t.Errorf("question %+v", q)
				}
				r := rollout.Reading{Question: q, Series: seriesOf(q, test.value, 100)}
				if test.samples > 0 {
					r.Control = seriesOf(q, test.control, test.samples)
				}
				return r
			})
			was := d.cloud.Truth()
			got := d.run(t)
			if got.Status != test.status || len(d.took) == 0 || d.took[0].Verdict != test.verdict || !strings.Contains(d.took[0].Message, test.message) {
				t.Fatalf("outcome %+v %v; measurements %+v", got, got.Failure, d.took)
			}
			if test.verdict == rollout.VerdictFail && (d.took[0].Baseline == nil || *d.took[0].Baseline != test.control) {
				t.Errorf("measurement %+v", d.took[0])
			}
			if got.Status == delivery.DeploymentRolledBack {
				if is := settled(d.cloud.Truth()); len(is) != len(settled(was)) {
					t.Errorf("left: %v", is)
				}
			}
		})
	}
}

// TestOtherBoundsOutliveTheBaseline: in the last step, which has none, a check is
// measured by its other bounds.
func TestOtherBoundsOutliveTheBaseline(t *testing.T) {
	alone := 0
	d := newCompared(t, `,"max":5,"maxOverBaseline":1`, func(q rollout.Question) rollout.Reading {
		if q.Baseline == nil {
			alone++
		}
		return rollout.Reading{Question: q, Series: seriesOf(q, 2, 100), Control: seriesOf(q, 2, 100)}
	})
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || alone == 0 {
		t.Errorf("outcome %+v %v; %d measurements without a baseline", got, got.Failure, alone)
	}
}

func TestComparisonNeedsABaseline(t *testing.T) {
	for _, text := range []string{
		strings.Replace(compared(`,"maxOverBaseline":1`), `"baseline":true,`, "", 1),
		compared(`,"maxOverBaseline":-1`),
	} {
		if _, findings := rollout.ParseStrategy([]byte(text)); len(findings) != 1 || findings[0].Pointer != "/checks/0/maxOverBaseline" {
			t.Errorf("%s: %+v", text, findings)
		}
	}
}
