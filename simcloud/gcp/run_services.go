package gcp

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/simcloud"
)

func (c *call) createRunService(in *runpb.CreateServiceRequest) (*longrunningpb.Operation, error) {
	c.about = in.GetParent() + "/services/" + in.GetServiceId()
	if refusal := checkServiceID(in.GetServiceId()); refusal != nil {
		return nil, refusal
	}
	if c.data.resources[c.about] != nil {
		return nil, runError(http.StatusConflict, "ALREADY_EXISTS", "Resource '%s' already exists.", in.GetServiceId())
	}
	return c.createService(c.about, in.GetService(), in.GetValidateOnly())
}

// createService makes a service out of what a client sent.
func (c *call) createService(path string, given *runpb.Service, validateOnly bool) (*longrunningpb.Operation, error) {
	if c.project.zonesOf(regionOfPath(path)) == nil {
		return nil, runError(http.StatusNotFound, "NOT_FOUND", "Location %s is not found or access is unauthorized.", regionOfPath(path))
	}
	s, refusal := merge(&runpb.Service{}, given, nil)
	if refusal != nil {
		return nil, refusal
	}
	s.Name, s.Uid = path, c.cloud.newUID()
	s.CreateTime, s.Creator = timestamppb.New(c.now), c.principal.email
	s.LaunchStage = cmp.Or(s.LaunchStage, api.LaunchStage_GA)
	s.Ingress = cmp.Or(s.Ingress, runpb.IngressTraffic_INGRESS_TRAFFIC_ALL)
	return c.applyService(s, nil, validateOnly)
}

func (c *call) updateRunService(in *runpb.UpdateServiceRequest) (*longrunningpb.Operation, error) {
	path := in.GetService().GetName()
	c.about = path
	old := lookup[*runpb.Service](c.data, path)
	if old == nil {
		if in.GetAllowMissing() {
			if refusal := checkServiceID(nameOf(path)); refusal != nil {
				return nil, refusal
			}
			return c.createService(path, in.GetService(), in.GetValidateOnly())
		}
		return nil, runNotFound(path)
	}
	if refusal := checkEtag(path, in.GetService().GetEtag(), old.GetEtag()); refusal != nil {
		return nil, refusal
	}
	s, refusal := merge(old, in.GetService(), in.GetUpdateMask().GetPaths())
	if refusal != nil {
		return nil, refusal
	}
	return c.applyService(s, old, in.GetValidateOnly())
}

// applyService begins to bring a service into a new state. old is nil for a new service.
func (c *call) applyService(s, old *runpb.Service, validateOnly bool) (*longrunningpb.Operation, error) {
	if refusal := checkService(s); refusal != nil {
		return nil, refusal
	}
	fillTemplate(c.project.id, s.Template)
	if len(s.Traffic) == 0 {
		s.Traffic = []*runpb.TrafficTarget{{Type: trafficLatest, Percent: 100}}
	}
	revision, isNew, refusal := c.project.run.planRevision(s)
	if refusal != nil {
		return nil, refusal
	}
	if validateOnly {
		c.unchanged = true
		return c.cloud.validated(s), nil
	}
	// "A number that monotonically increases every time the user modifies the desired state" (runpb).
	if old == nil || !proto.Equal(s, old) {
		s.Generation++
		s.Etag = `"` + c.cloud.newHash() + `"`
		s.UpdateTime, s.LastModifier = timestamppb.New(c.now), c.principal.email
	}
	c.store(s, old)
	if isNew {
		c.newRevision(s, revision)
	}
	if isNew || s.LatestCreatedRevision != revision {
		s.LatestCreatedRevision = revision
		c.project.run.revisions[revision].generation = s.Generation
	}
	return c.beginChange(s, revision, isNew), nil
}

// store puts a service into the project. It says nothing of a new service in the events: what is owned are its revisions.
func (c *call) store(s, old *runpb.Service) {
	if old == nil {
		c.project.run.addFrontEnd(s)
		c.data.resources[s.Name] = &resource{path: s.Name, message: s, created: c.now}
		return
	}
	c.data.resources[s.Name].message = s
}

// beginChange starts what brings a service to its new state, and the operation that tells of it.
func (c *call) beginChange(s *runpb.Service, revision string, isNew bool) *longrunningpb.Operation {
	f := c.project.run.services[s.Name]
	f.earliest = c.now.Add(c.cloud.world.Between(c.cloud.options.OperationTime/3, c.cloud.options.OperationTime))
	f.wanted = nil
	s.Reconciling = true
	for _, kind := range []string{conditionRoutes, conditionConfigurations} {
		s.Conditions = setCondition(s.Conditions, condition(kind, reconciling, c.now))
	}
	s.TerminalCondition = changed(s.TerminalCondition, condition(conditionReady, reconciling, c.now))
	if !isNew {
		revision = ""
	}
	return c.beginRunOperation(&runOperation{service: s.Name, revision: revision}, s)
}

func (c *call) getRunService(in *runpb.GetServiceRequest) (*runpb.Service, error) {
	s := lookup[*runpb.Service](c.data, in.GetName())
	if s == nil {
		return nil, runNotFound(in.GetName())
	}
	return s, nil
}

// listRunServices lists services, newest first ("Results are sorted by creation time, descending", discovery document).
func (c *call) listRunServices(in *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	part, next, refusal := page(newestFirst(c.data.under(in.GetParent()+"/services")), in.GetPageToken(), int(in.GetPageSize()), c.cloud.options.PageSize)
	if refusal != nil {
		return nil, refusal
	}
	out := &runpb.ListServicesResponse{NextPageToken: next}
	for _, r := range part {
		out.Services = append(out.Services, r.message.(*runpb.Service))
	}
	return out, nil
}

func newestFirst(list []*resource) []*resource {
	slices.SortStableFunc(list, func(a, b *resource) int {
		return cmp.Or(b.created.Compare(a.created), strings.Compare(b.path, a.path))
	})
	return list
}

// deleteRunService deletes a service with all its revisions ("This will cause the Service to stop serving traffic and will
// delete all revisions", discovery document). It is gone at once, while the operation takes its time: assumption.
func (c *call) deleteRunService(in *runpb.DeleteServiceRequest) (*longrunningpb.Operation, error) {
	s := lookup[*runpb.Service](c.data, in.GetName())
	if s == nil {
		return nil, runNotFound(in.GetName())
	}
	if refusal := checkEtag(s.Name, in.GetEtag(), s.Etag); refusal != nil {
		return nil, refusal
	}
	if in.GetValidateOnly() {
		c.unchanged = true
		return c.cloud.validated(s), nil
	}
	c.project.run.abandonOperations(s.Name)
	c.project.run.removeFrontEnd(s.Name)
	for _, r := range c.data.under(s.Name + "/revisions") {
		c.removeRevision(r)
	}
	delete(c.data.resources, s.Name)
	c.project.log(regionOfPath(s.Name), simcloud.Event{
		Kind: simcloud.ResourceDeleted, Type: simcloud.TypeRule, Resource: trafficRule(s.Name), Name: nameOf(s.Name), Principal: c.principal.email,
	})
	s.DeleteTime, s.Reconciling = timestamppb.New(c.now), true
	return c.beginRunOperation(&runOperation{removed: s}, s), nil
}
