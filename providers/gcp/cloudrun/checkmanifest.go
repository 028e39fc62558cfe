package cloudrun

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// labelLocation names the region in a manifest (Cloud Run's YAML reference).
const labelLocation = "cloud.googleapis.com/location"

var projectNumber = regexp.MustCompile(`^[0-9]+$`)

// checkManifest returns what is wrong in the manifest's values. Fields that it has
// too much were found while it was read.
func (f *findings) checkManifest(s settings, cluster delivery.Cluster, project string) {
	m := s.Manifest
	if n := len(s.Manifests); n > 1 || n == 1 && s.at == "/manifest" {
		f.refuse("/manifests", "has one manifest too many: a server group has one")
	}
	if m.APIVersion != "serving.knative.dev/v1" {
		f.refuse(s.at+"/apiVersion", "is %q; want serving.knative.dev/v1", m.APIVersion)
	}
	if m.Kind != "Service" {
		f.refuse(s.at+"/kind", "is %q; want Service", m.Kind)
	}
	f.checkService(s, cluster, project)
	template, at := m.Spec.Template, s.at+"/spec/template"
	f.between(at+"/spec/containerConcurrency", template.Spec.ContainerConcurrency, 1, maxConcurrency)
	f.between(at+"/spec/timeoutSeconds", template.Spec.TimeoutSeconds, 1, maxTimeout)
	f.checkLabels(at+"/metadata/labels", template.Metadata.Labels)
	f.checkAnnotations(at+"/metadata/annotations", template.Metadata.Annotations, s.capacity)
	f.checkContainers(at+"/spec/containers", s, template.Spec.Containers)
}

// checkService wants the manifest to be about the cluster's service.
func (f *findings) checkService(s settings, cluster delivery.Cluster, project string) {
	meta, at := s.Manifest.Metadata, s.at+"/metadata"
	if meta.Name != "" && meta.Name != cluster.Name() {
		f.refuse(at+"/name", "is %q; the service of cluster %s has its name", meta.Name, cluster.Name())
	}
	// Exported manifests have the project's number, which the account does not know.
	if meta.Namespace != "" && meta.Namespace != project && !projectNumber.MatchString(meta.Namespace) {
		f.refuse(at+"/namespace", "is %q; the account's project is %s", meta.Namespace, project)
	}
	for _, key := range sortedKeys(meta.Labels) {
		switch {
		case key != labelLocation:
			f.refuse(at+"/labels/"+delivery.PointerToken(key), "cannot be used: the service belongs to whoever made it; what is in spec/template/metadata goes to the revision")
		case meta.Labels[key] != cluster.Region:
			f.refuse(at+"/labels/"+delivery.PointerToken(key), "is %q; the stage deploys to %s", meta.Labels[key], cluster.Region)
		}
	}
}

func (f *findings) checkAnnotations(at string, of map[string]string, capacity delivery.Capacity) {
	bounds := map[string]int{noteMinScale: capacity.Min, noteMaxScale: capacity.Max}
	for _, key := range sortedKeys(of) {
		pointer := at + "/" + delivery.PointerToken(key)
		known, understood := annotations[key]
		bound, isBound := bounds[key]
		switch {
		case isBound && of[key] != strconv.Itoa(bound):
			f.refuse(pointer, "is %q; the stage's capacity says %d", of[key], bound)
		case understood && !known.allows(of[key]):
			f.refuse(pointer, "is %q; want %s", of[key], strings.Join(known.values, " or "))
		case understood:
		case strings.HasPrefix(key, notePrefix):
			f.refuse(pointer, "has a reserved prefix")
		case slices.ContainsFunc(reserved[:], func(prefix string) bool { return strings.HasPrefix(key, prefix) }):
			f.refuse(pointer, "is not understood, and leaving it out would run something else")
		}
	}
}

// checkContainers wants exactly one that takes requests: the one with a port, or
// the only one.
func (f *findings) checkContainers(at string, s settings, containers []container) {
	takes := -1
	for i, c := range containers {
		if len(c.Ports) > 0 && takes >= 0 {
			f.refuse(fmt.Sprintf("%s/%d/ports", at, i), "container %d has ports too; requests go to one container", takes)
			return
		}
		if len(c.Ports) > 0 {
			takes = i
		}
	}
	switch {
	case len(containers) == 0 && s.Image == "":
		f.refuse(at, "is empty, and the stage names no image")
	case takes < 0 && len(containers) > 1:
		f.refuse(at, "has %d containers and none with a port; requests go to the one that has", len(containers))
	}
	takes = max(takes, 0)
	for i, c := range containers {
		each := fmt.Sprintf("%s/%d", at, i)
		if i != takes || s.Image == "" {
			f.checkImage(each+"/image", c.Image)
		}
		f.checkContainer(each, c)
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
		pointer, amount := at+"/resources/limits/"+delivery.PointerToken(key), c.Resources.Limits[key]
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
