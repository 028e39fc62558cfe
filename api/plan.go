package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// planPipeline answers what a start with the same body would do. It reads the
// clouds and starts nothing.
func (s *Server) planPipeline(c *gin.Context) error {
	trigger, at, err := bindTrigger(c)
	if err != nil {
		return err
	}
	p, err := s.pipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil {
		return err
	}
	start, err := s.prepareStart(c, p, trigger, at)
	if err != nil {
		return err
	}
	plan, err := s.planOf(c.Request.Context(), start)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, plan)
}

const (
	// planTimeout bounds how long a plan may read the clouds.
	planTimeout = 25 * time.Second
	// throttlePatience is how long all reads of a plan wait together where a cloud wants
	// them slower, and throttlePause how long before each. Budgets of clouds fill up
	// within seconds: 40 reads at 10 a second for Elastic Load Balancing.
	throttlePatience = 6 * time.Second
	throttlePause    = 1500 * time.Millisecond
)

// planOf plans a start and remembers what it says, so that a later refusal can
// tell the difference.
func (s *Server) planOf(ctx context.Context, start delivery.NewExecution) (v1.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	definition, err := pipeline.Parse(start.Definition)
	if err != nil {
		return v1.Plan{}, err
	}
	p := &planner{Server: s, definition: definition, env: s.environmentBefore(ctx, delivery.Principal{Name: start.Execution.Trigger.User}, start.Execution),
		seen: map[string]delivery.Snapshot{}, found: map[string][]pipeline.FoundImage{}, patience: throttlePatience}
	out := v1.Plan{Stages: []v1.PlannedStage{}}
	for i, stage := range definition.Stages {
		planned, err := p.stage(ctx, stage)
		if err != nil {
			return v1.Plan{}, fmt.Errorf("plan %s: %w", stagePointer(i), err)
		}
		out.Stages = append(out.Stages, planned)
	}
	out.Hash = p.hash.sum()
	lines, err := json.Marshal(planLines(out))
	if err != nil {
		return v1.Plan{}, err
	}
	_, err = s.store.RememberResponse(ctx, planScope, out.Hash, delivery.StoredResponse{RequestHash: out.Hash, Status: http.StatusOK, Body: lines})
	return out, err
}

// planScope is what remembered plans are kept under.
const planScope = "plan"

// checkPlan refuses a start whose trigger names a plan that is not the present one.
func (s *Server) checkPlan(ctx context.Context, start delivery.NewExecution, planHash string) error {
	if planHash == "" {
		return nil
	}
	now, err := s.planOf(ctx, start)
	if err != nil || now.Hash == planHash {
		return err
	}
	stale := &failure{status: http.StatusConflict, code: "plan_stale", title: "The plan is not the present one",
		message: "The clouds or the pipeline changed since the plan was made; the present plan has hash " + now.Hash + ".",
		hint:    "read the plan again, and start with its hash"}
	before, err := s.store.Response(ctx, planScope, planHash, planHash)
	if delivery.KindOf(err) == delivery.NotFound {
		stale.message = "No plan with hash " + planHash + " is known; the present plan has hash " + now.Hash + "."
		return stale
	}
	if err != nil {
		return err
	}
	var then []string
	if err := json.Unmarshal(before.Body, &then); err != nil {
		return fmt.Errorf("read plan %s: %w", planHash, err)
	}
	stale.findings = planDifference(then, planLines(now))
	return stale
}

// planner plans the stages of one start. A cluster that several stages change
// is seen as the earlier ones leave it.
type planner struct {
	*Server
	definition pipeline.Definition
	env        expression.Env
	seen       map[string]delivery.Snapshot
	// found are the images that stages find, by refId.
	found map[string][]pipeline.FoundImage
	hash  hasher
	// patience is what is left of throttlePatience.
	patience time.Duration
}

