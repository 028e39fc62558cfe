package mig

import (
	"context"
	"regexp"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// pieces is what exists of one server group.
type pieces struct {
	name    string
	manager *computepb.InstanceGroupManager
	// template is the one of templates that the group uses, or was to use.
	template   *computepb.InstanceTemplate
	templates  []*computepb.InstanceTemplate
	autoscaler *computepb.Autoscaler
	// services are the backend services that lead to the group: the one that was
	// made for it, and for groups of others those of any name.
	services []*computepb.BackendService
}

// piecesOf reads the pieces of one group by its name.
func (t *Target) piecesOf(ctx context.Context, group string) (*pieces, error) {
	p := &pieces{name: group}
	var err error
	if p.manager, err = t.manager(ctx, group); err != nil {
		return nil, err
	}
	if p.templates, err = t.templatesNamed(ctx, regexp.QuoteMeta(group)+templateSuffix); err != nil {
		return nil, err
	}
	p.choose()
	service, err := t.service(ctx, group)
	if err != nil {
		return nil, err
	}
	if service != nil {
		p.services = []*computepb.BackendService{service}
	}
	p.autoscaler, err = t.autoscalerOf(ctx, p.manager, group)
	return p, err
}

// autoscalerOf returns the autoscaler of a group, which others may have given
// another name than the group's; nil for none.
func (t *Target) autoscalerOf(ctx context.Context, m *computepb.InstanceGroupManager, group string) (*computepb.Autoscaler, error) {
	name := group
	if url := m.GetStatus().GetAutoscaler(); url != "" {
		name = nameOf(url)
	}
	a, err := t.autoscaler(ctx, name)
	if err != nil || !t.scalesGroup(a, group) {
		return nil, err
	}
	return a, nil
}

// scalesGroup reports whether the group is the autoscaler's: one of the same name
// may be another group's.
func (t *Target) scalesGroup(a *computepb.Autoscaler, group string) bool {
	return a != nil && pathOf(a.GetTarget()) == t.path("instanceGroupManagers", group)
}

// leads reports whether a backend service of the group has the path.
func (p *pieces) leads(service string) bool {
	return slices.ContainsFunc(p.services, func(s *computepb.BackendService) bool { return pathOf(s.GetSelfLink()) == service })
}

// tags returns the ownership tags from whichever piece is there.
func (p *pieces) tags() tags {
	for _, description := range p.descriptions() {
		if found := tagsIn(description.text); found != nil {
			return found
		}
	}
	return nil
}

// described is a piece's description.
type described struct{ what, text string }

// descriptions are those of the pieces that carry their owner: all but the
// autoscaler, which is the group's whoever made it.
func (p *pieces) descriptions() []described {
	var out []described
	if p.manager != nil {
		out = append(out, described{"managed instance group", p.manager.GetDescription()})
	}
	for _, v := range p.templates {
		out = append(out, described{"instance template", v.GetDescription()})
	}
	for _, s := range p.services {
		if s.GetName() == p.name {
			out = append(out, described{"backend service", s.GetDescription()})
		}
	}
	return out
}

// templateURL is the template of the group's instances.
func (p *pieces) templateURL() string {
	if url := p.manager.GetInstanceTemplate(); url != "" {
		return url
	}
	for _, v := range p.manager.GetVersions() {
		return v.GetInstanceTemplate()
	}
	return ""
}
