package gcp

import (
	"regexp"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
)

const (
	trafficLatest   = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	trafficRevision = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
)

// tagLimit bounds a tag and its service's name together (text recorded in firebase/firebase-tools issue 6137).
const tagLimit = 46

// startupLimit bounds the time, in seconds, that a container has until its startup probe succeeds ("Configure container
// health checks": failureThreshold x periodSeconds, at most 240 s).
const startupLimit = 240

var runName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// checkServiceID wants a service's name to be of the form that Cloud Run has (text recorded in pulumi/pulumi-gcp pull
// request 3167).
func checkServiceID(id string) *apiError {
	if runName.MatchString(id) && len(id) < 50 {
		return nil
	}
	return runInvalid("Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.")
}

// checkService refuses a service that Cloud Run would not take.
func checkService(s *runpb.Service) *apiError {
	if s.GetTemplate() == nil {
		return runInvalid("service.template: Required field is missing.")
	}
	for _, check := range []func(*runpb.Service) *apiError{checkMetadata, checkTemplate, checkScaling, checkTraffic} {
		if refusal := check(s); refusal != nil {
			return refusal
		}
	}
	return nil
}

// reserved are the namespaces of labels and annotations that the API rejects (runpb, Service.labels).
var reserved = []string{"run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev"}

func checkMetadata(s *runpb.Service) *apiError {
	if len(s.GetDescription()) > 512 {
		return runInvalid("service.description: must be at most 512 characters.")
	}
	for at, keys := range map[string]map[string]string{
		"service.labels": s.GetLabels(), "service.annotations": s.GetAnnotations(),
		"service.template.labels": s.GetTemplate().GetLabels(), "service.template.annotations": s.GetTemplate().GetAnnotations(),
	} {
		for key := range keys {
			for _, namespace := range reserved {
				if strings.HasPrefix(key, namespace+"/") {
					return runInvalid("%s: '%s' is in a namespace that the API does not support.", at, key)
				}
			}
		}
	}
	return nil
}

func checkTemplate(s *runpb.Service) *apiError {
	t := s.GetTemplate()
	if len(t.GetContainers()) == 0 {
		return runInvalid("service.template.containers: at least one container is required.")
	}
	for _, container := range t.GetContainers() {
		if container.GetImage() == "" {
			return runInvalid("service.template.containers.image: Required field is missing.")
		}
		if refusal := checkProbe(container.GetStartupProbe()); refusal != nil {
			return refusal
		}
	}
	name := t.GetRevision()
	switch {
	case name == "":
		return nil
	case !runName.MatchString(name) || len(name) >= 64: // text recorded in pipe-cd/pipecd issue 5688
		return runInvalid("service.template.revision: only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.")
	case !strings.HasPrefix(name, nameOf(s.GetName())+"-"):
		return runInvalid("service.template.revision: '%s' must begin with the name of its service and a hyphen, '%s-'.", name, nameOf(s.GetName()))
	}
	return nil
}

// checkProbe holds a startup probe against the bounds in runpb.Probe and "Configure container health checks".
func checkProbe(probe *runpb.Probe) *apiError {
	if probe == nil {
		return nil
	}
	period, threshold, timeout := probeTimes(probe)
	switch {
	case probe.GetInitialDelaySeconds() < 0 || probe.GetInitialDelaySeconds() > startupLimit:
		return runInvalid("startup_probe.initial_delay_seconds: must be from 0 to %d.", startupLimit)
	case period < 1 || threshold < 1 || timeout < 1:
		return runInvalid("startup_probe: period_seconds, timeout_seconds and failure_threshold must be at least 1.")
	case timeout > period:
		return runInvalid("startup_probe.timeout_seconds: must not be greater than period_seconds.")
	case period*threshold > startupLimit:
		return runInvalid("startup_probe: failure_threshold times period_seconds must not be greater than %d.", startupLimit)
	}
	return nil
}

func checkScaling(s *runpb.Service) *apiError {
	t, all := s.GetTemplate().GetScaling(), s.GetScaling()
	switch {
	case t.GetMinInstanceCount() < 0 || t.GetMaxInstanceCount() < 0 || all.GetMinInstanceCount() < 0 || all.GetManualInstanceCount() < 0:
		return runInvalid("scaling: counts must not be negative.")
	case t.GetMaxInstanceCount() > 0 && t.GetMinInstanceCount() > t.GetMaxInstanceCount():
		return runInvalid("service.template.scaling: min_instance_count must not be greater than max_instance_count.")
	}
	return nil
}

// checkTraffic wants percents of one whole, a revision where one is named, and tags that differ. No traffic stands for
// all to the latest revision.
func checkTraffic(s *runpb.Service) *apiError {
	total, tags := int32(0), map[string]bool{}
	for _, t := range s.GetTraffic() {
		if refusal := checkTarget(t, nameOf(s.GetName())); refusal != nil {
			return refusal
		}
		if t.GetTag() != "" && tags[t.GetTag()] {
			return runInvalid("service.traffic.tag: tag '%s' is used twice.", t.GetTag())
		}
		tags[t.GetTag()] = true
		total += t.GetPercent()
	}
	if len(s.GetTraffic()) > 0 && total != 100 {
		return runInvalid("service.traffic: percents must add up to 100, not %d.", total)
	}
	return nil
}

func checkTarget(t *runpb.TrafficTarget, service string) *apiError {
	tag := t.GetTag()
	switch {
	case t.GetPercent() < 0 || t.GetPercent() > 100:
		return runInvalid("service.traffic.percent: must be from 0 to 100, not %d.", t.GetPercent())
	case t.GetType() == trafficRevision && t.GetRevision() == "":
		return runInvalid("service.traffic.revision: must be set when traffic is allocated to a revision.")
	case t.GetType() == trafficLatest && t.GetRevision() != "":
		return runInvalid("service.traffic.revision: must not be set when traffic is allocated to the latest revision.")
	case t.GetType() != trafficRevision && t.GetType() != trafficLatest:
		return runInvalid("service.traffic.type: must be set.")
	case strings.Contains(t.GetRevision(), "/"):
		return runInvalid("service.traffic.revision: '%s' is not the name of a revision.", t.GetRevision())
	case tag != "" && !runName.MatchString(tag):
		return runInvalid("service.traffic.tag: '%s': only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen.", tag)
	case tag != "" && len(tag)+len(service) > tagLimit:
		return runInvalid("spec.traffic.tag: traffic tag '%s' and service name '%s' together are too long. Combined traffic tag and service name cannot exceed %d characters.", tag, service, tagLimit)
	}
	return nil
}