func (p *planner) stage(ctx context.Context, stage pipeline.StageSpec) (v1.PlannedStage, error) {
	out := v1.PlannedStage{RefID: stage.RefID, Type: stage.Type, Name: stage.Name, MaxAttempts: stage.Retry.MaxAttempts}
	if out.MaxAttempts > 0 {
		p.hash.add(stage.RefID, fmt.Sprint(stage.Retry))
	}
	p.hash.add(stage.RefID, strings.Join(stage.Requisites, ","), string(stage.OnFailure), stage.Condition)
	if stage.OnFailure != pipeline.HaltPipeline {
		out.OnFailure = string(stage.OnFailure)
	}
	found, outputs, err := p.outputsBefore(stage.RefID)
	if err != nil {
		return out, err
	}
	env := p.env
	env.Outputs = outputs
	out.Name = expression.Name(stage, env)
	env.Partial = len(stage.Requisites) > 0
	switch reason, open := expression.Skipped(stage, env); {
	case open:
		out.Unplanned = "whether it runs is not known yet: " + reason
		p.hash.add(stage.RefID, string(stage.Raw))
		return out, nil
	case reason != "":
		out.Skipped = reason
		p.hash.add(stage.RefID, reason)
		return out, nil
	}
	evaluated, err := evaluateStage(stage, env)
	if err != nil {
		out.Unplanned = "it depends on what an earlier stage puts out: " + messageOf(err)
		p.hash.add(stage.RefID, string(stage.Raw))
		return out, nil
	}
	window, err := pipeline.ParseWindow(evaluated, p.definition.Timezone)
	if err != nil {
		return out, err
	}
	if window != nil {
		out.Window = window.String()
	}
	p.hash.add(stage.RefID, out.Window, string(objectOf(evaluated)["stageTimeoutMs"]))
	switch {
	case stage.Type == pipeline.WaitType:
		wait, err := pipeline.ParseWait(evaluated)
		out.WaitMs = wait.Milliseconds()
		p.hash.add(stage.RefID, wait.String())
		return out, err
	case pipeline.Operates(stage.Type):
		return p.operations(ctx, stage, evaluated, out)
	case pipeline.Finds(stage.Type):
		return p.finds(ctx, stage, evaluated, out)
	case pipeline.RollsBack(stage.Type):
		return p.rollbacks(ctx, stage, evaluated, out)
	case stage.Type == pipeline.ChildType:
		out.Unplanned = "the pipeline that it starts has a plan of its own"
		p.hash.add(stage.RefID, string(evaluated))
		return out, nil
	case !pipeline.Deploys(stage.Type):
		out.Unplanned = "stages of type " + stage.Type + " change no cluster"
		p.hash.add(stage.RefID, string(evaluated))
		return out, nil
	}
	if evaluated, err = pipeline.WithImages(stage.Type, evaluated, found); err != nil {
		return out, err
	}
	deploy, err := pipeline.ParseIntended(stage.Type, evaluated)
	if err != nil {
		return out, err
	}
	if slices.ContainsFunc(deploy.Clusters, func(c pipeline.DeployCluster) bool { return c.Spec.Image == "" && !c.Clones() }) {
		out.Unplanned = "its image is not found yet"
		p.hash.add(stage.RefID, string(evaluated))
		return out, nil
	}
	for _, cluster := range deploy.Clusters {
		plan, err := p.deployment(ctx, cluster)
		if err != nil {
			return out, err
		}
		p.hash.add(stage.RefID, plan.Hash, string(cluster.Spec.Settings))
		out.Deployments = append(out.Deployments, presentPlan(plan))
	}
	return out, nil
}

// operations plans a stage that does something to server groups that are there.
func (p *planner) operations(ctx context.Context, stage pipeline.StageSpec, evaluated json.RawMessage, out v1.PlannedStage) (v1.PlannedStage, error) {
	operate, err := pipeline.ParseOperate(stage.Type, evaluated)
	if err != nil {
		return out, err
	}
	for _, one := range operate.Clusters {
		target, err := p.targets.Target(one.Cluster)
		if err != nil {
			return out, err
		}
		seen, err := p.observe(ctx, target, one.Cluster, one.LoadBalancer())
		if err != nil {
			return out, err
		}
		input := one.Input(target.Describe().Capabilities)
		input.Deployment = "planned"
		plan, err := p.predict(ctx, input, seen)
		if err != nil {
			return out, err
		}
		p.hash.add(stage.RefID, plan.Hash)
		out.Deployments = append(out.Deployments, presentPlan(plan))
	}
	return out, nil
}

