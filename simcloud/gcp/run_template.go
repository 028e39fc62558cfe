package gcp

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-cd/slipway/simcloud"
)

// Defaults of a template. 100 instances stand in runpb.RevisionScaling, concurrency 80 in runpb.RevisionTemplate, the
// TCP probe in "Configure container health checks" ("The default TCP startup probe"), 300 s in "Set request timeout", port
// 8080 in "Container runtime contract", 1 CPU and 512 MiB in "Configure memory limits" and "Configure CPU limits".
const (
	defaultMaxInstances = 100
	defaultConcurrency  = 80
	defaultTimeout      = 300 * time.Second
	defaultPort         = 8080
)

// fillTemplate sets what a client left to the service. A read returns it.
func fillTemplate(project string, t *runpb.RevisionTemplate) {
	if t.Scaling == nil {
		t.Scaling = &runpb.RevisionScaling{}
	}
	t.Scaling.MaxInstanceCount = cmp.Or(t.Scaling.MaxInstanceCount, max(defaultMaxInstances, t.Scaling.MinInstanceCount))
	t.MaxInstanceRequestConcurrency = cmp.Or(t.MaxInstanceRequestConcurrency, defaultConcurrency)
	if t.Timeout == nil {
		t.Timeout = durationpb.New(defaultTimeout)
	}
	t.ServiceAccount = cmp.Or(t.ServiceAccount, "compute@"+project+".iam.gserviceaccount.com")
	c := t.Containers[0]
	if len(c.Ports) == 0 {
		c.Ports = []*runpb.ContainerPort{{Name: "http1", ContainerPort: defaultPort}}
	}
	if c.Resources == nil {
		c.Resources = &runpb.ResourceRequirements{CpuIdle: true}
	}
	if c.Resources.Limits == nil {
		c.Resources.Limits = map[string]string{"cpu": "1000m", "memory": "512Mi"}
	}
	if c.StartupProbe == nil {
		c.StartupProbe = &runpb.Probe{
			TimeoutSeconds: startupLimit, PeriodSeconds: startupLimit, FailureThreshold: 1,
			ProbeType: &runpb.Probe_TcpSocket{TcpSocket: &runpb.TCPSocketAction{Port: c.Ports[0].ContainerPort}},
		}
	}
}

// probeTimes are a probe's period, threshold and timeout with their defaults (runpb.Probe).
func probeTimes(probe *runpb.Probe) (period, threshold, timeout int32) {
	return cmp.Or(probe.GetPeriodSeconds(), 10), cmp.Or(probe.GetFailureThreshold(), 3), cmp.Or(probe.GetTimeoutSeconds(), 1)
}

// planRevision tells which revision a service's template stands for, by its path, and whether it is to be made. A name
// that exists with another template is refused (hashicorp/terraform-provider-google issue 14569). With an equal template
// that revision becomes the latest created one again: assumption, by the way pipecd rolls back. A template that differs from
// that of the latest revision in nothing makes no revision ("even if the system doesn't detect any changes", discovery
// document, forceNewRevision).
func (p *runPlane) planRevision(s *runpb.Service) (path string, isNew bool, refusal *apiError) {
	prefix := s.Name + "/revisions/"
	if name := s.Template.Revision; name != "" {
		existing := p.revisions[prefix+name]
		if existing != nil && !sameTemplate(existing.template, s.Template) {
			return "", false, runError(http.StatusConflict, "ALREADY_EXISTS", "Revision named '%s' with different configuration already exists.", name)
		}
		return prefix + name, existing == nil, nil
	}
	if latest := p.revisions[s.LatestCreatedRevision]; latest != nil && sameTemplate(latest.template, s.Template) {
		return latest.path, false, nil
	}
	made := 0
	if f := p.services[s.Name]; f != nil {
		made = f.made
	}
	return fmt.Sprintf("%s%s-%05d-%s", prefix, nameOf(s.Name), made+1, p.project.cloud.newSuffix(12)[9:]), true, nil
}

// sameTemplate compares what revisions are made of; their names are not part of it.
func sameTemplate(a, b *runpb.RevisionTemplate) bool {
	x, y := proto.Clone(a).(*runpb.RevisionTemplate), proto.Clone(b).(*runpb.RevisionTemplate)
	x.Revision, y.Revision = "", ""
	return proto.Equal(x, y)
}

// findImage finds the program that a container image stands for: the last part of its path and its tag, joined by a
// hyphen, are the program's name. No tag means "latest", a digest finds nothing.
func (p *runPlane) findImage(ref, region string) (simcloud.Image, bool) {
	name, tag, tagged := strings.Cut(nameOf(ref), ":")
	if !tagged {
		tag = "latest"
	}
	for _, image := range p.project.cloud.world.Images.List(p.project.account, region) {
		if image.Name == name+"-"+tag {
			return image, true
		}
	}
	return simcloud.Image{}, false
}

// annotationPrefix begins the annotations that say who owns a revision; tagPrefix takes its place in events.
const (
	annotationPrefix = "slipway.dev/"
	tagPrefix        = "slipway:"
)

// runTags are the ownership tags of a revision, from its annotations.
func runTags(annotations map[string]string) map[string]string {
	tags := map[string]string{}
	for key, value := range annotations {
		if name, ok := strings.CutPrefix(key, annotationPrefix); ok {
			tags[tagPrefix+name] = value
		}
	}
	return tags
}

// runCapacity is the size that a revision has in events: what its owner noted ("min,max,desired"), else its scaling.
func runCapacity(t *runpb.RevisionTemplate) simcloud.Capacity {
	var noted simcloud.Capacity
	if n, err := fmt.Sscanf(t.GetAnnotations()[annotationPrefix+"capacity"], "%d,%d,%d", &noted.Min, &noted.Max, &noted.Desired); err == nil && n == 3 {
		return noted
	}
	least := int(t.GetScaling().GetMinInstanceCount())
	return simcloud.Capacity{Min: least, Max: int(t.GetScaling().GetMaxInstanceCount()), Desired: max(1, least)}
}
