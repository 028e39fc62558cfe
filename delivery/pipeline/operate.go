package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// OperateStage is the input of a stage that does something to server groups that
// are there already.
type OperateStage struct {
	// Clusters has one entry per region, in the document's order.
	Clusters []OperateCluster
}

// OperateCluster is one operation on one cluster, on one of its server groups or
// on several.
type OperateCluster struct {
	Cluster delivery.Cluster
	// Operation is the zero value for a promotion.
	Operation rollout.Operation
	// Promotion is nil for an operation.
	Promotion *rollout.Promotion
	// Group is the name of the server group; empty when Operation.Select says which.
	Group string
	// Strategy has the timeouts and the concurrency, for a promotion all of it.
	Strategy rollout.Strategy
}

// LoadBalancer returns the name to observe the cluster with: empty where routing
// is found from the groups' attachments.
func (c OperateCluster) LoadBalancer() string {
	if c.Cluster.Provider == cloudRun {
		return c.Cluster.Name() // the service is the load balancer
	}
	return ""
}

// Input is what an operation is asked to do. Who carries it out adds deployment
// and fence.
func (c OperateCluster) Input(capabilities delivery.Capabilities) rollout.Input {
	in := rollout.Input{Cluster: c.Cluster, Strategy: c.Strategy, Capabilities: capabilities, Group: c.Group}
	in.Spec.LoadBalancer = c.LoadBalancer()
	if in.Promotion = c.Promotion; in.Promotion != nil {
		return in
	}
	in.Operation = &c.Operation
	if c.Operation.Capacity != nil {
		in.Spec.Capacity = *c.Operation.Capacity
	}
	return in
}

// Operates reports whether stages of the type do something to a server group that
// is there already: ParseOperate reads them.
func Operates(stageType string) bool {
	return stageType == PromoteType || slices.Contains(rollout.Operations(), rollout.OperationKind(stageType))
}

// ParseOperate reads an evaluated stage of a type that operates. An Invalid error
// carries findings with pointers relative to the stage, for example /capacity/min.
func ParseOperate(stageType string, context json.RawMessage) (OperateStage, error) {
	if !Operates(stageType) {
		return OperateStage{}, delivery.Errorf(delivery.Invalid, "stage type %q is no operation on a server group", stageType)
	}
	r := &reader{}
	var stage OperateStage
	if o, ok := r.document(context); ok {
		stage = readOperate(o, rollout.OperationKind(stageType))
	}
	if err := delivery.InvalidError(stageType+" stage is not valid", r.findings); err != nil {
		return OperateStage{}, err
	}
	return stage, nil
}

func readOperate(o object, kind rollout.OperationKind) OperateStage {
	if kind.OfCluster() {
		return readClusterOperation(o, kind)
	}
	one := OperateCluster{
		Cluster:   delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o)},
		Operation: rollout.Operation{Kind: kind},
		Group:     readEither(o, "serverGroupName", "asgName"),
	}
	one.Cluster.Moniker = readOperated(o, one.Group)
	if kind == PromoteType {
		one = readPromotion(o, one)
	} else {
		one.Operation.Select, one.Strategy = readTarget(o, one.Group), readTimeouts(o, kind)
	}
	switch kind {
	case rollout.ResizeOperation:
		one.Operation.Capacity, one.Operation.Scale = readResize(o)
		if one.Cluster.Provider == cloudRun {
			o.refuse("cloudProvider", "is %q: the size of a revision cannot be changed", cloudRun)
		}
	case rollout.DisableOperation:
		if n, ok := o.whole("desiredPercentage"); ok && n != 100 || o.dynamic("desiredPercentage") {
			o.refuse("desiredPercentage", "is %s; a server group is disabled as a whole", o.fields["desiredPercentage"])
		}
	}
	stage := inRegions(o, one)
	refuseRepeating(o, one.Operation, len(stage.Clusters))
	return stage
}