// observe looks at a cluster, or returns it as earlier stages will leave it.
func (p *planner) observe(ctx context.Context, target delivery.Target, cluster delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	if seen, known := p.seen[cluster.Key()]; known {
		return seen, nil
	}
	seen, err := target.Observe(ctx, cluster, loadBalancer)
	for delivery.KindOf(err) == delivery.Throttled && p.patience > 0 && ctx.Err() == nil {
		pause := min(throttlePause, p.patience)
		p.patience -= pause
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		seen, err = target.Observe(ctx, cluster, loadBalancer)
	}
	if err != nil {
		return seen, fmt.Errorf("observe %s: %w", cluster.Key(), err)
	}
	return seen, nil
}

func (p *planner) deployment(ctx context.Context, want pipeline.DeployCluster) (rollout.Plan, error) {
	target, err := p.targets.Target(want.Cluster)
	if err != nil {
		return rollout.Plan{}, err
	}
	key := want.Cluster.Key()
	seen, err := p.observe(ctx, target, want.Cluster, want.Spec.LoadBalancer)
	if err != nil {
		return rollout.Plan{}, err
	}
	if want, err = want.Chosen(seen); err != nil {
		return rollout.Plan{}, err
	}
	input := want.Input(seen, target.Describe().Capabilities)
	input.Deployment = "planned"
	if want.Strategy.InPlace {
		return p.predict(ctx, input, seen)
	}
	newest, taken := seen.Numbers()
	sequence, err := p.store.NextSequence(ctx, key, newest, taken)
	if err != nil {
		return rollout.Plan{}, err
	}
	input.Group = want.Cluster.Moniker.ServerGroup(sequence)
	if want.Strategy.Baseline {
		beside, err := p.store.NextSequence(ctx, key, sequence, append(taken, sequence))
		if err != nil {
			return rollout.Plan{}, err
		}
		input.Baseline = want.Cluster.Moniker.ServerGroup(beside)
	}
	return p.predict(ctx, input, seen)
}

// predict plans one deployment and leaves its cluster as it will be. It ends with the
// request.
func (p *planner) predict(ctx context.Context, input rollout.Input, seen delivery.Snapshot) (rollout.Plan, error) {
	plan, after, err := rollout.PlanWithin(ctx, input, seen, rollout.Estimates{})
	if err != nil {
		return plan, delivery.Errorf(delivery.Transient, "the plan was not made within %s: %w", planTimeout, err)
	}
	p.seen[input.Cluster.Key()] = after
	return plan, nil
}

// hasher adds texts up to one hash. Each text ends where the next begins.
type hasher struct{ texts []string }

func (h *hasher) add(texts ...string) { h.texts = append(h.texts, texts...) }

// sum is the hash of everything that was added, in hexadecimal digits.
func (h *hasher) sum() string {
	sum := sha256.New()
	for _, text := range h.texts {
		fmt.Fprintf(sum, "%d:%s", len(text), text)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:16])
}

func presentPlan(p rollout.Plan) v1.PlannedDeployment {
	c := p.Cluster
	out := v1.PlannedDeployment{
		CloudProvider: c.Provider, Account: c.Account, Region: c.Region, Cluster: c.Name(), ServerGroup: p.ServerGroup,
		Strategy: string(p.Strategy), Floor: p.Floor, Peak: p.Peak, DurationMs: p.Duration.Milliseconds(), Actions: []v1.PlannedAction{},
		Failure: presentFailure(p.Failure),
	}
	for _, c := range p.Checks {
		out.Checks = append(out.Checks, c.Describe())
	}
	for _, a := range p.Actions {
		out.Actions = append(out.Actions, presentAction(a))
	}
	return out
}

