package cloudrun

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// What Cloud Run allows (API references of Service, RevisionTemplate, Container
// and Probe; guides to CPU, memory, concurrency and timeouts).
const (
	maxServiceName  = 49
	maxRevisionName = 63
	// maxTagAndName is how long a service's name and a tag may be together: both
	// are part of one DNS label. Cloud Run answers "Combined traffic tag and
	// service name cannot exceed 46 characters".
	maxTagAndName   = 46
	maxConcurrency  = 1000
	maxTimeout      = 3600 // seconds
	maxStartupDelay = 240  // seconds
	minMemory       = 128 << 20
	maxMemory       = 32 << 30
)

var (
	resourceName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	// imageName is an OCI image reference: host and path, then tag or digest.
	imageName = regexp.MustCompile(`^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)
	// pinnedName is one with a tag or a digest at its end.
	pinnedName = regexp.MustCompile(`(:[^/:]+|@sha256:[0-9a-f]{64})$`)
	cpuAmount  = regexp.MustCompile(`^([0-9]+m|[0-9]*\.?[0-9]+)$`)
	memAmount  = regexp.MustCompile(`^([0-9]+)(k|M|G|Ki|Mi|Gi)?$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	labelKey   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
)

// findings collects what is wrong.
type findings []delivery.Finding

func (f *findings) refuse(pointer, format string, args ...any) {
	*f = append(*f, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// between holds a number within bounds. 0 is not given.
func (f *findings) between(pointer string, value, low, high int32) {
	if value != 0 && (value < low || value > high) {
		f.refuse(pointer, "is %d; want %d to %d", value, low, high)
	}
}

// check returns what is wrong without asking Cloud Run.
func (s settings) check(cluster delivery.Cluster, project string) []delivery.Finding {
	var f findings
	f.checkNames(cluster)
	if s.ScaleDown {
		f.refuse("/scaleDown", "cannot be used: a revision without traffic has no instances by itself")
	}
	if len(s.LoadBalancers) > 1 {
		f.refuse("/loadBalancers", "names %d load balancers; a cluster has one", len(s.LoadBalancers))
	} else if b := s.balancer(); b != "" && b != cluster.Name() {
		f.refuse("/loadBalancers/0", "is %q; the load balancer of cluster %s is the Cloud Run service of that name", b, cluster.Name())
	}
	if s.from != "" && s.Manifest != nil {
		f.refuse(s.at, "cannot be used: what runs is the source's")
	}
	if s.Image != "" || s.Manifest == nil && s.from == "" {
		f.checkImage("/image", s.Image)
	}
	f.between("/port", s.Port, 1, 65535)
	f.between("/concurrency", s.Concurrency, 1, maxConcurrency)
	f.between("/timeoutSeconds", s.TimeoutSeconds, 1, maxTimeout)
	f.checkCPU("/cpu", s.CPU)
	f.checkMemory("/memory", s.Memory)
	if s.StartupProbePath != "" && !strings.HasPrefix(s.StartupProbePath, "/") {
		f.refuse("/startupProbePath", "is %q; a path begins with /", s.StartupProbePath)
	}
	for _, key := range sortedKeys(s.Env) {
		f.checkVariable("/env/"+delivery.PointerToken(key), key)
	}
	f.checkLabels("/labels", s.Labels)
	if s.Manifest != nil {
		f.checkManifest(s, cluster, project)
	}
	return f
}

// checkNames judges the names that the cluster will need.
func (f *findings) checkNames(cluster delivery.Cluster) {
	name, revision := cluster.Name(), cluster.Moniker.ServerGroup(0)
	switch {
	case !resourceName.MatchString(name):
		f.refuse("", "%q is no name of a Cloud Run service: lower-case letters, digits and '-' only, a letter first", name)
	case len(name) > maxServiceName:
		f.refuse("", "service name %s has %d characters; Cloud Run allows %d", name, len(name), maxServiceName)
	case len(revision) > maxRevisionName:
		f.refuse("", "revision names such as %s have %d characters; Cloud Run allows %d", revision, len(revision), maxRevisionName)
	case len(name)+len(tagOf(revision)) > maxTagAndName:
		f.refuse("", "service name %s and a tag such as %s have %d characters; Cloud Run allows %d together",
			name, tagOf(revision), len(name)+len(tagOf(revision)), maxTagAndName)
	}
}

func (f *findings) checkImage(pointer, image string) {
	switch {
	case image == "":
		f.refuse(pointer, "is missing: which image shall run?")
	case !imageName.MatchString(image):
		f.refuse(pointer, "%q is no name of a container image", image)
	case !pinnedName.MatchString(image):
		f.refuse(pointer, "%q names neither a tag nor a digest: which version shall run?", image)
	}
}

// checkCPU: below 1 any amount from 0.08 on, above it 1, 2, 4, 6 or 8.
func (f *findings) checkCPU(pointer, amount string) {
	if amount == "" {
		return
	}
	cores, err := 0.0, error(nil)
	if cpuAmount.MatchString(amount) {
		if millis, ok := strings.CutSuffix(amount, "m"); ok {
			cores, err = strconv.ParseFloat(millis, 64)
			cores /= 1000
		} else {
			cores, err = strconv.ParseFloat(amount, 64)
		}
	}
	switch {
	case err != nil, cores == 0:
		f.refuse(pointer, "is %q; want cores such as \"1\" or \"500m\"", amount)
	case cores >= 0.08 && cores < 1, cores == 1, cores == 2, cores == 4, cores == 6, cores == 8:
	default:
		f.refuse(pointer, "is %q; want 0.08 to 1, 2, 4, 6 or 8 cores", amount)
	}
}

func (f *findings) checkMemory(pointer, amount string) {
	if amount == "" {
		return
	}
	match := memAmount.FindStringSubmatch(amount)
	if match == nil {
		f.refuse(pointer, "is %q; want bytes such as \"512Mi\" or \"2Gi\"", amount)
		return
	}
	unit := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[match[2]]
	number, err := strconv.ParseFloat(match[1], 64)
	if bytes := number * unit; err != nil || bytes < minMemory || bytes > maxMemory {
		f.refuse(pointer, "is %q; want 128Mi to 32Gi", amount)
	}
}

func (f *findings) checkVariable(pointer, name string) {
	switch {
	case !envName.MatchString(name):
		f.refuse(pointer, "%q is no name of an environment variable", name)
	case name == "PORT" || name == "K_SERVICE" || name == "K_REVISION" || name == "K_CONFIGURATION":
		f.refuse(pointer, "%s is set by Cloud Run itself", name)
	}
}

func (f *findings) checkLabels(pointer string, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		at := pointer + "/" + delivery.PointerToken(key)
		switch {
		case !labelKey.MatchString(key):
			f.refuse(at, "%q is no key of a label: lower-case letters, digits, '_' and '-' only, a letter first", key)
		case !labelValue.MatchString(labels[key]):
			f.refuse(at, "%q is no value of a label: lower-case letters, digits, '_' and '-' only", labels[key])
		}
	}
}
