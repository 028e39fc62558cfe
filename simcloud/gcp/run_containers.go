package gcp

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/simcloud"
)

// liveRevision is what runs of a revision.
type liveRevision struct {
	path, service string
	template      *runpb.RevisionTemplate
	// generation is that of the service when the revision last became its latest one.
	generation int64
	image      simcloud.Image
	targets    *simcloud.TargetGroup
	containers []*container
	// ready tells that a container was healthy; failure is why none ever will be. Neither is set while the revision starts.
	ready   bool
	failure *failure
	// reached tells that a healthy container is there or was since containers were last wanted.
	reached bool
	// idle is since when no container is wanted, zero while some are.
	idle time.Time
}

// container is one instance of a revision.
type container struct {
	id string
	// running is when it began to run; zero while it boots.
	running   time.Time
	healthy   bool
	inService bool
	draining  bool
}

func (r *liveRevision) starting() bool { return !r.ready && r.failure == nil }

// healthy counts the containers that requests can be sent to.
func (r *liveRevision) healthy() int {
	n := 0
	for _, c := range r.active() {
		if c.healthy {
			n++
		}
	}
	return n
}

// active are the containers that are not on their way out, oldest first.
func (r *liveRevision) active() []*container {
	return slices.DeleteFunc(slices.Clone(r.containers), func(c *container) bool { return c.draining })
}

// probeEvery is the simulated time between two probes when the revision names no period of its own.
const probeEvery = 2 * time.Second

