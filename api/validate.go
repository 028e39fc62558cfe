package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// validateTimeout bounds how long a start waits for the clouds' word. What was
// not answered by then is checked by the deployment itself.
const validateTimeout = 10 * time.Second

// intended is one deployment that a start will lead to.
type intended struct {
	pipeline.DeployCluster
	// pointer is the cluster object's place in the pipeline.
	pointer string
	// later means that earlier stages may change what it finds.
	later bool
	// first is true when no earlier stage can have changed the cluster.
	first bool
}

// checkStart refuses a start whose stages name what is not there: an account, a
// region, an image, a subnet, a load balancer; and what a target of that kind
// cannot do. Stages with expressions that need the outputs of earlier stages are
// checked when they run.
func (s *Server) checkStart(ctx context.Context, by delivery.Principal, application string, d pipeline.Definition, env expression.Env) error {
	d = unconditional(d)
	deployments, findings := intendedDeployments(d, env)
	for _, one := range deployments {
		if err := s.authorize(by, execute, resource{one.Cluster.Moniker.App}); err != nil {
			return err
		}
	}
	findings = append(findings, checkEvaluations(d, env)...)
	operations, wrong := intendedOperations(d, env)
	findings = append(findings, wrong...)
	for _, one := range operations {
		if err := s.authorize(by, execute, resource{one.Cluster.Moniker.App}); err != nil {
			return err
		}
		findings = append(findings, under(one.pointer, s.checkOperation(one))...)
	}
	findings = append(findings, s.checkSizes(d, env)...)
	lost, err := s.checkFinds(by, d, env)
	if err != nil {
		return err
	}
	findings = append(findings, lost...)
	wrong, err = s.checkRollbacks(by, d, env)
	if err != nil {
		return err
	}
	findings = append(findings, wrong...)
	wrong, err = s.checkChildren(ctx, by, application, d, env)
	if err != nil {
		return err
	}
	findings = append(findings, wrong...)
	wrong, err = s.checkGates(ctx, by, d, env)
	if err != nil {
		return err
	}
	findings = append(findings, wrong...)
	wrong, err = s.checkSaves(ctx, by, application, d, env)
	if err != nil {
		return err
	}
	findings = append(findings, wrong...)
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	found, full := make([][]delivery.Finding, len(deployments)), make([]error, len(deployments))
	var all sync.WaitGroup
	for i, one := range deployments {
		all.Go(func() {
			found[i], full[i] = s.checkDeployment(ctx, one)
			found[i] = under(one.pointer, found[i])
		})
	}
	all.Wait()
	for _, f := range found {
		findings = append(findings, f...)
	}
	if err := delivery.InvalidError("the pipeline cannot be started", inOrder(findings)); err != nil {
		return err
	}
	return noRoom(deployments, full)
}

// noRoom is Quota where clouds have no room for one more server group; nil where they
// have, or where earlier stages may make some.
func noRoom(deployments []intended, full []error) error {
	var findings []delivery.Finding
	for i, one := range deployments {
		if full[i] == nil || !one.first {
			continue
		}
		at := one.pointer
		if _, named := objectOf(one.Spec.Settings)["loadBalancers"]; named {
			at += "/loadBalancers/0"
		}
		findings = append(findings, delivery.Finding{Pointer: at, Message: messageOf(full[i])})
	}
	if len(findings) == 0 {
		return nil
	}
	return &delivery.Error{Kind: delivery.Quota, Message: "the pipeline cannot be started", Findings: inOrder(findings)}
}

// unconditional takes the types of the stages that change clouds, or start a pipeline,
// on a condition: whether they run shows in their turn, and they are checked then.
func unconditional(d pipeline.Definition) pipeline.Definition {
	d.Stages = slices.Clone(d.Stages)
	for i, stage := range d.Stages {
		if stage.Condition != "" && (pipeline.Deploys(stage.Type) || pipeline.Operates(stage.Type) || pipeline.RollsBack(stage.Type) || stage.Type == pipeline.ChildType) {
			d.Stages[i].Type = ""
		}
	}
	return d
}

