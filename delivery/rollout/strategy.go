package rollout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Kind names a strategy as pipelines do.
type Kind string

// The strategies.
const (
	// Rolling replaces the old groups batch by batch: the new group grows and
	// takes its share of weight as the old ones shrink.
	Rolling Kind = "rolling"
	// RollingRedBlack moves weight in the steps of TargetPercentages while the
	// old groups keep their capacity until the end.
	RollingRedBlack Kind = "rollingredblack"
	// Canary moves weight in the steps of Canary, each with its own bake; the old
	// groups keep their capacity until the new one has proved itself.
	Canary Kind = "canary"
	// BlueGreen builds the new group at full size beside the old ones and moves all
	// traffic at once. Spinnaker calls it redblack.
	BlueGreen Kind = "bluegreen"
	// Highlander is BlueGreen with nothing left beside the new group at the end.
	Highlander Kind = "highlander"
	// None adds the new group beside the old ones; all of them take traffic by
	// their capacity.
	None Kind = "none"
	// Dark builds the new group beside the old ones without any public traffic; what
	// Match names leads to it. A promotion or an abandonment follows.
	Dark Kind = "dark"
)

// Kinds returns the strategies that can be carried out.
func Kinds() []Kind {
	return []Kind{Rolling, RollingRedBlack, Canary, BlueGreen, Highlander, None, Dark}
}

// redBlack is Spinnaker's name of BlueGreen.
const redBlack = "redblack"

// keepsOld reports whether the old groups keep their capacity while weight moves.
func (k Kind) keepsOld() bool { return k != Rolling && k != None && k != Dark }

// Defaults of a strategy. Health: AWS suggests a grace period of 300 s for slow
// applications, so 15 minutes leave room for two replacements.
const (
	DefaultHealthTimeout = 15 * time.Minute
	DefaultDeadline      = 24 * time.Hour
	// DefaultMaxRemaining keeps the replaced group, scaled to zero, beside the new one.
	DefaultMaxRemaining = 2
	// minProblems is how many launch failures or replacements of unhealthy
	// instances a new group may have before it counts as bad: instances that
	// never become healthy are replaced for ever, and waiting longer is useless.
	// A large group may have more of them: a tenth of its size.
	minProblems = 3
)

// PipelineRef names a pipeline to run as a gate.
type PipelineRef struct {
	Application string          `json:"application"`
	PipelineID  string          `json:"pipelineId"`
	Parameters  json.RawMessage `json:"pipelineParameters,omitempty"`
}

// Strategy is how a deployment proceeds, with its numbers.
type Strategy struct {
	Kind Kind `json:"kind"`
	// MaxSurge is how many instances may exist beyond the larger of the old and
	// the new capacity; MaxUnavailable how many healthy ones may be missing from
	// the smaller of them. At least one resolves to more than 0. Rolling only.
	MaxSurge       Amount `json:"maxSurge"`
	MaxUnavailable Amount `json:"maxUnavailable"`
	// InPlace replaces the template of the group that takes traffic, instead of the
	// group, and lets the cloud replace its instances. Rolling only.
	InPlace bool `json:"inPlace,omitempty"`
	// PauseBetweenBatches is waited after each step but the last. A step of Canary
	// has its own bake.
	PauseBetweenBatches time.Duration `json:"pauseBetweenBatches"`
	// Canary are the steps of the strategy of that name, by ascending weight; the
	// last one promotes.
	Canary []CanaryStep `json:"canary,omitempty"`
	// DelayBeforeDisable is how long BlueGreen lets old and new groups share the
	// traffic by their size before it takes all of it from the old ones. Zero moves
	// it at once.
	DelayBeforeDisable time.Duration `json:"delayBeforeDisable,omitempty"`
	// Match is what leads to the new group of Dark; nil for the others.
	Match *delivery.Match `json:"match,omitempty"`
	// Size is how many instances the new group of Dark has; zero is the wanted
	// capacity, which is also the most.
	Size int `json:"size,omitempty"`
	// TargetPercentages are the steps of RollingRedBlack, ascending, ending at 100.
	TargetPercentages []int `json:"targetPercentages,omitempty"`
	// PipelineBeforeCleanup runs after each step of RollingRedBlack; its failure
	// rolls the deployment back.
	PipelineBeforeCleanup *PipelineRef `json:"pipelineBeforeCleanup,omitempty"`
	// ScaleDown scales the old groups to zero at the end. Rolling always does, None
	// never.
	ScaleDown bool `json:"scaleDown"`
	// DelayBeforeScaleDown is waited between the last weight and the scale down.
	DelayBeforeScaleDown time.Duration `json:"delayBeforeScaleDown"`
	// MaxRemaining is how many server groups of the cluster stay at the end, the
	// new one among them; older managed ones without traffic are destroyed. Zero
	// keeps all.
	MaxRemaining int `json:"maxRemaining"`
	// HealthTimeout is the longest wait for one batch to become healthy.
	HealthTimeout time.Duration `json:"healthTimeout"`
	// Deadline bounds the whole deployment, pauses not counted.
	Deadline time.Duration `json:"deadline"`
	// Concurrency is what to do when another deployment has the cluster.
	Concurrency Concurrency `json:"concurrency,omitempty"`
	// KeepOnFailure leaves everything as it stands when the deployment fails. A
	// cancel still rolls back.
	KeepOnFailure bool `json:"keepOnFailure"`
	// Baseline sets a fresh group of the old version beside a Canary, of its size and
	// with its weight, in each step below 100 %.
	Baseline bool `json:"baseline,omitempty"`
	// Checks are measured while the new group has weight. The steps with a pause
	// wait for them.
	Checks []Check `json:"checks,omitempty"`
}

