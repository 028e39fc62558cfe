package gcp

import (
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

func (c *call) insertRegionHealthCheck(in *computepb.InsertRegionHealthCheckRequest) (*computepb.Operation, error) {
	return c.addHealthCheck(pathOf(c.project.id, "regions", in.GetRegion(), "healthChecks"), in.GetHealthCheckResource())
}

func (c *call) insertHealthCheck(in *computepb.InsertHealthCheckRequest) (*computepb.Operation, error) {
	return c.addHealthCheck(pathOf(c.project.id, "global", "healthChecks"), in.GetHealthCheckResource())
}

func (c *call) addHealthCheck(collection string, given *computepb.HealthCheck) (*computepb.Operation, error) {
	message := proto.Clone(given).(*computepb.HealthCheck)
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := checkHealthCheck(message); refusal != nil {
		return nil, refusal
	}
	return c.insert(path, creation{collection: collection, message: message, kind: "compute#healthCheck", quota: "HEALTH_CHECKS"}), nil
}

// checkHealthCheck fills in the defaults of the discovery document: every 5 s, timeout 5 s, thresholds 2; the timeout must not
// be greater than the interval.
func checkHealthCheck(message *computepb.HealthCheck) *apiError {
	for _, field := range []struct {
		name  string
		value **int32
		empty int32
	}{
		{"checkIntervalSec", &message.CheckIntervalSec, 5}, {"timeoutSec", &message.TimeoutSec, 5},
		{"healthyThreshold", &message.HealthyThreshold, 2}, {"unhealthyThreshold", &message.UnhealthyThreshold, 2},
	} {
		if *field.value == nil {
			*field.value = proto.Int32(field.empty)
		}
		if n := **field.value; n < 1 || n > 300 {
			return invalidValue("resource."+field.name, fmt.Sprint(n), "Must be between 1 and 300.")
		}
	}
	if message.GetTimeoutSec() > message.GetCheckIntervalSec() {
		return invalidValue("resource.timeoutSec", fmt.Sprint(message.GetTimeoutSec()), "TimeoutSec should be less than checkIntervalSec.")
	}
	switch message.GetType() {
	case "HTTP", "HTTPS", "HTTP2", "TCP":
		return nil
	default:
		return invalidValue("resource.type", message.GetType(), "The simulator probes by HTTP, HTTPS, HTTP2 and TCP only.")
	}
}

func (c *call) getRegionHealthCheck(in *computepb.GetRegionHealthCheckRequest) (*computepb.HealthCheck, error) {
	return get[*computepb.HealthCheck](c, "regions", in.GetRegion(), "healthChecks", in.GetHealthCheck())
}

func (c *call) getHealthCheck(in *computepb.GetHealthCheckRequest) (*computepb.HealthCheck, error) {
	return get[*computepb.HealthCheck](c, "global", "healthChecks", in.GetHealthCheck())
}

func (c *call) listRegionHealthChecks(in *computepb.ListRegionHealthChecksRequest) (*computepb.HealthCheckList, error) {
	items, next, err := list[*computepb.HealthCheck](c, in, "regions", in.GetRegion(), "healthChecks")
	return &computepb.HealthCheckList{Kind: proto.String("compute#healthCheckList"), Items: items, NextPageToken: next}, err
}

func (c *call) listHealthChecks(in *computepb.ListHealthChecksRequest) (*computepb.HealthCheckList, error) {
	items, next, err := list[*computepb.HealthCheck](c, in, "global", "healthChecks")
	return &computepb.HealthCheckList{Kind: proto.String("compute#healthCheckList"), Items: items, NextPageToken: next}, err
}

func (c *call) deleteRegionHealthCheck(in *computepb.DeleteRegionHealthCheckRequest) (*computepb.Operation, error) {
	return c.removeHealthCheck(pathOf(c.project.id, "regions", in.GetRegion(), "healthChecks", in.GetHealthCheck()))
}

func (c *call) deleteHealthCheck(in *computepb.DeleteHealthCheckRequest) (*computepb.Operation, error) {
	return c.removeHealthCheck(pathOf(c.project.id, "global", "healthChecks", in.GetHealthCheck()))
}

func (c *call) removeHealthCheck(path string) (*computepb.Operation, error) {
	for _, r := range all[*computepb.BackendService](c.data) {
		for _, link := range r.message.(*computepb.BackendService).GetHealthChecks() {
			if pathOfLink(link) == path {
				return nil, inUse("health_check", path, r.path)
			}
		}
	}
	for _, g := range c.project.compute.groups() {
		if policy := g.healing(); policy != nil && pathOfLink(policy.GetHealthCheck()) == path {
			return nil, inUse("health_check", path, g.path)
		}
	}
	return c.remove(path, "", nil)
}

// healthCheck is a health check as the world makes it. All probes are GET requests over HTTP to the one port that an
// instance has: protocol and port of the health check are stored without effect, but a TCP check takes any answer. "A
// so-far unhealthy instance will be marked healthy after this many consecutive successes" holds for new ones as well.
func (p *computePlane) healthCheck(path string) simcloud.HealthCheck {
	message := lookup[*computepb.HealthCheck](p.project.data, path)
	out := simcloud.HealthCheck{
		Path: "/", Interval: time.Duration(message.GetCheckIntervalSec()) * time.Second, Timeout: time.Duration(message.GetTimeoutSec()) * time.Second,
		HealthyThreshold: int(message.GetHealthyThreshold()), UnhealthyThreshold: int(message.GetUnhealthyThreshold()),
		NewThreshold: int(message.GetHealthyThreshold()),
	}
	switch message.GetType() {
	case "HTTP":
		out.Path = message.GetHttpHealthCheck().GetRequestPath()
	case "HTTPS":
		out.Path = message.GetHttpsHealthCheck().GetRequestPath()
	case "HTTP2":
		out.Path = message.GetHttp2HealthCheck().GetRequestPath()
	default:
		out.Accept = func(int) bool { return true }
	}
	return out
}
