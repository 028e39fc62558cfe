package fakecloud

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

var (
	_ delivery.Target  = (*Cloud)(nil)
	_ delivery.Targets = (*Cloud)(nil)
)

// Target returns the cloud itself for its one cluster.
func (c *Cloud) Target(cluster delivery.Cluster) (delivery.Target, error) {
	if cluster.Account != c.cluster.Account || cluster.Region != c.cluster.Region {
		return nil, delivery.Errorf(delivery.Invalid, "account %s has no region %s", cluster.Account, cluster.Region)
	}
	return c, nil
}

// Accounts returns the account of the one cluster.
func (c *Cloud) Accounts() []delivery.Account {
	return []delivery.Account{{Name: c.cluster.Account, Provider: c.cluster.Provider, AccountID: "000000000000", Regions: []string{c.cluster.Region}}}
}

// Describe returns capabilities that fit the configuration.
func (c *Cloud) Describe() delivery.Descriptor {
	return delivery.Descriptor{Kind: "fake/group", Schema: json.RawMessage(`{"type":"object"}`),
		Capabilities: delivery.Capabilities{Weighted: true, MaxDestinations: 5, Settle: c.config.Settle, Drain: c.config.Drain, Resize: !c.config.Unsized,
			InPlace: !c.config.Unsized, KeepsVersions: c.config.KeepsVersions, Previews: c.ways(),
			Metrics: delivery.CloudWatch, MetricDelay: c.config.MetricDelay}}
}

// Validate finds nothing wrong but an image named "unknown" and a source that is not there.
func (c *Cloud) Validate(ctx context.Context, _ delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	if err := c.fault(ctx); err != nil {
		return nil, err
	}
	if spec.Image == "unknown" {
		return []delivery.Finding{{Pointer: "/amiName", Message: "no image of that name"}}, nil
	}
	if spec.From != "" && c.Truth().Group(spec.From) == nil {
		return []delivery.Finding{{Pointer: delivery.AtSource, Message: "no server group of that name"}}, nil
	}
	return nil, nil
}

// Observe returns the truth, or, under a Stale fault, what it was a while ago.
func (c *Cloud) Observe(ctx context.Context, _ delivery.Cluster, _ string) (delivery.Snapshot, error) {
	if err := c.fault(ctx); err != nil {
		return delivery.Snapshot{}, err
	}
	stale := c.roll(c.config.Faults.Stale)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(c.config.Now())
	now := c.snapshot()
	c.past = append(c.past, now)
	c.past = slices.DeleteFunc(c.past, func(s delivery.Snapshot) bool { return s.ObservedAt.Before(c.at.Add(-c.config.Faults.StaleFor)) })
	if stale && len(c.past) > 0 {
		old := c.past[c.rng.Intn(len(c.past))]
		old.ObservedAt = c.at
		return old, nil
	}
	return now, nil
}

// Truth returns the snapshot as of now, without faults.
func (c *Cloud) Truth() delivery.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(c.config.Now())
	return c.snapshot()
}

func (c *Cloud) snapshot() delivery.Snapshot {
	s := delivery.Snapshot{Cluster: c.cluster, ObservedAt: c.at}
	for _, name := range c.names() {
		if g := c.groups[name]; g.template || g.target || g.attached || g.exists {
			s.Groups = append(s.Groups, c.present(g))
		}
	}
	if c.config.Router {
		r := &delivery.Routing{Router: "rule/1", LoadBalancer: "lb", Fingerprint: fmt.Sprint(c.revision)}
		for _, name := range c.names() {
			if c.groups[name].attached {
				r.Weights = append(r.Weights, delivery.Weight{ServerGroup: name, Percent: c.rule[name]})
			}
		}
		r.Previews = c.previews()
		s.Routing = r
	}
	return s
}

func (c *Cloud) present(g *group) delivery.ServerGroup {
	_, sequence, _ := delivery.ParseServerGroup(g.name)
	out := delivery.ServerGroup{Name: g.name, Sequence: sequence, CreatedAt: g.created, Image: g.image,
		HealthSources: []string{"fake"}, Managed: g.managed, Deployment: g.deployment, Deleting: g.deleting,
		Complete: g.exists && g.template && g.target && (g.attached || !c.config.Router), Problems: slices.Clone(g.problems)}
	if g.exists {
		out.Capacity = g.capacity
	}
	c.presentVersions(g, &out)
	for _, in := range g.instances {
		state := delivery.HealthStarting
		switch {
		case !in.leavingAt.IsZero():
			state = delivery.HealthDraining
		case in.healthy(c.at):
			state = delivery.HealthUp
		case in.sickUntil.After(c.at):
			state = delivery.HealthDown
		}
		out.Instances = append(out.Instances, delivery.Instance{ID: in.id, LaunchedAt: in.launched, Version: c.shown(in.version),
			Health: []delivery.Health{{Source: "fake", State: state}}})
	}
	return out
}