// strategyJSON is the part of a deploy stage's cluster object that speaks of
// the strategy. Seconds are the unit where Spinnaker has them.
type strategyJSON struct {
	Strategy              string            `json:"strategy"`
	MaxSurge              *Amount           `json:"maxSurge"`
	MaxUnavailable        *Amount           `json:"maxUnavailable"`
	PauseBetweenBatches   float64           `json:"pauseBetweenBatches"`
	TargetPercentages     []int             `json:"targetPercentages" read:"text"`
	DelayBeforeCleanup    float64           `json:"delayBeforeCleanup" read:"text"`
	PipelineBeforeCleanup *PipelineRef      `json:"pipelineBeforeCleanup"`
	Steps                 []canaryJSON      `json:"steps" read:"strict"`
	InPlace               bool              `json:"inPlace"`
	KeepOldFor            *float64          `json:"keepOldFor"`
	Baseline              bool              `json:"baseline"`
	Match                 *matchJSON        `json:"match" read:"strict"`
	Size                  int               `json:"size"`
	DelayBeforeDisable    float64           `json:"delayBeforeDisableSec" read:"text"`
	ScaleDown             bool              `json:"scaleDown" read:"text"`
	DelayBeforeScaleDown  float64           `json:"delayBeforeScaleDownSec" read:"text"`
	MaxRemaining          *int              `json:"maxRemainingAsgs" read:"text"`
	HealthTimeout         float64           `json:"healthTimeoutSec"`
	Concurrency           Concurrency       `json:"concurrency"`
	Deadline              float64           `json:"deadlineSec"`
	Checks                []json.RawMessage `json:"checks"`
	Rollback              *rollbackJSON     `json:"rollback" read:"strict"`
}

// rollbackJSON is what follows a failure as the cluster object has it.
type rollbackJSON struct {
	OnFailure *bool `json:"onFailure" read:"text"`
}

// ParseStrategy reads the strategy of a deploy stage's cluster object. Findings
// carry pointers relative to that object.
func ParseStrategy(cluster json.RawMessage) (Strategy, []delivery.Finding) {
	var in strategyJSON
	if findings := decode(cluster, "", &in, reading{}); len(findings) > 0 {
		return Strategy{}, findings
	}
	s := Strategy{
		Kind:                  Kind(strings.ToLower(in.Strategy)),
		PauseBetweenBatches:   seconds(in.PauseBetweenBatches),
		TargetPercentages:     in.TargetPercentages,
		PipelineBeforeCleanup: in.PipelineBeforeCleanup,
		Concurrency:           cmp.Or(in.Concurrency, Queue),
		ScaleDown:             in.ScaleDown,
		DelayBeforeScaleDown:  seconds(in.DelayBeforeScaleDown),
		HealthTimeout:         seconds(in.HealthTimeout),
		Deadline:              seconds(in.Deadline),
		Baseline:              in.Baseline,
		InPlace:               in.InPlace,
	}
	switch s.Kind {
	case "":
		s.Kind = None
	case redBlack:
		s.Kind = BlueGreen
	}
	s.DelayBeforeDisable = seconds(in.DelayBeforeDisable)
	for _, step := range in.Steps {
		s.Canary = append(s.Canary, step.step())
	}
	s.Match, s.Size = s.match(in), in.Size
	if in.KeepOldFor != nil {
		s.ScaleDown, s.DelayBeforeScaleDown = true, seconds(*in.KeepOldFor)
	}
	if in.Rollback != nil && in.Rollback.OnFailure != nil {
		s.KeepOnFailure = !*in.Rollback.OnFailure
	}
	if in.MaxRemaining != nil {
		s.MaxRemaining = *in.MaxRemaining
	} else if s.Kind == Rolling && !s.InPlace || s.Kind.keepsOld() && s.ScaleDown {
		s.MaxRemaining = DefaultMaxRemaining
	}
	if s.Kind == Highlander {
		s.MaxRemaining = 1
	}
	if in.DelayBeforeCleanup > 0 {
		s.PauseBetweenBatches = max(s.PauseBetweenBatches, seconds(in.DelayBeforeCleanup))
	}
	s.amounts(in)
	s = s.withDefaults()
	return s, append(s.findings(in), s.parseChecks(in)...)
}

func (s *Strategy) amounts(in strategyJSON) {
	switch {
	case in.MaxSurge == nil && in.MaxUnavailable == nil:
		s.MaxSurge = Percentage(25)
	default:
		if in.MaxSurge != nil {
			s.MaxSurge = *in.MaxSurge
		}
		if in.MaxUnavailable != nil {
			s.MaxUnavailable = *in.MaxUnavailable
		}
	}
}