func presentAction(a rollout.PlannedAction) v1.PlannedAction {
	out := v1.PlannedAction{AtMs: a.At.Milliseconds()}
	switch {
	case a.Change != nil:
		out.Type, out.Description, out.Change, out.ServerGroup = "change", a.Change.String(), string(a.Change.Kind), a.Change.Group
		if c := a.Change.Capacity; c != nil {
			out.Capacity = &v1.Capacity{Min: c.Min, Max: c.Max, Desired: c.Desired}
		}
		for _, w := range a.Change.Weights {
			out.Weights = append(out.Weights, v1.Weight(w))
		}
	case a.Gate != nil:
		out.Type, out.Description = "gate", "a gate is passed"
		if a.Gate.Pipeline != nil {
			out.Pipeline = a.Gate.Pipeline.PipelineID
			out.Description = "pipeline " + out.Pipeline + " succeeds"
		}
		if j := a.Gate.Judgment; j != nil {
			out.TimeoutMs, out.OnTimeout, out.Instructions = j.Timeout.Milliseconds(), string(j.OnTimeout), j.Instructions
			out.Description = fmt.Sprintf("somebody lets it go on within %s, else %s", j.Timeout, j.OnTimeout)
		}
	default:
		out.Type, out.Description, out.TakesMs, out.Exact = "wait", "wait for "+a.Wait.For, a.Wait.Takes.Milliseconds(), a.Wait.Exact
		if w := a.Wait; w.Limit > 0 {
			out.TimeoutMs, out.OnTimeout = w.Limit.Milliseconds(), string(w.OnTimeout)
			out.Description += fmt.Sprintf(" within %s, else %s", w.Limit, w.OnTimeout)
		}
	}
	return out
}

// planLines are the plan's changes, waits and gates as lines that can be compared. How
// long a wait takes is told only where it is no estimate.
func planLines(p v1.Plan) []string {
	lines := []string{}
	for _, stage := range p.Stages {
		at := "stage " + stage.RefID + ": "
		if stage.MaxAttempts > 0 {
			lines = append(lines, fmt.Sprintf("%stried up to %d times", at, stage.MaxAttempts))
		}
		if stage.OnFailure != "" {
			lines = append(lines, at+"when it fails: "+stage.OnFailure)
		}
		if stage.Window != "" {
			lines = append(lines, at+"begins only "+stage.Window)
		}
		switch {
		case stage.Skipped != "":
			lines = append(lines, at+"skipped: "+stage.Skipped)
		case stage.Unplanned != "":
			lines = append(lines, at+"not planned")
		case len(stage.Images) > 0:
			for _, image := range stage.Images {
				lines = append(lines, fmt.Sprintf("%simage %s in %s", at, image.ImageName, image.Region))
			}
		case stage.WaitMs > 0:
			lines = append(lines, at+"wait "+(time.Duration(stage.WaitMs)*time.Millisecond).String())
		}
		for _, d := range stage.Deployments {
			in := fmt.Sprintf("%s%s in %s of %s: ", at, d.Cluster, d.Region, d.Account)
			if d.Rollback != nil {
				lines = append(lines, in+d.Rollback.Description)
			}
			for _, c := range d.Checks {
				lines = append(lines, in+"check "+c)
			}
			for _, a := range d.Actions {
				switch {
				case a.Type == "wait" && a.Exact:
					lines = append(lines, in+a.Description+" "+(time.Duration(a.TakesMs)*time.Millisecond).Round(time.Second).String())
				default:
					lines = append(lines, in+a.Description)
				}
			}
			if d.Failure != nil {
				lines = append(lines, in+"fails: "+d.Failure.Message)
			}
		}
	}
	return lines
}

// planDifference tells what of a plan is gone and what is new.
func planDifference(then, now []string) []delivery.Finding {
	var out []delivery.Finding
	only := func(of, without []string, what string) {
		for _, line := range of {
			if !slices.Contains(without, line) {
				out = append(out, delivery.Finding{Message: what + line})
			}
		}
	}
	only(then, now, "no longer: ")
	only(now, then, "now: ")
	if len(out) == 0 {
		out = append(out, delivery.Finding{Message: "the same changes, from another state or with other settings: " + strings.Join(now[:min(1, len(now))], "")})
	}
	return out
}