func intendedDeployments(d pipeline.Definition, env expression.Env) ([]intended, []delivery.Finding) {
	var out []intended
	var findings []delivery.Finding
	known := withEvaluatedFinds(d, env)
	untouched := true
	for i, stage := range d.Stages {
		if !pipeline.Deploys(stage.Type) {
			untouched = untouched && !pipeline.Operates(stage.Type) && !pipeline.RollsBack(stage.Type)
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			untouched = false
			continue // it may be about what an earlier stage puts out
		}
		deploy, err := pipeline.ParseIntended(stage.Type, evaluated)
		findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
		for _, cluster := range deploy.Clusters {
			if cluster.Spec.Image == "" && !cluster.Clones() && !known.FindsImage(stage.RefID, cluster.Cluster.Provider, cluster.Cluster.Region) {
				findings = append(findings, under(stagePointer(i)+cluster.Pointer, []delivery.Finding{cluster.MissingImage()})...)
			}
			out = append(out, intended{DeployCluster: cluster, pointer: stagePointer(i) + cluster.Pointer, later: len(stage.Requisites) > 0, first: untouched})
		}
		untouched = untouched && len(deploy.Clusters) == 0
	}
	return out, findings
}

// intendedOperation is one operation on a server group that a start will lead to.
type intendedOperation struct {
	pipeline.OperateCluster
	// stage is the stage object, and pointer its place in the pipeline.
	stage   object
	pointer string
}

func intendedOperations(d pipeline.Definition, env expression.Env) ([]intendedOperation, []delivery.Finding) {
	var out []intendedOperation
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if !pipeline.Operates(stage.Type) {
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		operate, err := pipeline.ParseOperate(stage.Type, evaluated)
		findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
		for _, cluster := range operate.Clusters {
			out = append(out, intendedOperation{OperateCluster: cluster, stage: objectOf(stage.Raw), pointer: stagePointer(i)})
		}
	}
	return out, findings
}

// checkOperation returns findings with pointers relative to the stage. The cluster
// is not looked at: earlier stages may change it.
func (s *Server) checkOperation(one intendedOperation) []delivery.Finding {
	if finding, ok := s.checkPlace(one.Cluster); !ok {
		finding.Pointer = one.fieldOf(finding.Pointer)
		return []delivery.Finding{finding}
	}
	target, err := s.targets.Target(one.Cluster)
	if err != nil {
		return []delivery.Finding{{Pointer: one.fieldOf("/account"), Message: messageOf(err)}}
	}
	if one.Promotion != nil {
		return one.Strategy.Unsuited(target.Describe().Capabilities, true)
	}
	if refused := one.Operation.Refused(target.Describe().Capabilities); refused != "" {
		return []delivery.Finding{{Pointer: "/type", Message: fmt.Sprintf("is %s, but %s", one.Operation.Kind, refused)}}
	}
	return nil
}

// fieldOf translates the pointer of a deploy stage's cluster to the stage's own.
func (one intendedOperation) fieldOf(pointer string) string {
	has := func(name string) bool { _, ok := one.stage[name]; return ok }
	switch {
	case pointer == "/account" && has("credentials"):
		return "/credentials"
	case strings.HasPrefix(pointer, "/availabilityZones/") && has("regions"):
		return "/regions"
	case strings.HasPrefix(pointer, "/availabilityZones/"):
		return "/region"
	default:
		return pointer
	}
}

// checkDeployment returns findings with pointers relative to the cluster object. The
// error is Quota where nothing else is wrong and the cloud has no room.
func (s *Server) checkDeployment(ctx context.Context, one intended) ([]delivery.Finding, error) {
	if finding, ok := s.checkPlace(one.Cluster); !ok {
		fields := objectOf(one.Spec.Settings)
		if _, zones := fields["availabilityZones"]; !zones && strings.HasPrefix(finding.Pointer, "/availabilityZones/") {
			finding.Pointer = "/region"
		}
		if _, account := fields["account"]; !account && finding.Pointer == "/account" && one.Clones() {
			finding.Pointer = "/credentials"
		}
		return []delivery.Finding{finding}, nil
	}
	target, err := s.targets.Target(one.Cluster)
	if err != nil {
		return []delivery.Finding{{Pointer: "/account", Message: messageOf(err)}}, nil
	}
	if unsuited := one.Strategy.Unsuited(target.Describe().Capabilities, one.Spec.LoadBalancer != "" || one.MayBeRouted); len(unsuited) > 0 {
		return unsuited, nil
	}
	if one.Spec.Image == "" && !one.Clones() {
		return nil, nil // an earlier stage finds it; the deployment checks the rest with it
	}
	if one.Clones() && one.later {
		return nil, nil
	}
	findings, err := validate(ctx, target, one.DeployCluster)
	if err == nil && len(findings) == 0 && one.Strategy.InPlace && one.first {
		findings, err = checkUpdatable(ctx, target, one)
	}
	switch {
	case err == nil:
		return findings, nil
	case delivery.KindOf(err) == delivery.Quota && s.supersedingFrees(ctx, target, one):
		return nil, nil
	case delivery.KindOf(err) == delivery.Quota:
		return nil, err
	case delivery.KindOf(err).Retryable():
		// The cloud did not answer. The deployment asks again, with patience.
		s.log.WarnContext(ctx, "deployment not validated", "cluster", one.Cluster.Key(), "error", err.Error())
		return nil, nil
	default:
		return append([]delivery.Finding{{Message: messageOf(err)}}, delivery.FindingsOf(err)...), nil
	}
}

