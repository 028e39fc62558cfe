package rollout_test

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// TestUnsuited: what a target kind or a cluster without a load balancer cannot do
// is refused with the field and the reason.
func TestUnsuited(t *testing.T) {
	sized := delivery.Capabilities{Weighted: true, Resize: true, Metrics: delivery.CloudWatch}
	unsized := delivery.Capabilities{Weighted: true, Metrics: delivery.CloudMonitoring}
	rules, addresses := sized, unsized
	rules.Previews, addresses.Previews = []delivery.MatchKind{delivery.MatchHeader, delivery.MatchCookie}, []delivery.MatchKind{delivery.MatchTagURL}
	for _, test := range []struct {
		name, strategy string
		capabilities   delivery.Capabilities
		routed         bool
		want           []string // pointers
	}{
		{"a canary by weight", `{"strategy":"canary","steps":[{"weight":1,"size":1}],"keepOldFor":0}`, sized, true, nil},
		{"1 % without weights", `{"strategy":"canary","steps":[{"weight":1}]}`, sized, false, []string{"/steps/0/weight"}},
		{"weights that the kind has not", `{"strategy":"canary","steps":[{"weight":5}]}`, delivery.Capabilities{Resize: true}, true, []string{"/steps/0/weight"}},
		{"a size that groups do not have", `{"strategy":"canary","steps":[{"weight":5},{"weight":50,"size":3}],"keepOldFor":60}`, unsized, true,
			[]string{"/keepOldFor", "/steps/1/size"}},
		{"scale down", `{"strategy":"bluegreen","scaleDown":true}`, unsized, true, []string{"/scaleDown"}},
		{"rolling without a load balancer", `{"strategy":"rolling","maxSurge":1}`, sized, false, nil},
		{"blue/green without a load balancer", `{"strategy":"bluegreen"}`, sized, false, nil},
		{"checks without traffic", `{"strategy":"bluegreen","delayBeforeDisableSec":60,"checks":[{"name":"e","query":"errorRate","max":1}]}`, sized, false, []string{"/checks"}},
		{"a query of another source", `{"strategy":"bluegreen","delayBeforeDisableSec":60,"checks":[{"name":"e","max":1,
			"query":{"cloudMonitoring":{"filter":"f","aligner":"ALIGN_SUM","reducer":"REDUCE_SUM"}}}]}`, sized, true, []string{"/checks/0/query/cloudMonitoring"}},
		{"dark by a header", dark, rules, true, nil},
		{"dark by an address", `{"strategy":"dark"}`, addresses, true, nil},
		{"an address that groups do not have", `{"strategy":"dark"}`, rules, true, []string{"/match"}},
		{"a rule that cannot be", dark, addresses, true, []string{"/match/header"}},
		{"a rule that the kind has not", `{"strategy":"dark","match":{"cookie":"canary","value":"1"},"size":1}`, unsized, true, []string{"/match/cookie", "/size"}},
		{"dark without a load balancer", dark, rules, false, []string{"/strategy"}},
		{"checks without a source", `{"strategy":"bluegreen","delayBeforeDisableSec":60,"checks":[{"name":"e","query":"errorRate","max":1}]}`,
			delivery.Capabilities{Weighted: true, Resize: true}, true, []string{"/checks"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, findings := rollout.ParseStrategy([]byte(test.strategy))
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			var got []string
			for _, f := range s.Unsuited(test.capabilities, test.routed) {
				got = append(got, f.Pointer)
				if len(f.Message) < 20 {
					t.Errorf("%s: %q says too little", f.Pointer, f.Message)
				}
			}
			if strings.Join(got, " ") != strings.Join(test.want, " ") {
				t.Errorf("findings at %q, want %q", got, test.want)
			}
		})
	}
}
