package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// rollBackCluster starts the rollback of a cluster in all its regions, or in those
// that the body names. What cannot be rolled back is refused before anything is
// recorded: one region that cannot refuses all.
func (s *Server) rollBackCluster(c *gin.Context) error {
	asked, err := bindRollback(c)
	if err != nil {
		return err
	}
	keys := startKeys(c, asked.pipeline(nil), asked.trigger)
	if keys.CorrelationID != "" { // it need not be unique among all clusters
		keys.CorrelationID = strings.Join([]string{"rollback", asked.account, asked.cluster, keys.CorrelationID}, "\n")
	}
	return s.begin(c, keys, planHashOf(asked.trigger), func() (delivery.NewExecution, error) { return s.prepareRollback(c, asked) })
}

// planRollback answers what the same request to rollBackCluster would do.
func (s *Server) planRollback(c *gin.Context) error {
	asked, err := bindRollback(c)
	if err != nil {
		return err
	}
	start, err := s.prepareRollback(c, asked)
	if err != nil {
		return err
	}
	plan, err := s.planOf(c.Request.Context(), start)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, plan)
}

// rollbackInput is the request for a rollback of one cluster.
type rollbackInput struct {
	application, account, cluster string
	// body is checked but for what only the stage's reader knows.
	body                          object
	provider, restore, deployment string
	regions                       []string
	trigger                       delivery.Trigger
}

// rollbackFields are the fields of the body that the stage has under the same name;
// rollbackOwn are those that say what the stage is to be.
var (
	rollbackFields = [...]string{"cloudProvider", "concurrency", "deadlineSec", "destroy", "healthTimeoutSec", "reason", "scaleDown",
		"targetHealthyRollbackPercentage", "waitTimeBetweenRegions"}
	rollbackOwn = [...]string{"correlationId", "deployment", "planHash", "regions", "restoreServerGroupName"}
)

func bindRollback(c *gin.Context) (rollbackInput, error) {
	in := rollbackInput{application: strings.ToLower(param(c, "app")), account: param(c, "account"), cluster: param(c, "cluster")}
	body, err := bindObject(c, false)
	if err != nil {
		return in, err
	}
	in.body = body
	in.trigger = delivery.Trigger{Type: "manual", User: principalOf(c).Name, Document: body.raw()}
	var findings []delivery.Finding
	var reason, hash string
	for key, into := range map[string]*string{"reason": &reason, "cloudProvider": &in.provider, "deployment": &in.deployment, "planHash": &hash,
		"restoreServerGroupName": &in.restore, "correlationId": &in.trigger.CorrelationID} {
		if *into, err = body.text(key); err != nil {
			findings = append(findings, delivery.FindingsOf(err)...)
		}
	}
	if strings.TrimSpace(reason) == "" {
		findings = append(findings, delivery.Finding{Pointer: "/reason", Message: "is required: why the cluster is rolled back is recorded"})
	}
	if len(in.trigger.CorrelationID) > 255 {
		findings = append(findings, delivery.Finding{Pointer: "/correlationId", Message: fmt.Sprintf("has %d bytes; 255 are allowed", len(in.trigger.CorrelationID))})
	}
	var wrong []delivery.Finding
	in.regions, wrong = bindRegions(body)
	findings = append(append(append(findings, wrong...), bothRetired(body)...), unknownFields(body)...)
	return in, delivery.InvalidError("rollback is not valid", inOrder(findings))
}

// unknownFields refuses what no rollback has: a mistyped name would roll back more
// than was meant. Expressions have nothing to be about.
func unknownFields(body object) []delivery.Finding {
	var out []delivery.Finding
	for key, raw := range body {
		switch {
		case !slices.Contains(rollbackFields[:], key) && !slices.Contains(rollbackOwn[:], key):
			out = append(out, delivery.Finding{Pointer: "/" + delivery.PointerToken(key), Message: "is not a field of a rollback"})
		case strings.Contains(string(raw), "${"):
			out = append(out, delivery.Finding{Pointer: "/" + delivery.PointerToken(key), Message: "must hold no expression"})
		}
	}
	return out
}

