package cloudrun

import (
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
)

// annotation is one of the v1 API's annotations of a revision that has a field in
// v2: the v2 API refuses it as an annotation.
type annotation struct {
	values []string // those that are allowed, or begin with what is; nil for any
	// apply is nil for one that is not about the revision, or said elsewhere.
	apply func(t *runpb.RevisionTemplate, value string)
}

// annotations are those that are understood (Cloud Run's YAML reference). The
// others of Google's own prefixes are refused by name.
var annotations = map[string]annotation{
	"run.googleapis.com/execution-environment": {[]string{"gen1", "gen2"}, func(t *runpb.RevisionTemplate, value string) {
		t.ExecutionEnvironment = map[string]runpb.ExecutionEnvironment{
			"gen1": runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN1,
			"gen2": runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
		}[value]
	}},
	"run.googleapis.com/sessionAffinity": {[]string{"true", "false"}, func(t *runpb.RevisionTemplate, value string) {
		t.SessionAffinity = value == "true"
	}},
	"run.googleapis.com/cpu-throttling": {[]string{"true", "false"}, func(t *runpb.RevisionTemplate, value string) {
		resources(t).CpuIdle = value == "true"
	}},
	"run.googleapis.com/startup-cpu-boost": {[]string{"true", "false"}, func(t *runpb.RevisionTemplate, value string) {
		resources(t).StartupCpuBoost = value == "true"
	}},
	// The v1 API takes the connector's short name too, v2 its path alone.
	"run.googleapis.com/vpc-access-connector": {[]string{"projects/"}, func(t *runpb.RevisionTemplate, value string) {
		access(t).Connector = value
	}},
	"run.googleapis.com/vpc-access-egress": {[]string{"all-traffic", "private-ranges-only"}, func(t *runpb.RevisionTemplate, value string) {
		access(t).Egress = runpb.VpcAccess_PRIVATE_RANGES_ONLY
		if value == "all-traffic" {
			access(t).Egress = runpb.VpcAccess_ALL_TRAFFIC
		}
	}},
	// They say which program wrote the manifest.
	"run.googleapis.com/client-name":    {},
	"run.googleapis.com/client-version": {},
	// The bounds are the stage's capacity, which is compared with them.
	noteMinScale: {},
	noteMaxScale: {},
}

const (
	noteMinScale = "autoscaling.knative.dev/minScale"
	noteMaxScale = "autoscaling.knative.dev/maxScale"
)

// reserved are the prefixes that the v2 API refuses in labels and annotations (API
// reference of RevisionTemplate).
var reserved = [...]string{"run.googleapis.com/", "cloud.googleapis.com/", "serving.knative.dev/", "autoscaling.knative.dev/"}

func (a annotation) allows(value string) bool {
	return a.values == nil || slices.ContainsFunc(a.values, func(allowed string) bool {
		return value == allowed || strings.HasSuffix(allowed, "/") && strings.HasPrefix(value, allowed)
	})
}

// resources returns those of the container that takes requests.
func resources(t *runpb.RevisionTemplate) *runpb.ResourceRequirements {
	c := t.Containers[ingress(t.Containers)]
	if c.Resources == nil {
		c.Resources = &runpb.ResourceRequirements{CpuIdle: true}
	}
	return c.Resources
}

func access(t *runpb.RevisionTemplate) *runpb.VpcAccess {
	if t.VpcAccess == nil {
		t.VpcAccess = &runpb.VpcAccess{}
	}
	return t.VpcAccess
}
