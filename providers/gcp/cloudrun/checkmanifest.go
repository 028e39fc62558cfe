package cloudrun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	atTemplate   = "/manifest/spec/template"
	atContainers = atTemplate + "/spec/containers"
)

// checkManifest returns what is wrong in the manifest's values. Fields that it has
// too much were found while it was read.
func (f *findings) checkManifest(s settings, cluster delivery.Cluster, project string) {
	m := s.Manifest
	if m.APIVersion != "serving.knative.dev/v1" {
		f.refuse("/manifest/apiVersion", "is %q; want serving.knative.dev/v1", m.APIVersion)
	}
	if m.Kind != "Service" {
		f.refuse("/manifest/kind", "is %q; want Service", m.Kind)
	}
	if m.Metadata.Name != "" && m.Metadata.Name != cluster.Name() {
		f.refuse("/manifest/metadata/name", "is %q; the service of cluster %s has its name", m.Metadata.Name, cluster.Name())
	}
	if m.Metadata.Namespace != "" && m.Metadata.Namespace != project {
		f.refuse("/manifest/metadata/namespace", "is %q; the account's project is %s", m.Metadata.Namespace, project)
	}
	spec := m.Spec.Template.Spec
	f.between(atTemplate+"/spec/containerConcurrency", spec.ContainerConcurrency, 1, maxConcurrency)
	f.between(atTemplate+"/spec/timeoutSeconds", spec.TimeoutSeconds, 1, maxTimeout)
	f.checkLabels(atTemplate+"/metadata/labels", m.Spec.Template.Metadata.Labels)
	f.checkAnnotations(m.Spec.Template.Metadata.Annotations)
	f.checkContainers(s, spec.Containers)
}

func (f *findings) checkAnnotations(of map[string]string) {
	for _, key := range sortedKeys(of) {
		at := atTemplate + "/metadata/annotations/" + escape(key)
		known, understood := annotations[key]
		switch {
		case understood && !known.allows(of[key]):
			f.refuse(at, "is %q; want %s", of[key], strings.Join(known.values, " or "))
		case understood:
		case strings.HasSuffix(key, "/minScale"), strings.HasSuffix(key, "/maxScale"):
			f.refuse(at, "cannot be used: the stage's capacity sets the bounds")
		case strings.HasPrefix(key, notePrefix):
			f.refuse(at, "has a reserved prefix")
		case slices.ContainsFunc(reserved[:], func(prefix string) bool { return strings.HasPrefix(key, prefix) }):
			f.refuse(at, "is not understood, and leaving it out would run something else")
		}
	}
}

// checkContainers wants exactly one that takes requests: the one with a port, or
// the only one.
func (f *findings) checkContainers(s settings, containers []container) {
	takes := -1
	for i, c := range containers {
		if len(c.Ports) > 0 && takes >= 0 {
			f.refuse(fmt.Sprintf("%s/%d/ports", atContainers, i), "container %d has ports too; requests go to one container", takes)
			return
		}
		if len(c.Ports) > 0 {
			takes = i
		}
	}
	switch {
	case len(containers) == 0 && s.Image == "":
		f.refuse(atContainers, "is empty, and the stage names no image")
	case takes < 0 && len(containers) > 1:
		f.refuse(atContainers, "has %d containers and none with a port; requests go to the one that has", len(containers))
	}
	takes = max(takes, 0)
	for i, c := range containers {
		at := fmt.Sprintf("%s/%d", atContainers, i)
		if i != takes || s.Image == "" {
			f.checkImage(at+"/image", c.Image)
		}
		f.checkContainer(at, c)
	}
}

func (f *findings) checkContainer(at string, c container) {
	if len(c.Ports) > 1 {
		f.refuse(at+"/ports", "has %d ports; Cloud Run allows one", len(c.Ports))
	}
	for i, p := range c.Ports {
		if p.ContainerPort < 1 || p.ContainerPort > 65535 {
			f.refuse(fmt.Sprintf("%s/ports/%d/containerPort", at, i), "is %d; want 1 to 65535", p.ContainerPort)
		}
		if !slices.Contains([]string{"", "http1", "h2c"}, p.Name) {
			f.refuse(fmt.Sprintf("%s/ports/%d/name", at, i), "is %q; want http1 or h2c", p.Name)
		}
	}
	for i, v := range c.Env {
		f.checkVariable(fmt.Sprintf("%s/env/%d/name", at, i), v.Name)
		if v.ValueFrom != nil && (v.ValueFrom.SecretKeyRef.Name == "" || v.ValueFrom.SecretKeyRef.Key == "") {
			f.refuse(fmt.Sprintf("%s/env/%d/valueFrom/secretKeyRef", at, i), "wants the name of a secret, and its version as key")
		}
	}
	for _, key := range sortedKeys(c.Resources.Limits) {
		pointer, amount := at+"/resources/limits/"+escape(key), c.Resources.Limits[key]
		switch key {
		case "cpu":
			f.checkCPU(pointer, amount)
		case "memory":
			f.checkMemory(pointer, amount)
		default:
			f.refuse(pointer, "is not understood: want cpu or memory")
		}
	}
	f.checkProbe(at+"/startupProbe", c.StartupProbe, maxStartupDelay)
	f.checkProbe(at+"/livenessProbe", c.LivenessProbe, maxTimeout)
}

func (f *findings) checkProbe(at string, p *probe, longest int32) {
	if p == nil {
		return
	}
	f.between(at+"/initialDelaySeconds", p.InitialDelaySeconds, 0, longest)
	f.between(at+"/timeoutSeconds", p.TimeoutSeconds, 1, longest)
	f.between(at+"/periodSeconds", p.PeriodSeconds, 1, longest)
	f.between(at+"/failureThreshold", p.FailureThreshold, 1, longest)
	kinds := 0
	for _, given := range []bool{p.HTTPGet != nil, p.TCPSocket != nil, p.GRPC != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		f.refuse(at, "wants one of httpGet, tcpSocket and grpc")
	}
}