func bindRegions(body object) ([]string, []delivery.Finding) {
	raw, given := body["regions"]
	if !given || typeOf(raw) == "null" {
		return nil, nil
	}
	var regions []string
	if err := json.Unmarshal(raw, &regions); err != nil || len(regions) == 0 {
		return nil, []delivery.Finding{{Pointer: "/regions", Message: "must be a list of at least one region; without it all regions are rolled back"}}
	}
	for i, region := range regions {
		if first := slices.Index(regions, region); first < i {
			return nil, []delivery.Finding{{Pointer: fmt.Sprintf("/regions/%d", i), Message: fmt.Sprintf("is %s, as /regions/%d is; name each region once", region, first)}}
		}
	}
	return regions, nil
}

// bothRetired refuses to ask for both ends of what loses its traffic. What is wrong
// with one of the fields alone is found with the stage.
func bothRetired(body object) []delivery.Finding {
	scaleDown, _ := body.flag("scaleDown")
	destroy, _ := body.flag("destroy")
	if !scaleDown || !destroy {
		return nil
	}
	return []delivery.Finding{{Pointer: "/scaleDown", Message: "cannot be true together with destroy: what loses its traffic is either kept without instances or destroyed; leave one of the two out"}}
}

// prepareRollback chooses what each region goes back to, and makes the execution
// that does it and nothing else.
func (s *Server) prepareRollback(c *gin.Context, in rollbackInput) (delivery.NewExecution, error) {
	var none delivery.NewExecution
	ctx := c.Request.Context()
	regions, err := s.rollbackRegions(ctx, in)
	if err != nil {
		return none, err
	}
	if err := in.checkRestored(regions); err != nil {
		return none, err
	}
	stage := in.stage(regions)
	parsed, err := pipeline.ParseRollback(stage.kind, stage.fields.raw())
	if err != nil {
		return none, stage.ofBody(err)
	}
	var bound []string
	for i, one := range parsed.Clusters {
		one.Request.Deployment = delivery.DeploymentID(in.deployment)
		chosen, err := s.rollbackOf(ctx, one, regions[i])
		if err != nil && len(in.regions) == 0 && len(regions) > 1 {
			return none, delivery.Errorf(delivery.KindOf(err), "%s; all %d regions of the cluster are meant unless the body names some as regions", messageOf(err), len(regions))
		}
		if err != nil {
			return none, fmt.Errorf("roll back %s: %w", one.Cluster.Key(), err)
		}
		if chosen.Of != "" {
			bound = append(bound, string(chosen.Of))
		}
	}
	stage.fields.set("deployments", bound)
	start, err := s.prepareStart(c, in.pipeline(stage.fields), in.trigger, "")
	start.Execution.Description, _ = in.body.text("reason")
	return start, err
}

// rollbackRegions reads the cluster in the regions that are meant.
func (s *Server) rollbackRegions(ctx context.Context, in rollbackInput) ([]delivery.Snapshot, error) {
	bound, err := s.boundTo(ctx, in)
	if err != nil {
		return nil, err
	}
	found, err := s.snapshots(ctx, in.application, clusterFilter{provider: in.provider, account: in.account, cluster: in.cluster, anew: true})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(slices.Clone(found), func(seen delivery.Snapshot) bool {
		other := bound != nil && (seen.Cluster.Key() != bound.Cluster.Key() || seen.Cluster.Provider != bound.Cluster.Provider)
		return len(seen.Groups) == 0 || other || len(in.regions) > 0 && !slices.Contains(in.regions, seen.Cluster.Region)
	})
	for _, seen := range found {
		if seen.Cluster.Provider != found[0].Cluster.Provider {
			return nil, invalid("/cloudProvider", fmt.Sprintf("is required: account %s has a cluster %s of %s and one of %s", in.account, in.cluster, found[0].Cluster.Provider, seen.Cluster.Provider))
		}
	}
	for i, region := range in.regions {
		if !slices.ContainsFunc(found, func(seen delivery.Snapshot) bool { return seen.Cluster.Region == region }) {
			return nil, invalid(fmt.Sprintf("/regions/%d", i), fmt.Sprintf("cluster %s has no server group in %s", in.cluster, region))
		}
	}
	switch {
	case len(found) == 0 && in.deployment != "":
		return nil, invalid("/deployment", "is no deployment of a server group of the cluster")
	case len(found) == 0:
		return nil, missing(delivery.Errorf(delivery.NotFound, "cluster"), "Cluster", in.cluster)
	case len(found) > 1 && in.restore != "":
		return nil, invalid("/regions", "must name one region: restoreServerGroupName is a server group in one region")
	}
	return found, nil
}

