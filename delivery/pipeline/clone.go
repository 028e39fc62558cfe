package pipeline

import (
	"cmp"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
)

// CloneType is the stage type that deploys a server group made like another one.
const CloneType = "cloneServerGroup"

// Clones reports whether the new server group is made like another one.
func (c DeployCluster) Clones() bool { return c.Source != "" || c.Spec.From != "" }

// Chosen is the deployment with what follows from the cluster as it was seen: which
// server group Source means, its capacity if that is asked for, and the load balancer
// that the cluster is behind. Invalid carries findings with pointers relative to the
// stage. A deployment that clones nothing is returned as it is.
func (c DeployCluster) Chosen(seen delivery.Snapshot) (DeployCluster, error) {
	if !c.Clones() {
		return c, nil
	}
	refuse := func(pointer, message string) (DeployCluster, error) {
		return c, delivery.InvalidError("there is nothing to clone", []delivery.Finding{{Pointer: pointer, Message: message}})
	}
	if c.Source != "" {
		g, err := seen.Select(c.Source, delivery.SelectOptions{})
		if err != nil {
			return refuse("/target", err.Error())
		}
		c.Spec.From, c.Source = g.Name, ""
	}
	if seen.Routing != nil {
		c.Spec.LoadBalancer = cmp.Or(c.Spec.LoadBalancer, seen.Routing.LoadBalancer)
	}
	if !c.UseSourceCapacity {
		return c, nil
	}
	source := seen.Group(c.Spec.From)
	switch {
	case source == nil:
		return refuse(delivery.AtSource, "cluster "+seen.Cluster.Key()+" has no server group "+c.Spec.From)
	case source.Capacity.Desired == 0:
		return refuse("/capacity", "is required: "+c.Spec.From+" has no instances")
	}
	c.Spec.Capacity, c.UseSourceCapacity = source.Capacity, false
	return c, nil
}

// readClone reads a stage that clones. It is one deployment; its settings are the
// stage itself.
func readClone(o object) DeployStage {
	source, _ := o.child("source")
	source.r = o.r // also when there is none
	one := DeployCluster{
		Cluster:           delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o), Region: readCloneRegion(o, source)},
		UseSourceCapacity: o.flag("useSourceCapacity", !o.given("capacity") && !o.given("targetSize")),
	}
	if o.flag("inPlace", false) {
		o.refuse("inPlace", "cannot be used: a clone is a new server group")
	}
	named := readEither(source, "serverGroupName", "asgName")
	one.Cluster.Moniker = readCloned(o, named)
	one.Spec.From, one.Source = readSource(o, source, one.Cluster.Moniker)
	if !one.UseSourceCapacity {
		one.Spec.Capacity = readCapacity(o)
	} else if m, _, _ := delivery.ParseServerGroup(one.Spec.From); one.Spec.From != "" && m != one.Cluster.Moniker {
		o.refuse("capacity", "is required: %s is of another cluster", one.Spec.From)
	}
	for _, name := range [...]string{"amiName", "imageId", "image"} {
		one.Spec.Image = cmp.Or(one.Spec.Image, o.text(name))
	}
	one.Spec.LoadBalancer = readLoadBalancer(o)
	if one.Cluster.Provider == cloudRun {
		one.Spec.LoadBalancer = cmp.Or(one.Spec.LoadBalancer, one.Cluster.Name()) // the service is the load balancer
	}
	one.MayBeRouted = one.Spec.LoadBalancer == ""
	settings, err := json.Marshal(o.fields)
	if err != nil {
		o.r.refuse(o.at, "is not an object: %v", err)
	}
	one.Spec.Settings, one.Strategy = settings, readStrategy(o, settings)
	if !one.UseSourceCapacity {
		refuseOversized(o, one.Strategy, one.Spec.Capacity)
	}
	return DeployStage{Clusters: []DeployCluster{one}}
}

// readCloneRegion returns region, or the one key of availabilityZones, or the
// source's region. A copy is made in the account and region of its source.
func readCloneRegion(o, source object) string {
	region := o.text("region")
	if zones, ok := o.child("availabilityZones"); ok {
		for _, name := range zones.names() {
			zones.texts(name)
			if region = cmp.Or(region, name); name != region {
				o.refuse("availabilityZones", "names region %q beside %q; a server group is cloned in one region", name, region)
			}
		}
	}
	from, account := source.text("region"), readEither(o, "credentials", "account")
	if from != "" && region != "" && from != region {
		source.refuse("region", "is %q, but the clone's is %q; a server group is cloned within its account and region", from, region)
	}
	if other := source.text("account"); other != "" && account != "" && other != account {
		source.refuse("account", "is %q, but the clone's is %q; a server group is cloned within its account and region", other, account)
	}
	if region = cmp.Or(region, from); region == "" && !o.dynamic("region") && !source.dynamic("region") && !o.dynamic("availabilityZones") {
		o.refuse("region", "is required: the region of the server group")
	}
	return region
}

// readCloned returns the cluster that the clone is made in: what stack and
// freeFormDetails say, else targetCluster, moniker or cluster, else the source's.
func readCloned(o object, named string) delivery.Moniker {
	app := o.text("application")
	if o.given("stack") || o.given("freeFormDetails") {
		return readMoniker(o)
	}
	var m delivery.Moniker
	field, target, cluster := "targetCluster", o.text("targetCluster"), o.text("cluster")
	switch moniker, ok := o.child("moniker"); {
	case target != "":
		m, _, _ = delivery.ParseServerGroup(target + "-v000")
	case ok:
		field, m = "moniker", delivery.Moniker{App: moniker.text("app"), Stack: moniker.text("stack"), Detail: moniker.text("detail")}
	case cluster != "":
		field = "cluster"
		m, _, _ = delivery.ParseServerGroup(cluster + "-v000")
	case named != "":
		field = "source"
		m, _, _ = delivery.ParseServerGroup(named)
	case app != "":
		return readMoniker(o)
	default:
		if !o.r.deferred {
			o.refuse(field, "is required: the name of the cluster, for example storefront-prod")
		}
		return m
	}
	if app != "" && app != m.App {
		o.refuse("application", "is %q, but %s is of %q", app, field, m.App)
	}
	for _, f := range m.Validate() {
		o.refuse(field, "%s", f.Message)
	}
	return m
}

// readSource returns the named source, or which of the cluster's groups is meant.
// Where both are given the target counts, as in Spinnaker: the name is then an
// example of the cluster.
func readSource(o, source object, cluster delivery.Moniker) (string, delivery.Selection) {
	word, named := o.text("target"), readEither(source, "serverGroupName", "asgName")
	dynamic := o.dynamic("target") || o.dynamic("source") || source.dynamic("serverGroupName") || source.dynamic("asgName")
	if word == "" {
		if named == "" && !dynamic {
			o.refuse("target", "is required: which server group to clone, for example current_asg_dynamic; or its name as source.serverGroupName")
		}
		return named, ""
	}
	which, err := delivery.ParseSelection(word)
	if err != nil {
		o.refuse("target", "%s", delivery.FindingsOf(err)[0].Message)
	}
	from := o.text("targetCluster")
	if m, _, ok := delivery.ParseServerGroup(named); from == "" && ok {
		from = m.Cluster()
	}
	if from != "" && from != cluster.Cluster() {
		o.refuse("target", "is a server group of %s, but the clone is made in %s; name the server group of another cluster in source.serverGroupName", from, cluster.Cluster())
	}
	return "", which
}
