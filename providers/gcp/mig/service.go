package mig

import (
	"cmp"
	"context"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	defaultPort   = "http"
	defaultScheme = "EXTERNAL_MANAGED"
	// defaultUtilization is Compute Engine's default of maxUtilization.
	defaultUtilization = 0.8
)

// serviceResource is the backend service. It takes protocol, health check and how
// requests are balanced from the source's, else from the backend service that serves
// now, so that a new version is judged as the old one was. What the stage says wins.
func (n *creation) serviceResource(ctx context.Context) (*computepb.BackendService, error) {
	if err := n.checkPlace(ctx); err != nil {
		return nil, err
	}
	chosen := *n.survey.place
	model := n.model(chosen)
	s := n.settings
	out := &computepb.BackendService{
		Name: proto.String(n.change.Group), Description: proto.String(n.tags().description()),
		LoadBalancingScheme: proto.String(cmp.Or(n.survey.scheme(chosen), defaultScheme)),
		Protocol:            proto.String("HTTP"), PortName: proto.String(cmp.Or(s.portName(), defaultPort)),
		ConnectionDraining: &computepb.ConnectionDraining{DrainingTimeoutSec: proto.Int32(int32(n.options.DrainingTimeout.Seconds()))},
	}
	if model != nil {
		follow(out, model)
	}
	if s.portName() != "" {
		out.PortName = proto.String(s.portName())
	}
	if s.HealthCheck != "" {
		out.HealthChecks = []string{n.healthCheckPath(s.HealthCheck)}
	}
	if s.DrainingTimeoutSec != nil {
		out.ConnectionDraining = &computepb.ConnectionDraining{DrainingTimeoutSec: s.DrainingTimeoutSec}
	}
	backend := s.backend(model)
	backend.Group = proto.String(n.pieces.manager.GetInstanceGroup())
	out.Backends = []*computepb.Backend{backend}
	return out, nil
}

var missingHealthCheck = delivery.Finding{
	Pointer: "/healthCheck", Message: "is missing, and no server group serves whose health check could be used",
}

// follow copies what people set on a backend service.
func follow(out, model *computepb.BackendService) {
	out.Protocol, out.PortName, out.HealthChecks = model.Protocol, model.PortName, model.HealthChecks
	out.TimeoutSec, out.LocalityLbPolicy = model.TimeoutSec, model.LocalityLbPolicy
	out.SessionAffinity, out.AffinityCookieTtlSec = model.SessionAffinity, model.AffinityCookieTtlSec
	out.LogConfig, out.CircuitBreakers, out.OutlierDetection = model.LogConfig, model.CircuitBreakers, model.OutlierDetection
	out.CustomRequestHeaders, out.CustomResponseHeaders = model.CustomRequestHeaders, model.CustomResponseHeaders
	if model.ConnectionDraining != nil {
		out.ConnectionDraining = model.ConnectionDraining
	}
}

// backend is the group as a backend: how much it takes.
func (s settings) backend(model *computepb.BackendService) *computepb.Backend {
	out := &computepb.Backend{BalancingMode: proto.String("UTILIZATION"), MaxUtilization: proto.Float32(defaultUtilization), CapacityScaler: proto.Float32(1)}
	if backends := model.GetBackends(); len(backends) == 1 {
		out.BalancingMode, out.MaxUtilization, out.MaxRatePerInstance = backends[0].BalancingMode, backends[0].MaxUtilization, backends[0].MaxRatePerInstance
	}
	p := s.LoadBalancingPolicy
	if p == nil {
		return out
	}
	if p.BalancingMode != "" && p.BalancingMode != out.GetBalancingMode() {
		out.BalancingMode, out.MaxUtilization, out.MaxRatePerInstance = proto.String(p.BalancingMode), nil, nil
	}
	if p.MaxUtilization != nil && *p.MaxUtilization != 0 && out.GetBalancingMode() == "UTILIZATION" {
		out.MaxUtilization = p.MaxUtilization
	}
	if p.MaxRatePerInstance != nil && *p.MaxRatePerInstance != 0 {
		out.MaxRatePerInstance = p.MaxRatePerInstance
	}
	if p.CapacityScaler != nil {
		out.CapacityScaler = p.CapacityScaler
	}
	return out
}

// model is the backend service of the cluster with the most weight, or nil.
func (s *survey) model(p place) *computepb.BackendService {
	var best *computepb.BackendService
	most := -1
	for _, d := range p.destinations {
		owner := s.ownerOf(d.service)
		if owner == nil || int(d.weight) <= most {
			continue
		}
		for _, service := range owner.services {
			if pathOf(service.GetSelfLink()) == d.service {
				best, most = service, int(d.weight)
			}
		}
	}
	return best
}

// serving is the group behind the model; nil for none.
func (s *survey) serving() *pieces {
	if s.place == nil {
		return nil
	}
	model := s.model(*s.place)
	if model == nil {
		return nil
	}
	return s.ownerOf(pathOf(model.GetSelfLink()))
}

// scheme is what kind of load balancer the place belongs to, which its backend
// services tell; empty when none of them does.
func (s *survey) scheme(p place) string {
	if model := s.model(p); model != nil {
		return model.GetLoadBalancingScheme()
	}
	for _, d := range p.destinations {
		if scheme := s.strangers[d.service].service.GetLoadBalancingScheme(); scheme != "" {
			return scheme
		}
	}
	return ""
}
