package cloudrun

import (
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// manifest is the part of a Knative Service (serving.knative.dev/v1) that makes a
// revision. Fields that are not here are refused by name.
type manifest struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   manifestMeta `json:"metadata"`
	Spec       struct {
		Template struct {
			Metadata templateMeta `json:"metadata"`
			Spec     templateSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

// manifestMeta is about the service, which belongs to whoever made it: where it is
// has to be right, and nothing is written from it.
type manifestMeta struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
}

type templateMeta struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type templateSpec struct {
	ContainerConcurrency int32       `json:"containerConcurrency"`
	TimeoutSeconds       int32       `json:"timeoutSeconds"`
	ServiceAccountName   string      `json:"serviceAccountName"`
	Containers           []container `json:"containers"`
}

type container struct {
	Name       string         `json:"name"`
	Image      string         `json:"image"`
	Command    []string       `json:"command"`
	Args       []string       `json:"args"`
	WorkingDir string         `json:"workingDir"`
	Env        []variable     `json:"env"`
	Ports      []manifestPort `json:"ports"`
	Resources  struct {
		Limits map[string]string `json:"limits"`
	} `json:"resources"`
	StartupProbe  *probe `json:"startupProbe"`
	LivenessProbe *probe `json:"livenessProbe"`
}

type variable struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	ValueFrom *struct {
		SecretKeyRef struct {
			Name string `json:"name"`
			Key  string `json:"key"`
		} `json:"secretKeyRef"`
	} `json:"valueFrom"`
}

type manifestPort struct {
	Name          string `json:"name"`
	ContainerPort int32  `json:"containerPort"`
}

type probe struct {
	InitialDelaySeconds int32 `json:"initialDelaySeconds"`
	TimeoutSeconds      int32 `json:"timeoutSeconds"`
	PeriodSeconds       int32 `json:"periodSeconds"`
	FailureThreshold    int32 `json:"failureThreshold"`
	HTTPGet             *struct {
		Path string `json:"path"`
		Port int32  `json:"port"`
	} `json:"httpGet"`
	TCPSocket *struct {
		Port int32 `json:"port"`
	} `json:"tcpSocket"`
	GRPC *struct {
		Port    int32  `json:"port"`
		Service string `json:"service"`
	} `json:"grpc"`
}

// names reports whether a container of the manifest has the image: then a spec that
// names it, too, was filled in from the manifest and replaces nothing.
func (m *manifest) names(image string) bool {
	return m != nil && slices.ContainsFunc(m.Spec.Template.Spec.Containers, func(c container) bool { return c.Image == image })
}

// template makes the revision template that the manifest describes.
func (m *manifest) template() *runpb.RevisionTemplate {
	spec := m.Spec.Template.Spec
	out := &runpb.RevisionTemplate{
		MaxInstanceRequestConcurrency: spec.ContainerConcurrency, ServiceAccount: spec.ServiceAccountName,
	}
	for key, value := range m.Spec.Template.Metadata.Labels {
		put(&out.Labels, key, value)
	}
	if spec.TimeoutSeconds != 0 {
		out.Timeout = durationpb.New(time.Duration(spec.TimeoutSeconds) * time.Second)
	}
	for _, c := range spec.Containers {
		out.Containers = append(out.Containers, c.message())
	}
	for _, key := range sortedKeys(m.Spec.Template.Metadata.Annotations) {
		value := m.Spec.Template.Metadata.Annotations[key]
		if translate, known := annotations[key]; !known {
			put(&out.Annotations, key, value)
		} else if translate.apply != nil {
			translate.apply(out, value)
		}
	}
	return out
}

func (c container) message() *runpb.Container {
	out := &runpb.Container{
		Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, WorkingDir: c.WorkingDir,
		StartupProbe: c.StartupProbe.message(), LivenessProbe: c.LivenessProbe.message(),
	}
	for _, v := range c.Env {
		out.Env = append(out.Env, v.message())
	}
	for _, p := range c.Ports {
		out.Ports = append(out.Ports, &runpb.ContainerPort{Name: p.Name, ContainerPort: p.ContainerPort})
	}
	if len(c.Resources.Limits) > 0 {
		out.Resources = &runpb.ResourceRequirements{Limits: c.Resources.Limits, CpuIdle: true}
	}
	return out
}

func (v variable) message() *runpb.EnvVar {
	if v.ValueFrom == nil {
		return &runpb.EnvVar{Name: v.Name, Values: &runpb.EnvVar_Value{Value: v.Value}}
	}
	return &runpb.EnvVar{Name: v.Name, Values: &runpb.EnvVar_ValueSource{ValueSource: &runpb.EnvVarSource{
		SecretKeyRef: &runpb.SecretKeySelector{Secret: v.ValueFrom.SecretKeyRef.Name, Version: v.ValueFrom.SecretKeyRef.Key},
	}}}
}

func (p *probe) message() *runpb.Probe {
	if p == nil {
		return nil
	}
	out := &runpb.Probe{
		InitialDelaySeconds: p.InitialDelaySeconds, TimeoutSeconds: p.TimeoutSeconds,
		PeriodSeconds: p.PeriodSeconds, FailureThreshold: p.FailureThreshold,
	}
	switch {
	case p.HTTPGet != nil:
		out.ProbeType = &runpb.Probe_HttpGet{HttpGet: &runpb.HTTPGetAction{Path: p.HTTPGet.Path, Port: p.HTTPGet.Port}}
	case p.TCPSocket != nil:
		out.ProbeType = &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: p.TCPSocket.Port}}
	case p.GRPC != nil:
		out.ProbeType = &runpb.Probe_Grpc{Grpc: &runpb.GRPCAction{Port: p.GRPC.Port, Service: p.GRPC.Service}}
	}
	return out
}
