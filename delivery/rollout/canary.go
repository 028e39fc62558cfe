package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// CanaryStep is one step of a canary deployment.
type CanaryStep struct {
	// Weight is the new group's share of the traffic in percent, 1 to 100.
	Weight int `json:"weight"`
	// Size is how many instances the new group has; zero is the weight's share of
	// the wanted capacity, rounded up. At weight 100 it is the wanted capacity.
	Size int `json:"size,omitempty"`
	// Bake is how long the step must hold before the next one begins. That of the
	// last step holds before the old groups lose their capacity.
	Bake time.Duration `json:"bake,omitempty"`
	// MinRequests is how many requests the new group must have been given in the
	// step before it ends; zero asks for none. MinRequestsTimeout is how long they
	// may take after the bake.
	MinRequests        int           `json:"minRequests,omitempty"`
	MinRequestsTimeout time.Duration `json:"minRequestsTimeout,omitempty"`
	// Gate is asked when all else of the step holds; nil for none.
	Gate *StepGate `json:"gate,omitempty"`
}

// canaryJSON is a step as the cluster object has it; bake is in seconds.
type canaryJSON struct {
	Weight int     `json:"weight"`
	Size   int     `json:"size"`
	Bake   float64 `json:"bake"`
	// Gate and the timeout are read strictly; see readGate.
	MinRequests        int             `json:"minRequests"`
	MinRequestsTimeout *float64        `json:"minRequestsTimeoutSec"`
	Gate               json.RawMessage `json:"gate"`
}

func (c canaryJSON) step() CanaryStep {
	step := CanaryStep{Weight: c.Weight, Size: c.Size, Bake: seconds(c.Bake), MinRequests: c.MinRequests}
	if c.MinRequests > 0 {
		step.MinRequestsTimeout = DefaultMinRequestsTimeout
		if c.MinRequestsTimeout != nil {
			step.MinRequestsTimeout = seconds(*c.MinRequestsTimeout)
		}
	}
	step.Gate, _ = readGate(c.Gate, "")
	return step
}

// canaryFindings tells what is wrong with the steps.
func (s Strategy) canaryFindings(in strategyJSON) []delivery.Finding {
	var out []delivery.Finding
	add := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if s.Kind != Canary {
		if len(in.Steps) > 0 {
			add("/steps", "are those of strategy canary, not of %s", s.Kind)
		}
		return out
	}
	if len(in.Steps) == 0 {
		add("/steps", "is required: the weights of the canary, for example [{\"weight\": 5, \"bake\": 600}]")
	}
	largest := 0
	for i, step := range in.Steps {
		pointer := fmt.Sprintf("/steps/%d", i)
		switch {
		case step.Weight < 1 || step.Weight > 100:
			add(pointer+"/weight", "is %d; must be 1 to 100", step.Weight)
		case i > 0 && step.Weight <= in.Steps[i-1].Weight:
			add(pointer+"/weight", "is %d, not more than the one before it", step.Weight)
		}
		switch {
		case step.Size < 0:
			add(pointer+"/size", "is %d; must not be negative", step.Size)
		case step.Size > 0 && step.Size < largest:
			add(pointer+"/size", fewer, step.Size, largest)
		}
		largest = max(largest, step.Size)
		if step.Bake < 0 || step.Bake > 365*24*3600 {
			add(pointer+"/bake", "is %v; must be 0 s to a year", step.Bake)
		}
		out = append(out, step.requestFindings(pointer)...)
		gate, wrong := readGate(step.Gate, pointer+"/gate")
		out = append(out, wrong...)
		if gate != nil && s.PipelineBeforeCleanup != nil {
			add(pointer+"/gate", "cannot be used together with pipelineBeforeCleanup; give each step its gate")
		}
	}
	return out
}

// fewer is what is wrong with a size that falls.
const fewer = "is %d, fewer than the %d of a step before it"

// Oversized tells which sizes a deployment of that many instances cannot have: more
// than there are to be, or fewer than the step before has as its share. Pointers are
// relative to the cluster object.
func (s Strategy) Oversized(desired int) []delivery.Finding {
	var out []delivery.Finding
	add := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	const more = "is %d; must be at most the desired capacity, %d"
	if s.Kind == Dark && s.Size > desired {
		add("/size", more, s.Size, desired)
	}
	if s.Kind != Canary {
		return out
	}
	steps, largest := canarySteps(s, desired, nil), 0
	for i, c := range s.Canary {
		pointer := fmt.Sprintf("/steps/%d/size", i)
		switch {
		case c.Size > desired:
			add(pointer, more, c.Size, desired)
		case i > 0 && c.Size > 0 && c.Size >= largest && c.Size < steps[i-1].New:
			add(pointer, fewer, c.Size, steps[i-1].New)
		}
		largest = max(largest, c.Size)
	}
	return out
}

// kindNames lists the strategies for people.
func kindNames() string {
	kinds := Kinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func deref(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

// canarySteps compiles the steps of a canary. The old groups keep what they have.
func canarySteps(st Strategy, wanted int, full []int) []Step {
	steps := make([]Step, 0, len(st.Canary))
	size := 0
	for _, c := range st.Canary {
		size = max(size, min(wanted, max(c.Size, (c.Weight*wanted+99)/100)))
		if c.Size > 0 {
			size = min(c.Size, wanted)
		}
		if c.Weight == 100 {
			size = wanted
		}
		steps = append(steps, Step{New: size, Old: full, Pause: c.Bake, MinRequests: c.MinRequests, MinRequestsTimeout: c.MinRequestsTimeout, Gate: c.Gate})
	}
	return steps
}

// blueGreenSteps compiles one step, or two when old and new share the traffic
// before the old ones are disabled.
func blueGreenSteps(st Strategy, wanted int, full []int) []Step {
	swap := Step{New: wanted, Old: full}
	if st.DelayBeforeDisable == 0 {
		return []Step{swap}
	}
	return []Step{{New: wanted, Old: full, Pause: st.DelayBeforeDisable}, swap}
}
