package rollout

import (
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Unsuited tells what of the strategy the target kind cannot do, or a cluster
// behind no load balancer cannot have. Findings carry pointers relative to the
// cluster object. It is asked when a pipeline is saved, when it is started and
// before anything is written.
func (s Strategy) Unsuited(c delivery.Capabilities, routed bool) []delivery.Finding {
	var out []delivery.Finding
	add := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if s.ScaleDown && s.Kind.keepsOld() && !c.Resize {
		pointer := "/scaleDown"
		if s.Kind == Canary {
			pointer = "/keepOldFor"
		}
		add(pointer, "cannot be used: the size of a server group of this kind cannot be changed, and one without traffic has no instances by itself")
	}
	out = append(out, s.unsuitedInPlace(c)...)
	for i, step := range s.Canary {
		pointer := fmt.Sprintf("/steps/%d", i)
		switch {
		case step.Size > 0 && !c.Resize:
			add(pointer+"/size", "cannot be set: a server group of this kind has no size")
		case step.Weight < 100 && !(routed && c.Weighted):
			add(pointer+"/weight", "%d %% cannot be had without a load balancer that has weights: requests would go to old and new instances alike", step.Weight)
		}
	}
	out = append(out, s.unsuitedDark(c, routed)...)
	out = append(out, s.uncountable(c, routed)...)
	if len(s.Checks) == 0 {
		return out
	}
	switch {
	case c.Metrics == "":
		add("/checks", "cannot be measured: server groups of this kind have no source of metrics")
	case !routed:
		add("/checks", "cannot be measured: there is no load balancer that would measure the traffic")
	}
	for i, check := range s.Checks {
		if source := check.Query.Source(); source != "" && c.Metrics != "" && source != c.Metrics {
			add(fmt.Sprintf("/checks/%d/query/%s", i, source), "cannot be asked about server groups of this kind; their source is %s", c.Metrics)
		}
	}
	return out
}
