package pipeline

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// RollbackStage is the input of a stage that rolls finished deployments back.
type RollbackStage struct {
	// Clusters has one entry per region, in the document's order.
	Clusters []RollbackCluster
	// Between is the pause between two regions; zero rolls them back side by side.
	Between time.Duration
}

// RollbackCluster is the rollback of one cluster.
type RollbackCluster struct {
	Cluster delivery.Cluster
	Kind    rollout.OperationKind
	Request rollout.RollbackRequest
	// Strategy has the timeouts and the concurrency.
	Strategy rollout.Strategy
}

// LoadBalancer returns the name to observe the cluster with: empty where routing
// is found from the groups' attachments.
func (c RollbackCluster) LoadBalancer() string {
	return OperateCluster{Cluster: c.Cluster}.LoadBalancer()
}

// Input is what the chosen rollback is asked to do. again is what deployed the
// version that is deployed anew; nil when nothing is. Who carries it out adds
// deployment and fence.
func (c RollbackCluster) Input(capabilities delivery.Capabilities, chosen rollout.Rollback, again *DeployCluster) rollout.Input {
	in := rollout.Input{Cluster: c.Cluster, Strategy: c.Strategy, Capabilities: capabilities, Group: chosen.Group(),
		Operation: &rollout.Operation{Kind: c.Kind, Rollback: &chosen}}
	in.Spec.LoadBalancer = c.LoadBalancer()
	if again != nil {
		in.Spec = again.Spec
		in.Spec.Settings = nil // they are in the stored stage
		if capabilities.Resize {
			in.Spec.Capacity = *chosen.Capacity
		}
	}
	return in
}

// RollsBack reports whether stages of the type roll finished deployments back:
// ParseRollback reads them.
func RollsBack(stageType string) bool {
	return slices.Contains(rollout.Rollbacks(), rollout.OperationKind(stageType))
}

// ParseRollback reads an evaluated stage of a type that rolls back. An Invalid
// error carries findings with pointers relative to the stage.
func ParseRollback(stageType string, context json.RawMessage) (RollbackStage, error) {
	if !RollsBack(stageType) {
		return RollbackStage{}, delivery.Errorf(delivery.Invalid, "stage type %q does not roll back", stageType)
	}
	r := &reader{}
	var stage RollbackStage
	if o, ok := r.document(context); ok {
		stage = readRollback(o, rollout.OperationKind(stageType))
	}
	if err := delivery.InvalidError(stageType+" stage is not valid", r.findings); err != nil {
		return RollbackStage{}, err
	}
	return stage, nil
}

func readRollback(o object, kind rollout.OperationKind) RollbackStage {
	one := RollbackCluster{Cluster: delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o)}, Kind: kind, Strategy: readTimeouts(o, kind)}
	in := o
	if kind == rollout.RollbackGroupOperation {
		in, one.Request = readRollbackContext(o)
	} else if extra, ok := o.child("additionalRollbackContext"); ok {
		refuseContext(extra)
	}
	one.Request.HealthyPercent = readHealthyPercent(in)
	one.Request.ScaleDown, one.Request.Destroy = o.flag("scaleDown", false), o.flag("destroy", false)
	one.Request.Reason = o.text("reason")
	if one.Strategy.Concurrency == rollout.Supersede {
		o.refuse("concurrency", "is %q; a deployment that is superseded goes back by itself, and the rollback would then go back behind it", rollout.Supersede)
	}
	if one.Cluster.Provider == cloudRun && one.Request.ScaleDown {
		o.refuse("scaleDown", "cannot be used: the size of a revision cannot be changed, and one without traffic has no instances by itself")
	}
	one.Cluster.Moniker = readRolledBack(o, in)
	stage := RollbackStage{Between: readBetween(o)}
	ids := o.texts("deployments")
	for _, region := range readOperateRegions(o) {
		next := one
		next.Cluster.Region = region
		next.Request.Deployment = deploymentOf(next.Cluster, &ids)
		stage.Clusters = append(stage.Clusters, next)
	}
	if o.given("retry") && len(stage.Clusters) > 1 {
		o.refuse("retry", "cannot be used in several regions: one that was rolled back is not rolled back again; make one stage for each region")
	}
	if len(ids) > 0 && !o.waits() {
		o.refuse("deployments", "has %s, which is of none of the clusters that are rolled back, or the second of one", ids[0])
	}
	return stage
}

