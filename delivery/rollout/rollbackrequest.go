package rollout

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// MaxRecords is how many of a cluster's newest records a rollback looks through. The
// version it goes back to is nearly always the last but one.
const MaxRecords = 200

// RollbackRequest is a rollback on demand of one cluster, as it is asked for. The
// zero value goes back to what took the traffic before the newest server group
// that takes traffic was deployed.
type RollbackRequest struct {
	// Deployment must be the one that gave the group its traffic; empty for any.
	Deployment delivery.DeploymentID
	// From is the server group to take the traffic from; empty for the newest one
	// that takes traffic.
	From string
	// Restore names the group that gets the traffic. It need not be the one before,
	// and may undo another rollback. Empty leaves it to the records.
	Restore string
	// Redeploy asks for a new group of the recorded version even while the old one
	// is there.
	Redeploy bool
	// HealthyPercent is how much of the group must be healthy before it gets the
	// traffic: 1 to 100; zero is 100.
	HealthyPercent int
	// ScaleDown scales the groups that lose their traffic to zero, Destroy destroys
	// them; without either they stay as they are, without traffic.
	ScaleDown, Destroy bool
	// Reason is what whoever asks says.
	Reason string
}

// past is the record of a deployment, as far as rollbacks are decided on it.
type past struct {
	delivery.Deployment
	left
}

// left is what of a deployment's state its record keeps, as Detail writes it.
type left struct {
	Before    *Recorded    `json:"before"`
	Operation *Operation   `json:"operation"`
	Promotion *Promotion   `json:"promotion"`
	InPlace   *Replacement `json:"inPlace"`
}

// rollback returns the rollback on demand that the deployment was; nil for others.
func (p past) rollback() *Rollback {
	if p.Operation == nil {
		return nil
	}
	return p.Operation.Rollback
}

// gave reports whether the deployment gave the group its traffic, or what its traffic
// goes to: it made the group, promoted it or updated it in place, or it was a rollback
// to it whose traffic moved. A promotion or an update that gave back what was before,
// or never began, left that to the deployment before it.
func (p past) gave(group string) bool {
	switch {
	case p.rollback() != nil:
		moved := p.Status == delivery.DeploymentSucceeded || p.Status == delivery.DeploymentRollbackFailed
		return moved && slices.ContainsFunc(p.rollback().To.Groups, func(g RecordedGroup) bool { return g.Name == group })
	case p.Operation != nil || p.ServerGroup != group:
		return false
	case p.InPlace != nil:
		return p.Status == delivery.DeploymentSucceeded || p.Status == delivery.DeploymentRollbackFailed
	case p.Promotion != nil:
		return p.Status.Complete() && p.Status != delivery.DeploymentRolledBack && p.Before != nil && !p.Before.served(group)
	default:
		return p.Status.Complete()
	}
}

// served reports whether a group took traffic.
func (r Recorded) served(group string) bool {
	return slices.ContainsFunc(r.Groups, func(g RecordedGroup) bool { return g.Name == group && g.Serving })
}

// made reports whether the deployment made what the group runs, which took traffic
// then: the group itself, or the version that an update in place gave it.
func (p past) made(group string) bool {
	if p.InPlace != nil && p.Status != delivery.DeploymentSucceeded {
		return false
	}
	if p.ServerGroup != group || p.Status != delivery.DeploymentSucceeded && p.Status != delivery.DeploymentFailed {
		return false
	}
	return p.Operation == nil && p.Promotion == nil || p.rollback() != nil && p.rollback().Redeploys != ""
}

