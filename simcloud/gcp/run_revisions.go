package gcp

import (
	"cmp"
	"slices"
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/simcloud"
)

// newRevision makes the revision that a service's template stands for.
func (c *call) newRevision(s *runpb.Service, path string) {
	p := c.project.run
	c.deployment = s.Template.GetAnnotations()[annotationPrefix+"deployment"]
	m := &runpb.Revision{}
	template := proto.Clone(s.Template).(*runpb.RevisionTemplate)
	copyShared(m.ProtoReflect(), proto.Clone(template).ProtoReflect())
	m.Name, m.Service, m.Uid = path, nameOf(s.Name), c.cloud.newUID()
	m.Generation, m.Etag, m.Creator = 1, `"`+c.cloud.newHash()+`"`, c.principal.email
	m.CreateTime, m.UpdateTime = timestamppb.New(c.now), timestamppb.New(c.now)
	m.Reconciling, m.LaunchStage = true, s.LaunchStage
	for _, kind := range []string{conditionReady, conditionImage, conditionHealthy, conditionResources} {
		m.Conditions = setCondition(m.Conditions, condition(kind, reconciling, c.now))
	}
	r := &resource{path: path, message: m, created: c.now, tags: runTags(m.GetAnnotations())}
	c.data.resources[path] = r
	p.services[s.Name].made++
	p.addRevision(path, s.Name, template, c.now)
	capacity := runCapacity(template)
	at := regionOfPath(path)
	c.project.log(at, simcloud.Event{
		Kind: simcloud.ResourceCreated, Type: simcloud.TypeTargetGroup, Resource: hiddenGroup(path), Name: nameOf(path), Tags: r.tags,
		Group: nameOf(path), Principal: c.principal.email,
	})
	c.project.log(at, simcloud.Event{
		Kind: simcloud.ResourceCreated, Type: simcloud.TypeGroup, Resource: path, Name: nameOf(path), Tags: r.tags,
		Capacity: &capacity, TargetGroups: []string{hiddenGroup(path)}, Principal: c.principal.email,
	})
}

func (c *call) getRevision(in *runpb.GetRevisionRequest) (*runpb.Revision, error) {
	m := lookup[*runpb.Revision](c.data, in.GetName())
	if m == nil {
		return nil, runNotFound(in.GetName())
	}
	return m, nil
}

// listRevisions lists a service's revisions, newest first, or those of a location for the service "-" (discovery document).
func (c *call) listRevisions(in *runpb.ListRevisionsRequest) (*runpb.ListRevisionsResponse, error) {
	var list []*resource
	if location, every := strings.CutSuffix(in.GetParent(), "/services/-"); every {
		for _, r := range all[*runpb.Revision](c.data) {
			if strings.HasPrefix(r.path, location+"/") {
				list = append(list, r)
			}
		}
	} else {
		list = c.data.under(in.GetParent() + "/revisions")
	}
	part, next, refusal := page(newestFirst(list), in.GetPageToken(), int(in.GetPageSize()), c.cloud.options.PageSize)
	if refusal != nil {
		return nil, refusal
	}
	out := &runpb.ListRevisionsResponse{NextPageToken: next}
	for _, r := range part {
		out.Revisions = append(out.Revisions, r.message.(*runpb.Revision))
	}
	return out, nil
}

func (c *call) deleteRevision(in *runpb.DeleteRevisionRequest) (*longrunningpb.Operation, error) {
	r := c.data.resources[in.GetName()]
	m := lookup[*runpb.Revision](c.data, in.GetName())
	if m == nil {
		return nil, runNotFound(in.GetName())
	}
	if refusal := checkEtag(m.Name, in.GetEtag(), m.Etag); refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkDispensable(m); refusal != nil {
		return nil, refusal
	}
	if in.GetValidateOnly() {
		c.unchanged = true
		return c.cloud.validated(m), nil
	}
	c.removeRevision(r)
	m.DeleteTime, m.Reconciling = timestamppb.New(c.now), true
	return c.beginRunOperation(&runOperation{removed: m}, m), nil
}

// checkDispensable refuses to delete a revision that can receive traffic, the only one, or the latest ("Manage revisions",
// Delete revisions).
func (c *call) checkDispensable(m *runpb.Revision) *apiError {
	path, _, _ := strings.Cut(m.Name, "/revisions/")
	s := lookup[*runpb.Service](c.data, path)
	name := nameOf(m.Name)
	switch {
	case s == nil:
		return nil
	case len(c.data.under(path+"/revisions")) == 1:
		return runPrecondition("Revision '%s' is the only revision of its service and cannot be deleted.", name)
	case s.LatestCreatedRevision == m.Name:
		return runPrecondition("Revision '%s' is the latest created revision of its service and cannot be deleted.", name)
	case c.receives(s, name):
		return runPrecondition("Revision '%s' can receive traffic and cannot be deleted. Remove it from the service's traffic first.", name)
	}
	return nil
}

// receives tells whether traffic names a revision, as wanted or as it is.
func (c *call) receives(s *runpb.Service, name string) bool {
	latest := cmp.Or(nameOf(s.LatestReadyRevision), nameOf(s.LatestCreatedRevision))
	return slices.ContainsFunc(s.Traffic, func(t *runpb.TrafficTarget) bool {
		return t.GetRevision() == name || t.GetType() == trafficLatest && latest == name
	}) || slices.ContainsFunc(s.TrafficStatuses, func(t *runpb.TrafficTargetStatus) bool { return t.GetRevision() == name })
}

// removeRevision takes a revision out of the project. It is gone at once: assumption.
func (c *call) removeRevision(r *resource) {
	c.project.run.removeRevision(r.path)
	delete(c.data.resources, r.path)
	c.resource(simcloud.ResourceDeleted, simcloud.TypeGroup, r)
	c.project.log(regionOfPath(r.path), simcloud.Event{
		Kind: simcloud.ResourceDeleted, Type: simcloud.TypeTargetGroup, Resource: hiddenGroup(r.path), Name: nameOf(r.path), Tags: r.tags,
		Principal: c.principal.email,
	})
}