// refuseRepeating refuses retry where a later attempt would do more than the first was
// asked to do. What failed was given back before, except a destruction; what had
// succeeded in another region was not.
func refuseRepeating(o object, op rollout.Operation, regions int) {
	if !o.given("retry") {
		return
	}
	destroys := op.Kind == rollout.DestroyOperation || op.Kind == rollout.AbandonOperation
	switch {
	case destroys && op.Select != "":
		o.refuse("retry", "cannot be used with target: the next attempt could destroy another server group; name the server group")
	case regions > 1 && op.Scale != nil:
		o.refuse("retry", "cannot be used with %s in several regions: a region that was scaled would be scaled again; make one stage for each region", o.text("action"))
	case regions > 1 && op.Kind == rollout.ResizeOperation && op.Select == delivery.SelectLargest:
		o.refuse("retry", "cannot be used with target %s in several regions: a region that was resized could have another largest server group; make one stage for each region", o.text("target"))
	}
}

// inRegions is the operation in each of the stage's regions.
func inRegions(o object, one OperateCluster) OperateStage {
	var stage OperateStage
	for _, region := range readOperateRegions(o) {
		in := one
		in.Cluster.Region = region
		stage.Clusters = append(stage.Clusters, in)
	}
	return stage
}

// readEither returns the first given of two names of one field.
func readEither(o object, name, other string) string {
	a, b := o.text(name), o.text(other)
	if a != "" && b != "" && a != b {
		o.refuse(other, "is %q, but %s is %q", b, name, a)
	}
	return cmp.Or(a, b)
}

// readCredentials returns the account: Spinnaker calls it credentials here.
func readCredentials(o object) string {
	account := readEither(o, "credentials", "account")
	if account == "" && !o.dynamic("credentials") && !o.dynamic("account") {
		o.refuse("credentials", "is required: the account")
	}
	return account
}

// readOperated returns the one cluster that is meant: of cluster, of moniker, or of
// the server group's name. What is given twice has to be the same.
func readOperated(o object, group string) delivery.Moniker {
	type source struct {
		field string
		is    delivery.Moniker
	}
	var found []source
	if name := o.text("cluster"); name != "" {
		m, _, _ := delivery.ParseServerGroup(name + "-v000")
		found = append(found, source{"cluster", m})
	}
	if m, ok := o.child("moniker"); ok && m.text("app") != "" {
		is := delivery.Moniker{App: m.text("app"), Stack: m.text("stack"), Detail: m.text("detail")}
		if !m.dynamic("stack") && !m.dynamic("detail") {
			found = append(found, source{"moniker", is})
		}
	}
	if group != "" {
		m, _, ok := delivery.ParseServerGroup(group)
		if !ok {
			o.refuse(givenOf(o, "serverGroupName", "asgName"), "%q is not the name of a server group: it does not end in -v and a number", group)
			return m
		}
		found = append(found, source{givenOf(o, "serverGroupName", "asgName"), m})
	}
	if len(found) == 0 {
		if !slices.ContainsFunc([]string{"cluster", "moniker", "serverGroupName", "asgName"}, func(name string) bool {
			return o.given(name) && strings.Contains(string(o.fields[name]), "${") && o.r.deferred
		}) {
			o.refuse("cluster", "is required: the name of the cluster, for example storefront-prod")
		}
		return delivery.Moniker{}
	}
	for _, other := range found[1:] {
		if other.is != found[0].is {
			o.refuse(other.field, "is of cluster %s, but %s is of %s", other.is.Cluster(), found[0].field, found[0].is.Cluster())
		}
	}
	for _, f := range found[0].is.Validate() {
		o.refuse(found[0].field, "%s", f.Message)
	}
	return found[0].is
}

// givenOf returns which of two names of one field is given.
func givenOf(o object, name, other string) string {
	if o.given(name) {
		return name
	}
	return other
}