// Apply makes one write.
func (c *Cloud) Apply(ctx context.Context, ch delivery.Change) (delivery.Receipt, error) {
	if err := c.fault(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	after := c.roll(c.config.Faults.After)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(c.config.Now())
	if err := delivery.Guard(c.snapshot(), ch); err != nil {
		return delivery.Receipt{}, err
	}
	healthy := c.healthyIn(ch.Group)
	receipt, err := c.apply(ch)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if receipt.Wrote != "" {
		c.writes = append(c.writes, Write{At: c.at, Change: ch, Action: receipt.Wrote})
		c.reconcile()
		c.checkShrink(ch, healthy)
		c.check(receipt.Wrote)
		if after {
			return delivery.Receipt{}, delivery.Errorf(delivery.Transient, "connection reset after %s", receipt.Wrote)
		}
	}
	return receipt, nil
}

func (c *Cloud) apply(ch delivery.Change) (delivery.Receipt, error) {
	switch ch.Kind {
	case delivery.CreateGroup:
		return c.create(ch)
	case delivery.ResizeGroup:
		g := c.groups[ch.Group]
		if c.config.Unsized {
			c.violate("resize of %s, which has no size", ch.Group)
			return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "server group %s cannot be resized", ch.Group)
		}
		if g == nil || !g.exists || g.deleting {
			return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "no server group %s", ch.Group)
		}
		if g.capacity == *ch.Capacity {
			return delivery.Receipt{Done: true}, nil
		}
		c.checkWrite(ch)
		g.capacity = *ch.Capacity
		return delivery.Receipt{Done: true, Wrote: "Resize"}, nil
	case delivery.SetRouting:
		return c.setRouting(ch)
	case delivery.UpdateGroup:
		return c.update(ch)
	case delivery.PruneGroup:
		return c.prune(ch)
	case delivery.CreatePreview:
		return c.setPreview(ch)
	case delivery.DeletePreview:
		return c.unsetPreview(ch)
	default:
		return c.destroy(ch)
	}
}

func (c *Cloud) create(ch delivery.Change) (delivery.Receipt, error) {
	g, from := c.groups[ch.Group], c.groups[ch.Spec.From]
	if ch.Spec.From != "" && (from == nil || !from.exists) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "no server group %s", ch.Spec.From)
	}
	if g == nil {
		g = &group{name: ch.Group, deployment: ch.Deployment, managed: true, image: ch.Spec.Image}
		image := ch.Spec.Image
		if from != nil {
			image = cmp.Or(image, from.image)
		}
		g.make("made by "+string(ch.Key), made{image, ch.Key})
		c.groups[ch.Group] = g
	}
	if g.deployment != ch.Deployment {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "%s belongs to %s", g.name, g.deployment)
	}
	switch {
	case !g.template:
		c.checkWrite(ch)
		g.template = true
		return delivery.Receipt{Wrote: "CreateTemplate"}, nil
	case !g.target:
		c.checkWrite(ch)
		g.target = true
		return delivery.Receipt{Wrote: "CreateTarget"}, nil
	case !g.attached && c.config.Router:
		c.checkWrite(ch)
		g.attached = true
		c.revision++
		return delivery.Receipt{Wrote: "Attach"}, nil
	case !g.exists:
		c.checkWrite(ch)
		g.exists, g.capacity, g.created = true, *ch.Capacity, c.at
		if c.config.Unsized {
			g.capacity = ch.Spec.Capacity
		}
		return delivery.Receipt{Done: true, Wrote: "CreateGroup"}, nil
	default:
		return delivery.Receipt{Done: true}, nil
	}
}

func (c *Cloud) setRouting(ch delivery.Change) (delivery.Receipt, error) {
	want := map[string]int{}
	for _, w := range ch.Weights {
		if g := c.groups[w.ServerGroup]; w.Percent > 0 && (g == nil || !g.attached) {
			return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "no server group %s", w.ServerGroup)
		}
		want[w.ServerGroup] = w.Percent
	}
	same := true
	for _, name := range c.names() {
		same = same && want[name] == c.rule[name]
	}
	if same {
		return delivery.Receipt{Done: true}, nil
	}
	if ch.Fingerprint != fmt.Sprint(c.revision) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "the routing is no longer %s", ch.Fingerprint)
	}
	c.checkWrite(ch)
	c.rule = want
	c.revision++
	c.effectiveAt = c.at.Add(max(c.config.Settle*9/10, time.Nanosecond))
	return delivery.Receipt{Done: true, Wrote: "SetWeights"}, nil
}

func (c *Cloud) destroy(ch delivery.Change) (delivery.Receipt, error) {
	g := c.groups[ch.Group]
	switch {
	case g == nil || !g.template && !g.target && !g.attached && !g.exists:
		return delivery.Receipt{Done: true}, nil
	case g.attached:
		c.checkWrite(ch)
		g.attached = false
		delete(c.rule, g.name)
		c.revision++
		return delivery.Receipt{Wrote: "Detach"}, nil
	case g.exists && !g.deleting:
		c.checkWrite(ch)
		g.deleting, g.goneAt = true, c.at.Add(max(c.config.Drain, time.Nanosecond))
		return delivery.Receipt{Wrote: "DeleteGroup"}, nil
	case g.deleting:
		return delivery.Receipt{Waiting: g.name + " to be gone"}, nil
	case g.target:
		g.target = false
		return delivery.Receipt{Wrote: "DeleteTarget"}, nil
	default:
		g.template = false
		return delivery.Receipt{Done: true, Wrote: "DeleteTemplate"}, nil
	}
}

// Orphans returns groups of which pieces but no whole are left, and groups of
// the deployments named by a prefix.
func (c *Cloud) Orphans(deployment string) []string {
	var out []string
	for _, g := range c.Truth().Groups {
		if !g.Complete || deployment != "" && strings.HasPrefix(string(g.Deployment), deployment) {
			out = append(out, g.Name)
		}
	}
	return out
}
