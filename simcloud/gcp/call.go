package gcp

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// handler carries out a method under the cloud's lock.
type handler func(c *call, input proto.Message) (proto.Message, error)

// handle makes a handler from a typed one.
func handle[In, Out proto.Message](run func(*call, In) (Out, error)) handler {
	return func(c *call, input proto.Message) (proto.Message, error) {
		out, err := run(c, input.(In))
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// newHandlers is the table of all methods that are simulated, by service and method.
func newHandlers() map[string]handler {
	out := map[string]handler{}
	for service, table := range map[string]map[string]handler{
		serviceCompute: computeHandlers(), serviceRun: runHandlers(), serviceIAM: iamHandlers(), serviceMonitoring: monitoringHandlers(),
	} {
		for name, h := range table {
			out[service+"/"+name] = h
		}
	}
	return out
}

// call is one method being carried out.
type call struct {
	cloud     *Cloud
	project   *project
	data      *data // what a stale read sees is not the project's own
	principal principal
	request   *request
	now       time.Time
	// about is the path of what the call is about, for events.
	about string
	// deployment is the deployment that the call itself names, for events: not the owner of what it is about, which may
	// be another one.
	deployment string
	// outcome is what a fault does to the call.
	outcome simcloud.Outcome
	// seeding is set while the world is made: operations end at once, and nothing waits for them.
	seeding bool
	// unchanged is set by a write that was only validated.
	unchanged bool
}

// resource logs that something was created, updated or deleted.
func (c *call) resource(kind simcloud.Kind, typ string, r *resource) {
	c.project.log(regionOfPath(r.path), simcloud.Event{
		Kind: kind, Type: typ, Resource: r.path, Name: nameOf(r.path), Tags: r.tags, Principal: c.principal.email,
	})
}