// addRevision begins to run a revision. Its containers are probed by HTTP at the path of the startup probe. The default
// probe of Cloud Run, and any other of TCP or gRPC, is played by /healthz, at which the simulator's programs tell whether they
// have started: a program that listens answers it with 200. Probes go on after the start, as a liveness probe's do.
func (p *runPlane) addRevision(path, service string, template *runpb.RevisionTemplate, now time.Time) {
	at := regionOfPath(path)
	probe := template.Containers[0].StartupProbe
	check := simcloud.HealthCheck{
		Path: "/healthz", Interval: probeEvery, Timeout: time.Second, HealthyThreshold: 1, UnhealthyThreshold: 3,
		// "Any response between 200 and 400 is a success" ("Configure container health checks").
		Accept: func(status int) bool { return status >= 200 && status < 400 },
	}
	if get := probe.GetHttpGet(); get != nil {
		period, _, timeout := probeTimes(probe)
		check.Path = cmp.Or(get.Path, "/")
		check.Interval, check.Timeout = seconds(period), seconds(timeout)
	}
	r := &liveRevision{path: path, service: service, template: template}
	r.targets = simcloud.NewTargetGroup(p.project.cloud.world, simcloud.TargetGroupConfig{
		ID: hiddenGroup(path), Name: nameOf(path), Account: p.project.account, Region: at, HealthCheck: check,
		RegistrationDelay: seconds(probe.GetInitialDelaySeconds()), DeregistrationDelay: template.GetTimeout().AsDuration(),
	})
	var found bool
	if r.image, found = p.findImage(template.Containers[0].Image, at); !found {
		p.fail(r, now, conditionImage, internal(commonReason(runpb.Condition_CONTAINER_MISSING), // text: google-github-actions/deploy-cloudrun issue 465
			fmt.Sprintf("Revision '%s' is not ready and cannot serve traffic. Image '%s' not found.", nameOf(path), template.Containers[0].Image)))
	}
	p.revisions[path] = r
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// patience is how long a container may take until its startup probe succeeds: 240 s with the default probe.
func (r *liveRevision) patience() time.Duration {
	probe := r.template.Containers[0].StartupProbe
	period, threshold, _ := probeTimes(probe)
	return seconds(probe.GetInitialDelaySeconds() + period*threshold)
}

// follow brings a revision up to what its containers do.
func (p *runPlane) follow(r *liveRevision, now time.Time) {
	health := map[string]simcloud.TargetHealth{}
	for _, h := range r.targets.Health() {
		health[h.Instance] = h
	}
	for _, c := range slices.Clone(r.containers) {
		p.followContainer(r, c, health[c.id], now)
	}
	if r.healthy() > 0 {
		r.reached = true
		if r.starting() {
			p.succeed(r, now)
		}
	}
}

func (p *runPlane) followContainer(r *liveRevision, c *container, health simcloud.TargetHealth, now time.Time) {
	state := simcloud.StateTerminated
	live, ok := p.project.cloud.world.Fleet.Instance(c.id)
	if ok {
		state = live.State()
	}
	c.healthy = health.State == simcloud.TargetHealthy
	switch {
	case state == simcloud.StateTerminated:
		p.lose(r, c)
	case c.draining:
		if ok && r.targets.Drained(c.id) {
			live.Stop("scaled in")
		}
	case state == simcloud.StateRunning && c.running.IsZero():
		c.running = now
		r.targets.Register(live)
	case c.healthy && !c.inService:
		c.inService = true
		p.lifecycle(r, c, "InService", "")
	// A port that refuses connections is that of a program that has ended.
	case health.State == simcloud.TargetUnhealthy && (c.inService || health.Reason == simcloud.ReasonFailedHealthChecks):
		p.giveUp(r, c, now, fmt.Sprintf("The user-provided container failed to start and listen on the port defined provided by the PORT=%d environment variable.", r.port()))
	case !c.running.IsZero() && !c.inService && now.Sub(c.running) >= r.patience():
		p.giveUp(r, c, now, r.lateText())
	}
}

func (r *liveRevision) port() int32 { return r.template.Containers[0].GetPorts()[0].GetContainerPort() }

// lateText is what Cloud Run says of a container that did not start in time (terraform-google-modules/terraform-docs-samples
// pull request 254, googlecodelabs/monolith-to-microservices issue 110).
func (r *liveRevision) lateText() string {
	if r.template.Containers[0].StartupProbe.GetTcpSocket() == nil {
		return "The user-provided container failed the configured startup probe checks."
	}
	return fmt.Sprintf("The user-provided container failed to start and listen on the port defined provided by the PORT=%d environment variable within the allocated timeout.", r.port())
}

// giveUp ends a container that does not work. It is the end of a revision that has not started yet.
func (p *runPlane) giveUp(r *liveRevision, c *container, now time.Time, text string) {
	if r.starting() {
		p.fail(r, now, conditionHealthy, internal(revisionReason(runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR), fmt.Sprintf(
			"Revision '%s' is not ready and cannot serve traffic. %s Logs for this revision might contain more information.", nameOf(r.path), text)))
	}
	p.drain(r, c, text)
}

// lose forgets a container that has ended.
func (p *runPlane) lose(r *liveRevision, c *container) {
	r.targets.Deregister(c.id)
	r.containers = slices.DeleteFunc(r.containers, func(other *container) bool { return other == c })
	p.lifecycle(r, c, "Terminated", "")
	p.project.cloud.world.Fleet.Forget(c.id)
}

// drain begins to end a container: it gets no new requests and finishes those that it has.
func (p *runPlane) drain(r *liveRevision, c *container, why string) {
	c.draining, c.healthy = true, false
	r.targets.Deregister(c.id)
	p.lifecycle(r, c, "Terminating", why)
}

// launch starts a container.
func (p *runPlane) launch(r *liveRevision) {
	c := &container{id: nameOf(r.path) + "-" + p.project.cloud.newSuffix(12)}
	_, err := p.project.cloud.world.Fleet.Launch(simcloud.Launch{
		ID: c.id, Image: r.image, Account: p.project.account, Region: regionOfPath(r.path), Group: nameOf(r.path),
	})
	if err != nil {
		p.project.cloud.options.Logger.Error("start container", "revision", r.path, "error", err)
		return
	}
	r.containers = append(r.containers, c)
	p.lifecycle(r, c, "Pending", "")
}

func (p *runPlane) lifecycle(r *liveRevision, c *container, state, reason string) {
	p.project.log(regionOfPath(r.path), simcloud.Event{
		Kind: simcloud.InstanceLifecycle, Resource: c.id, Group: nameOf(r.path), State: state, Reason: reason,
	})
}

// succeed notes that a revision has become ready.
func (p *runPlane) succeed(r *liveRevision, now time.Time) {
	r.ready = true
	m := lookup[*runpb.Revision](p.project.data, r.path)
	if m == nil {
		return // deleted
	}
	m.Reconciling, m.ObservedGeneration = false, m.Generation
	for _, kind := range []string{conditionReady, conditionImage, conditionHealthy, conditionResources} {
		m.Conditions = setCondition(m.Conditions, condition(kind, succeeded, now))
	}
}

// fail notes that a revision will never be ready, and by which condition.
func (p *runPlane) fail(r *liveRevision, now time.Time, kind string, why *failure) {
	r.failure = why
	m := lookup[*runpb.Revision](p.project.data, r.path)
	if m == nil {
		return
	}
	m.Reconciling, m.ObservedGeneration = false, m.Generation
	m.Conditions = setCondition(m.Conditions, failedCondition(kind, why, now))
	m.Conditions = setCondition(m.Conditions, failedCondition(conditionReady, why, now))
}
