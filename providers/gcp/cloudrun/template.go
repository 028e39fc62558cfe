package cloudrun

import (
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-cd/slipway/delivery"
)

// template makes the revision template of a creation: the source's or the manifest's
// if there is one, with what the stage itself says on top.
func (s settings) template(c delivery.Change) *runpb.RevisionTemplate {
	out := &runpb.RevisionTemplate{}
	switch {
	case s.source != nil:
		out = proto.CloneOf(s.source)
	case s.Manifest != nil:
		out = s.Manifest.template()
	}
	out.Revision = c.Group
	for key, value := range s.Labels {
		put(&out.Labels, key, value)
	}
	for key, value := range ownership(c) {
		put(&out.Annotations, key, value)
	}
	// The bounds cannot be changed later, so they are the spec's own and not what
	// the change begins with.
	out.Scaling = &runpb.RevisionScaling{MinInstanceCount: int32(s.capacity.Min), MaxInstanceCount: int32(s.capacity.Max)}
	put(&out.Annotations, noteCapacity, writeCapacity(s.capacity))
	if s.ServiceAccount != "" {
		out.ServiceAccount = s.ServiceAccount
	}
	if s.Concurrency != 0 {
		out.MaxInstanceRequestConcurrency = s.Concurrency
	}
	if s.TimeoutSeconds != 0 {
		out.Timeout = durationpb.New(time.Duration(s.TimeoutSeconds) * time.Second)
	}
	if len(out.Containers) == 0 {
		out.Containers = []*runpb.Container{{}}
	}
	s.fill(out.Containers[ingress(out.Containers)])
	put(&out.Annotations, noteImage, imageOf(out.Containers))
	return out
}

// fill writes what the stage says into the container that takes requests.
func (s settings) fill(c *runpb.Container) {
	if s.Image != "" {
		c.Image = s.Image
	}
	if s.Port != 0 {
		c.Ports = []*runpb.ContainerPort{{Name: portName(c), ContainerPort: s.Port}}
	}
	for _, key := range sortedKeys(s.Env) {
		setEnv(c, &runpb.EnvVar{Name: key, Values: &runpb.EnvVar_Value{Value: s.Env[key]}})
	}
	for key, value := range map[string]string{"cpu": s.CPU, "memory": s.Memory} {
		if value == "" {
			continue
		}
		if c.Resources == nil {
			// Setting any resource turns the default of CPU during requests only
			// off (API reference of ResourceRequirements).
			c.Resources = &runpb.ResourceRequirements{CpuIdle: true}
		}
		put(&c.Resources.Limits, key, value)
	}
	if s.StartupProbePath != "" {
		c.StartupProbe = &runpb.Probe{ProbeType: &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: s.StartupProbePath}}}
	}
}

// portName keeps the protocol that the manifest names.
func portName(c *runpb.Container) string {
	if len(c.GetPorts()) > 0 {
		return c.GetPorts()[0].GetName()
	}
	return ""
}

// setEnv replaces the variable of that name, or adds it.
func setEnv(c *runpb.Container, v *runpb.EnvVar) {
	for i, old := range c.Env {
		if old.GetName() == v.GetName() {
			c.Env[i] = v
			return
		}
	}
	c.Env = append(c.Env, v)
}

func put(to *map[string]string, key, value string) {
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[key] = value
}

// templateOf makes the template again that a revision was made of. The fields of
// both messages have the same names and types, but for healthCheckDisabled, which
// a revision does not show.
func templateOf(r *runpb.Revision) *runpb.RevisionTemplate {
	out := &runpb.RevisionTemplate{}
	from, to := proto.CloneOf(r).ProtoReflect(), out.ProtoReflect()
	fields := to.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		source := from.Descriptor().Fields().ByName(field.Name())
		if source != nil && source.Kind() == field.Kind() && source.Cardinality() == field.Cardinality() && from.Has(source) {
			to.Set(field, from.Get(source))
		}
	}
	out.Revision = base(r.GetName())
	return out
}