func (s Strategy) withDefaults() Strategy {
	if s.HealthTimeout == 0 {
		s.HealthTimeout = DefaultHealthTimeout
	}
	if s.Deadline == 0 {
		s.Deadline = DefaultDeadline
	}
	if s.Kind == Canary {
		if n := len(s.Canary); n == 0 || s.Canary[n-1].Weight != 100 {
			s.Canary = append(slices.Clone(s.Canary), CanaryStep{Weight: 100})
		}
	}
	if s.Kind == RollingRedBlack {
		s.TargetPercentages = slices.Clone(s.TargetPercentages)
		if n := len(s.TargetPercentages); n == 0 || s.TargetPercentages[n-1] != 100 {
			s.TargetPercentages = append(s.TargetPercentages, 100)
		}
	}
	return s
}

func (s Strategy) findings(in strategyJSON) []delivery.Finding {
	var out []delivery.Finding
	add := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if !slices.Contains(Kinds(), s.Kind) {
		add("/strategy", "%q is not a strategy that can be carried out; known are %s", in.Strategy, kindNames())
	}
	if !s.Concurrency.valid() {
		add("/concurrency", "is %q; must be queue, supersede or reject", in.Concurrency)
	}
	for _, f := range []struct {
		pointer string
		seconds float64
	}{
		{"/pauseBetweenBatches", in.PauseBetweenBatches}, {"/delayBeforeCleanup", in.DelayBeforeCleanup},
		{"/delayBeforeScaleDownSec", in.DelayBeforeScaleDown}, {"/healthTimeoutSec", in.HealthTimeout}, {"/deadlineSec", in.Deadline},
		{"/delayBeforeDisableSec", in.DelayBeforeDisable}, {"/keepOldFor", deref(in.KeepOldFor)},
	} {
		if f.seconds < 0 || f.seconds > 365*24*3600 {
			add(f.pointer, "is %v; must be 0 s to a year", f.seconds)
		}
	}
	if s.MaxSurge.Percent && s.MaxSurge.Value > 100 {
		add("/maxSurge", "is %s; a percentage must not exceed 100%%", s.MaxSurge)
	}
	if s.MaxUnavailable.Percent && s.MaxUnavailable.Value > 100 {
		add("/maxUnavailable", "is %s; a percentage must not exceed 100%%", s.MaxUnavailable)
	}
	if s.Kind == Rolling && s.MaxSurge.Value == 0 && s.MaxUnavailable.Value == 0 {
		add("/maxSurge", "maxSurge and maxUnavailable are both 0; nothing could ever move")
	}
	if in.MaxRemaining != nil && *in.MaxRemaining < 1 {
		add("/maxRemainingAsgs", "is %d; must be at least 1", *in.MaxRemaining)
	}
	for i, p := range in.TargetPercentages {
		pointer := fmt.Sprintf("/targetPercentages/%d", i)
		if p < 1 || p > 100 {
			add(pointer, "is %d; must be 1 to 100", p)
		} else if i > 0 && p <= in.TargetPercentages[i-1] {
			add(pointer, "is %d, not more than the one before it", p)
		}
	}
	out = append(out, s.idleFindings(in)...)
	out = append(out, s.canaryFindings(in)...)
	out = append(out, s.baselineFindings(in)...)
	out = append(out, s.inPlaceFindings(in)...)
	out = append(out, s.darkFindings(in)...)
	if in.MaxRemaining != nil && *in.MaxRemaining != 1 && s.Kind == Highlander {
		add("/maxRemainingAsgs", "is %d; highlander leaves one", *in.MaxRemaining)
	}
	if ref := in.PipelineBeforeCleanup; ref != nil {
		if ref.Application == "" {
			add("/pipelineBeforeCleanup/application", "is missing")
		}
		if ref.PipelineID == "" {
			add("/pipelineBeforeCleanup/pipelineId", "is missing")
		}
	}
	return out
}

// idleFindings refuses fields of ours that have no effect with the strategy. Those of
// Spinnaker are left alone: its editor leaves what it wrote for another strategy.
func (s Strategy) idleFindings(in strategyJSON) []delivery.Finding {
	var out []delivery.Finding
	refuse := func(when bool, pointer, why string) {
		if when && slices.Contains(Kinds(), s.Kind) {
			out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(why, s.Kind)})
		}
	}
	refuse(in.MaxSurge != nil && s.Kind != Rolling, "/maxSurge", "is that of strategy rolling, not of %s")
	refuse(in.MaxUnavailable != nil && s.Kind != Rolling, "/maxUnavailable", "is that of strategy rolling, not of %s")
	refuse(in.PauseBetweenBatches > 0 && s.Kind == Canary, "/pauseBetweenBatches", "has no effect with strategy %s; give each step its bake")
	refuse(in.PauseBetweenBatches > 0 && s.Kind != Canary && s.Kind != Rolling && s.Kind != RollingRedBlack, "/pauseBetweenBatches",
		"is that of strategies rolling and rollingredblack, not of %s")
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