// boundTo is the record of the deployment that the caller wants rolled back, and no
// other; nil when the body names none. It must be one of the cluster, and of the one
// region that is meant.
func (s *Server) boundTo(ctx context.Context, in rollbackInput) (*delivery.Deployment, error) {
	if in.deployment == "" {
		return nil, nil
	}
	d, err := s.store.Deployment(ctx, delivery.DeploymentID(in.deployment))
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return nil, invalid("/deployment", fmt.Sprintf("%q is no deployment; name one of the cluster, or leave the field out", in.deployment))
	case err != nil:
		return nil, err
	case d.Cluster.Account != in.account || d.Cluster.Name() != in.cluster || in.provider != "" && d.Cluster.Provider != in.provider:
		return nil, invalid("/deployment", fmt.Sprintf("is a deployment of cluster %s, not of cluster %s of account %s", d.Cluster.Key(), in.cluster, in.account))
	case len(in.regions) > 0 && !slices.Contains(in.regions, d.Cluster.Region):
		return nil, invalid("/deployment", fmt.Sprintf("is a deployment in %s, which regions does not name; name its region alone, or leave regions out", d.Cluster.Region))
	}
	for i, region := range in.regions {
		if region != d.Cluster.Region {
			return nil, invalid(fmt.Sprintf("/regions/%d", i), fmt.Sprintf("is not the region of the deployment, which is %s, and no other deployment is to be rolled back; leave one of the two out", d.Cluster.Region))
		}
	}
	return &d, nil
}

// checkRestored refuses to restore what serves: there is one region when a server
// group is named.
func (in rollbackInput) checkRestored(seen []delivery.Snapshot) error {
	if newest := seen[0].NewestServing(); in.restore != "" && newest != nil && newest.Name == in.restore {
		return invalid("/restoreServerGroupName", in.restore+" is what would be rolled back; name the server group that is to take its traffic")
	}
	return nil
}

// rollbackStage is the stage that carries the rollback out.
type rollbackStage struct {
	kind   string
	fields object
	in     rollbackInput
}

// stage is of type rollbackCluster, or rollbackServerGroup when the body names the
// server group to restore.
func (in rollbackInput) stage(seen []delivery.Snapshot) rollbackStage {
	out := rollbackStage{kind: string(rollout.RollbackClusterOperation), fields: object{}, in: in}
	for _, key := range rollbackFields {
		if raw, given := in.body[key]; given {
			out.fields[key] = raw
		}
	}
	var regions []string
	for _, one := range seen {
		regions = append(regions, one.Cluster.Region)
	}
	out.fields.set("refId", "1")
	out.fields.set("name", "Roll back "+in.cluster)
	out.fields.set("cloudProvider", seen[0].Cluster.Provider)
	out.fields.set("credentials", in.account)
	out.fields.set("cluster", seen[0].Cluster.Name())
	out.fields.set("regions", regions)
	if in.restore != "" {
		out.kind = string(rollout.RollbackGroupOperation)
		out.fields.set("rollbackType", "EXPLICIT")
		newest := seen[0].NewestServing()
		if newest == nil {
			newest = &seen[0].Groups[0] // it is refused for taking no traffic
		}
		out.name(newest.Name)
	}
	out.fields.set("type", out.kind)
	return out
}

// name says which server group is rolled back to the one that the body names.
func (r rollbackStage) name(from string) {
	context := object{}
	context.set("rollbackServerGroupName", from)
	context.set("restoreServerGroupName", r.in.restore)
	if percent, given := r.in.body["targetHealthyRollbackPercentage"]; given {
		context["targetHealthyRollbackPercentage"] = percent
	}
	r.fields["rollbackContext"] = context.raw()
}

// ofBody translates findings about the stage to the body.
func (rollbackStage) ofBody(err error) error {
	findings := slices.Clone(delivery.FindingsOf(err))
	for i := range findings {
		findings[i].Pointer = strings.TrimPrefix(findings[i].Pointer, "/rollbackContext")
	}
	return delivery.InvalidError("rollback is not valid", findings)
}