// supersedingFrees reports whether there is room once the deployment that has the
// cluster is superseded and has taken its server groups back.
func (s *Server) supersedingFrees(ctx context.Context, target delivery.Target, one intended) bool {
	limit := target.Describe().Capabilities.MaxDestinations
	if one.Strategy.Concurrency != rollout.Supersede || limit == 0 {
		return false
	}
	last, err := s.store.ClusterDeployments(ctx, one.Cluster.Key(), 1)
	if err != nil || len(last) == 0 || last[0].Status.Complete() {
		return false
	}
	seen, err := target.Observe(ctx, one.Cluster, one.Spec.LoadBalancer)
	if err != nil || seen.Routing == nil {
		return false
	}
	stay := 0
	for _, w := range seen.Routing.Weights {
		if g := seen.Group(w.ServerGroup); g == nil || g.Deployment != last[0].ID {
			stay++
		}
	}
	return stay < limit
}

// validate asks the target. What a clone is like only the cluster tells.
func validate(ctx context.Context, target delivery.Target, want pipeline.DeployCluster) ([]delivery.Finding, error) {
	if want.Clones() {
		seen, err := target.Observe(ctx, want.Cluster, want.Spec.LoadBalancer)
		if err != nil {
			return nil, err
		}
		if want, err = want.Chosen(seen); err != nil {
			return delivery.FindingsOf(err), nil
		}
	}
	return target.Validate(ctx, want.Cluster, want.Spec)
}

// checkUpdatable looks whether there is a server group that can be updated in place.
func checkUpdatable(ctx context.Context, target delivery.Target, one intended) ([]delivery.Finding, error) {
	seen, err := target.Observe(ctx, one.Cluster, one.Spec.LoadBalancer)
	if err != nil {
		return nil, err
	}
	_, findings := rollout.Updatable(seen, one.Input(seen, target.Describe().Capabilities).Spec.Capacity, one.Strategy.HealthTimeout)
	return findings, nil
}

// checkPlace checks account, provider and region against the configuration.
func (s *Server) checkPlace(cluster delivery.Cluster) (delivery.Finding, bool) {
	var names []string
	for _, a := range s.targets.Accounts() {
		names = append(names, a.Name)
		if a.Name != cluster.Account {
			continue
		}
		if !a.Has(cluster.Provider) {
			return delivery.Finding{Pointer: "/cloudProvider", Message: fmt.Sprintf("is %q, but account %s is of provider %q", cluster.Provider, a.Name, a.Provider)}, false
		}
		if !a.HasRegion(cluster.Region) {
			return delivery.Finding{Pointer: "/availabilityZones/" + delivery.PointerToken(cluster.Region),
				Message: fmt.Sprintf("region %q is not configured for account %s; configured: %s", cluster.Region, a.Name, strings.Join(a.Regions, ", "))}, false
		}
		return delivery.Finding{}, true
	}
	known := "none is configured"
	if len(names) > 0 {
		known = "configured: " + strings.Join(names, ", ")
	}
	return delivery.Finding{Pointer: "/account", Message: fmt.Sprintf("account %q is not configured; %s", cluster.Account, known)}, false
}

// messageOf returns an error's text for clients: that of its first kind.
func messageOf(err error) string { return describe(err).Message }