// waits reports whether a field of the object will be known only when its
// expressions are evaluated.
func (o object) waits() bool {
	return o.r.deferred && slices.ContainsFunc(o.names(), func(name string) bool { return strings.Contains(string(o.fields[name]), "${") })
}

// readRolledBack returns the cluster: of the stage, or of the server groups that its
// rollbackContext names. What is given twice has to be the same.
func readRolledBack(o, context object) delivery.Moniker {
	var m delivery.Moniker
	known := o.given("cluster") || o.given("moniker")
	if known || !context.given("rollbackServerGroupName") && !o.waits() {
		m = readOperated(o, "")
	}
	for _, name := range [...]string{"rollbackServerGroupName", "restoreServerGroupName"} {
		group := context.text(name)
		is, _, ok := delivery.ParseServerGroup(group)
		switch {
		case group == "":
		case !ok:
			context.refuse(name, "%q is not the name of a server group: it does not end in -v and a number", group)
		case m == delivery.Moniker{} && !known:
			m = is
		case m != is && m != delivery.Moniker{}:
			context.refuse(name, "is of cluster %s, not of %s", is.Cluster(), m.Cluster())
		}
	}
	return m
}

// deploymentOf takes the deployment of the cluster from the ids.
func deploymentOf(c delivery.Cluster, ids *[]string) delivery.DeploymentID {
	i := slices.IndexFunc(*ids, func(id string) bool { return strings.HasSuffix(id, "/"+c.Key()) })
	if i < 0 {
		return ""
	}
	id := (*ids)[i]
	*ids = slices.Delete(slices.Clone(*ids), i, i+1)
	return delivery.DeploymentID(id)
}

// readRollbackContext reads what Spinnaker's rollbackServerGroup has in rollbackContext.
func readRollbackContext(o object) (object, rollout.RollbackRequest) {
	o.require("rollbackContext")
	in, ok := o.child("rollbackContext")
	if !ok {
		return o, rollout.RollbackRequest{}
	}
	refuseContext(in)
	r := rollout.RollbackRequest{From: in.requiredText("rollbackServerGroupName"), Restore: in.text("restoreServerGroupName")}
	switch kind := o.requiredText("rollbackType"); kind {
	case "":
	case "EXPLICIT":
		if to := in.requiredText("restoreServerGroupName"); to != "" && to == r.From {
			in.refuse("restoreServerGroupName", "is rollbackServerGroupName as well, and a server group cannot take its own traffic; name another one")
		}
	case "PREVIOUS_IMAGE", "AUTOMATIC":
		r.Redeploy = kind == "PREVIOUS_IMAGE"
		if r.Restore != "" {
			in.refuse("restoreServerGroupName", "is given, but with rollbackType %s the records say what is restored", kind)
		}
	default:
		o.refuse("rollbackType", "is %q; must be EXPLICIT, PREVIOUS_IMAGE or AUTOMATIC", kind)
	}
	return in, r
}

// refuseContext refuses what Spinnaker knows and no rollback here does.
func refuseContext(in object) {
	for _, name := range [...]string{"imageId", "imageName"} {
		if in.given(name) {
			in.refuse(name, "cannot be chosen: a version is deployed anew with the image and the settings of its record; deploy another image with a deploy stage")
		}
	}
	for _, name := range [...]string{"disableOnly", "enableAndDisableOnly"} {
		if in.flag(name, false) {
			in.refuse(name, "cannot be used: what takes the traffic back gets its capacity first")
		}
	}
	if n, ok := in.whole("delayBeforeDisableSeconds"); ok && n != 0 {
		in.refuse("delayBeforeDisableSeconds", "is %d; all traffic moves at once, so that the version that is rolled back serves no longer than it must", n)
	}
}

func readHealthyPercent(in object) int {
	n, ok := in.whole("targetHealthyRollbackPercentage")
	if !ok {
		return 0
	}
	if n < 1 || n > 100 {
		in.refuse("targetHealthyRollbackPercentage", "is %d; must be 1 to 100", n)
	}
	return n
}

// readBetween reads the pause between two regions, in seconds.
func readBetween(o object) time.Duration {
	n, _ := o.whole("waitTimeBetweenRegions")
	if n < 0 || n > 365*24*3600 {
		o.refuse("waitTimeBetweenRegions", "is %d; must be 0 s to a year", n)
		return 0
	}
	return time.Duration(n) * time.Second
}