// pipeline is what the execution runs; it is saved nowhere.
func (in rollbackInput) pipeline(stage object) delivery.Pipeline {
	document := object{}
	name := "rollback of " + in.cluster
	document.set("application", in.application)
	document.set("name", name)
	document.set("stages", []object{stage})
	return delivery.Pipeline{Application: in.application, Name: name, Document: document.raw()}
}

// rollbackOf chooses the rollback of a cluster as it is. Conflict when a deployment
// has the cluster: a cancel of that one goes back.
func (s *Server) rollbackOf(ctx context.Context, one pipeline.RollbackCluster, seen delivery.Snapshot) (rollout.Rollback, error) {
	records, err := s.store.ClusterDeployments(ctx, one.Cluster.Key(), rollout.MaxRecords)
	if err != nil {
		return rollout.Rollback{}, err
	}
	if len(records) > 0 && !records[0].Status.Complete() {
		return rollout.Rollback{}, delivery.Errorf(delivery.Conflict, "deployment %s is %s; cancel execution %s, which brings back what was before", records[0].ID, records[0].Status, records[0].Execution)
	}
	chosen, err := rollout.ChooseRollback(seen, records, one.Request)
	if err != nil {
		return chosen, err
	}
	if _, err := s.deployedAnew(ctx, chosen); err != nil {
		return chosen, err
	}
	return chosen, nil
}

// deployedAnew returns what a rollback deploys anew, as it was recorded; nil when
// it restores what is there. Conflict when it cannot be deployed any more.
func (s *Server) deployedAnew(ctx context.Context, chosen rollout.Rollback) (*pipeline.DeployCluster, error) {
	if chosen.Redeploys == "" {
		return nil, nil
	}
	d, err := s.store.Deployment(ctx, chosen.Redeploys)
	if err != nil {
		return nil, err
	}
	e, err := s.store.Execution(ctx, d.Execution)
	if err != nil {
		return nil, err
	}
	again, err := pipeline.RecordedDeploy(e, d.Stage, d.Cluster)
	if err != nil {
		return nil, err
	}
	if err := again.Redeployable(); err != nil {
		return nil, chosen.Undeployable(err)
	}
	findings, err := s.checkDeployment(ctx, intended{DeployCluster: again})
	if err == nil {
		err = delivery.InvalidError("", findings)
	}
	if err != nil {
		return nil, chosen.Undeployable(err)
	}
	return &again, nil
}

// checkRollbacks returns findings about the stages that roll back, with pointers
// into the pipeline. The clusters are not looked at: earlier stages may change them.
func (s *Server) checkRollbacks(by delivery.Principal, d pipeline.Definition, env expression.Env) ([]delivery.Finding, error) {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if !pipeline.RollsBack(stage.Type) {
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		parsed, err := pipeline.ParseRollback(stage.Type, evaluated)
		findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
		for _, one := range parsed.Clusters {
			if err := s.authorize(by, execute, resource{one.Cluster.Moniker.App}); err != nil {
				return nil, err
			}
			at := intendedOperation{stage: objectOf(stage.Raw), pointer: stagePointer(i)}
			at.Cluster, at.Operation.Kind = one.Cluster, one.Kind
			wrong := s.checkOperation(at)
			if len(wrong) == 0 {
				wrong = s.checkRetired(one)
			}
			findings = append(findings, under(at.pointer, wrong)...)
		}
	}
	return findings, nil
}

// checkRetired tells whether the target can do what is asked of the groups that
// lose their traffic.
func (s *Server) checkRetired(one pipeline.RollbackCluster) []delivery.Finding {
	target, err := s.targets.Target(one.Cluster)
	if err != nil {
		return []delivery.Finding{{Pointer: "/cloudProvider", Message: messageOf(err)}}
	}
	if refused := (rollout.Rollback{ScaleDown: one.Request.ScaleDown}).Refused(target.Describe().Capabilities, false); refused != "" {
		return []delivery.Finding{{Pointer: "/scaleDown", Message: strings.TrimPrefix(refused, "scaleDown ")}}
	}
	return nil
}