// ChooseRollback decides from what is seen and from the cluster's records, the
// newest first, what a rollback restores. Redeploys is set when the server group
// that took the traffic is gone, or has another version since an update in place:
// whoever carries the rollback out names the new group with Rollback.Anew.
//
// Conflict means that there is nothing to go back from or to: nothing takes
// traffic, another deployment gave it than the named one, a rollback did, or
// nothing took traffic before. NotFound means that a named group, or the record
// that is needed, is not there; Invalid that the request contradicts itself.
func ChooseRollback(seen delivery.Snapshot, records []delivery.Deployment, r RollbackRequest) (Rollback, error) {
	history, err := recollect(records)
	if err != nil {
		return Rollback{}, err
	}
	from, err := rolledBack(seen, r.From)
	if err != nil {
		return Rollback{}, err
	}
	out := Rollback{From: from.Name, HealthyPercent: r.HealthyPercent, ScaleDown: r.ScaleDown, Destroy: r.Destroy, Reason: r.Reason}
	if out.HealthyPercent == 0 {
		out.HealthyPercent = 100
	}
	by := slices.IndexFunc(history, func(p past) bool { return p.gave(from.Name) })
	if by >= 0 {
		out.Of = history[by].ID
	}
	if r.Deployment != "" && r.Deployment != out.Of {
		return Rollback{}, delivery.Errorf(delivery.Conflict, "%s has its traffic from %s, not from deployment %s", from.Name, orNobody(out.Of), r.Deployment)
	}
	if r.Restore != "" {
		return out.explicit(seen, history, r.Restore)
	}
	switch {
	case by < 0:
		return Rollback{}, delivery.Errorf(delivery.NotFound, "no record says what took the traffic of cluster %s before %s", seen.Cluster.Key(), from.Name)
	case history[by].rollback() != nil:
		return Rollback{}, delivery.Errorf(delivery.Conflict, "%s has its traffic from the rollback %s, and a rollback is not rolled back; name the server group to restore, or deploy", from.Name, out.Of)
	case from.Deployment != "" && from.Deployment != out.Of && history[by].Promotion == nil && history[by].InPlace == nil:
		return Rollback{}, delivery.Errorf(delivery.Conflict, "%s was made by deployment %s, of which there is no record", from.Name, from.Deployment)
	}
	return out.recorded(seen, history[by:], r.Redeploy)
}

// recollect reads what the records keep of their deployments' states.
func recollect(records []delivery.Deployment) ([]past, error) {
	out := make([]past, len(records))
	for i, d := range records {
		if len(d.Detail) > 0 {
			if err := json.Unmarshal(d.Detail, &out[i].left); err != nil {
				return nil, fmt.Errorf("read detail of deployment %s: %w", d.ID, err)
			}
		}
		out[i].Deployment = d
	}
	return out, nil
}

// rolledBack returns the group that is to lose its traffic.
func rolledBack(seen delivery.Snapshot, named string) (*delivery.ServerGroup, error) {
	if named == "" {
		if g := seen.NewestServing(); g != nil {
			return g, nil
		}
		return nil, delivery.Errorf(delivery.Conflict, "no server group of cluster %s takes traffic", seen.Cluster.Key())
	}
	g := seen.Group(named)
	if g == nil {
		return nil, delivery.Errorf(delivery.NotFound, "cluster %s has no server group %s", seen.Cluster.Key(), named)
	}
	if !seen.Serving(named) {
		return nil, delivery.Errorf(delivery.Conflict, "%s takes no traffic that could be given to another server group", named)
	}
	return g, nil
}

// explicit restores the named group: it gets the share of the one that is rolled
// back, and the capacity that it had when it last served.
func (r Rollback) explicit(seen delivery.Snapshot, history []past, name string) (Rollback, error) {
	if name == r.From {
		return r, delivery.Errorf(delivery.Invalid, "%s cannot be rolled back to itself", name)
	}
	if err := restorable(seen, name); err != nil {
		return r, err
	}
	group := RecordedGroup{Name: name, Capacity: seen.Group(r.From).Capacity, Serving: true}
	group.Healthy = group.Capacity.Desired
	if was, ok := lastServed(history, name); ok {
		group = was
	}
	r.To = Recorded{Groups: []RecordedGroup{group}, Routed: seen.Routing != nil}
	if seen.Routing != nil {
		for _, w := range seen.Routing.Weights {
			if w.Percent > 0 && w.ServerGroup != name && w.ServerGroup != r.From {
				r.To.Weights = append(r.To.Weights, w)
			}
		}
		share := seen.Routing.Percent(name) + seen.Routing.Percent(r.From)
		r.To.Weights = append(r.To.Weights, delivery.Weight{ServerGroup: name, Percent: share})
	}
	return r, nil
}