// readTarget returns which group is meant when none is named.
func readTarget(o object, group string) delivery.Selection {
	word := o.text("target")
	named := group != "" || o.dynamic("serverGroupName") || o.dynamic("asgName")
	switch {
	case word == "" && (named || o.dynamic("target")):
		return ""
	case word == "":
		o.refuse("target", "is required: which server group, for example current_asg_dynamic; or its name as serverGroupName")
		return ""
	case named:
		o.refuse("target", "is %q, and serverGroupName names one; only one of them can say which server group", word)
		return ""
	}
	which, err := delivery.ParseSelection(word)
	if err != nil {
		o.refuse("target", "%s", delivery.FindingsOf(err)[0].Message)
	}
	return which
}

func readOperateRegions(o object) []string {
	region, regions := o.text("region"), o.texts("regions")
	switch {
	case len(regions) > 0:
		for i, one := range regions {
			if one == "" || slices.Contains(regions[:i], one) {
				o.r.refuse(fmt.Sprintf("%s/%d", o.pointer("regions"), i), "%q is empty or there twice", one)
			}
			if region != "" && !slices.Contains(regions, region) {
				o.refuse("region", "is %q, which is not among regions", region)
			}
		}
		return regions
	case region != "":
		return []string{region}
	case o.dynamic("region"), o.dynamic("regions"), o.r.deferred && len(o.list("regions")) > 0:
		return nil
	}
	o.refuse("regions", "is required: the regions of the cluster")
	return nil
}

// readResize returns the capacity of a resize, or what is added to it.
func readResize(o object) (*delivery.Capacity, *rollout.Scale) {
	if n, ok := o.whole("targetHealthyDeployPercentage"); ok && n != 100 {
		o.refuse("targetHealthyDeployPercentage", "is %d; a resize waits for all instances", n)
	}
	switch action := o.text("action"); action {
	case "scale_up", "scale_down":
		return nil, &rollout.Scale{By: readScale(o), Down: action == "scale_down"}
	case "", "scale_exact":
		if o.dynamic("action") {
			return nil, nil
		}
	default:
		o.refuse("action", "is %q; must be scale_exact, scale_up or scale_down", action)
	}
	capacity := readCapacity(o)
	return &capacity, nil
}

// readScale returns by how much a group is scaled: scalePct or scaleNum.
func readScale(o object) rollout.Amount {
	percent, isPercent := o.whole("scalePct")
	number, isNumber := o.whole("scaleNum")
	name, n, which := "scaleNum", number, o.text("resizeType")
	switch {
	case isPercent && isNumber && which != "pct" && which != "incr":
		o.refuse("scaleNum", "is given together with scalePct; only one of them can say by how much, or resizeType (pct or incr)")
	case isPercent && (!isNumber || which == "pct"):
		name, n = "scalePct", percent
	case !isNumber && !o.dynamic("scalePct") && !o.dynamic("scaleNum"):
		o.refuse("scaleNum", "is required for the action, or scalePct")
		return rollout.Amount{}
	case !isNumber:
		return rollout.Amount{}
	}
	if n < 1 {
		o.refuse(name, "is %d; must be at least 1", n)
	}
	if most := mostScale(name); n > most {
		o.refuse(name, "is %d; must be at most %d, since a server group has at most %d instances", n, most, delivery.MaxInstances)
	}
	if name == "scalePct" {
		return rollout.Percentage(n)
	}
	return rollout.Instances(n)
}

// mostScale is the most that can make sense: what makes the largest group of nothing or,
// in percent, of one instance.
func mostScale(name string) int {
	if name == "scalePct" {
		return 100 * delivery.MaxInstances
	}
	return delivery.MaxInstances
}

// readTimeouts reads what an operation has of a strategy.
func readTimeouts(o object, kind rollout.OperationKind) rollout.Strategy {
	fields := map[string]json.RawMessage{}
	for _, name := range [...]string{"healthTimeoutSec", "deadlineSec", "concurrency"} {
		if o.given(name) {
			fields[name] = o.fields[name]
		}
	}
	only := o
	only.fields = fields
	raw, err := json.Marshal(fields)
	if err != nil {
		o.r.refuse(o.at, "is not an object: %v", err)
	}
	s := readStrategy(only, raw)
	s.Kind, s.MaxRemaining = rollout.Kind(kind), 0
	return s
}