// lastServed returns a group as the newest deployment recorded it that found it serving.
func lastServed(history []past, name string) (RecordedGroup, bool) {
	for _, p := range history {
		if p.Before == nil {
			continue
		}
		for _, g := range p.Before.Groups {
			if g.Name == name && g.Serving {
				return g, true
			}
		}
	}
	return RecordedGroup{}, false
}

// recorded restores what the newest deployment of the history found, or deploys it
// anew where it is gone.
func (r Rollback) recorded(seen delivery.Snapshot, history []past, redeploy bool) (Rollback, error) {
	before := history[0].Before
	if before == nil {
		return r, delivery.Errorf(delivery.NotFound, "deployment %s recorded nothing to go back to", r.Of)
	}
	sources := State{Before: before}.sources()
	switch {
	case len(sources) == 0:
		return r, delivery.Errorf(delivery.Conflict, "nothing took the traffic of cluster %s before deployment %s", seen.Cluster.Key(), r.Of)
	case history[0].InPlace == nil && before.served(r.From):
		return r, delivery.Errorf(delivery.Conflict, "%s took traffic before deployment %s as well; name the server group to restore, or deploy", r.From, r.Of)
	case before.Routed != (seen.Routing != nil):
		return r, delivery.Errorf(delivery.Conflict, "cluster %s was put behind a load balancer, or taken from one, since deployment %s began", seen.Cluster.Key(), r.Of)
	}
	r.To = Recorded{Groups: sources, Routed: before.Routed}
	for _, w := range before.Weights {
		if w.Percent > 0 {
			r.To.Weights = append(r.To.Weights, w)
		}
	}
	for _, g := range sources {
		is := seen.Group(g.Name)
		if history[0].InPlace != nil && g.Name == r.From {
			return r.redeployed(g, history[1:])
		}
		if !redeploy && is != nil && !is.Deleting {
			if err := restorable(seen, g.Name); err != nil {
				return r, err
			}
			continue
		}
		if len(sources) > 1 {
			return r, delivery.Errorf(delivery.Conflict, "%d server groups took the traffic before deployment %s and %s of them is gone; name the one to restore", len(sources), r.Of, g.Name)
		}
		return r.redeployed(g, history[1:])
	}
	return r, nil
}

// redeployed deploys the version of a group anew. Its deployment is among the
// earlier ones, or among those is the rollback that deployed it anew.
func (r Rollback) redeployed(gone RecordedGroup, earlier []past) (Rollback, error) {
	r.Gone, r.To.Groups, r.To.Weights = gone.Name, nil, nil
	i := slices.IndexFunc(earlier, func(p past) bool { return p.made(gone.Name) })
	if i < 0 {
		return r, delivery.Errorf(delivery.NotFound, "%s, and there is no record of what it was made of before", r.lost())
	}
	r.Redeploys = earlier[i].ID
	if again := earlier[i].rollback(); again != nil {
		r.Redeploys = again.Redeploys
	}
	r.Capacity = &gone.Capacity
	return r, nil
}

// restorable tells why a group cannot take the traffic back.
func restorable(seen delivery.Snapshot, name string) error {
	g := seen.Group(name)
	switch {
	case g == nil:
		return delivery.Errorf(delivery.NotFound, "cluster %s has no server group %s", seen.Cluster.Key(), name)
	case g.Deleting || !g.Complete:
		return delivery.Errorf(delivery.Conflict, "%s is being created or deleted", name)
	case seen.Routing != nil && !known(seen.Routing, name):
		return delivery.Errorf(delivery.Conflict, "load balancer %s does not know %s", seen.Routing.LoadBalancer, name)
	}
	return nil
}

func orNobody(id delivery.DeploymentID) string {
	if id == "" {
		return "no recorded deployment"
	}
	return "deployment " + string(id)
}
