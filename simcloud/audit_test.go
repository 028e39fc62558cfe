package simcloud_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// story writes a log as a well-behaved deployment of three instances would leave it, so that each test can let one
// thing go wrong.
type story struct {
	events []simcloud.Event
	at     time.Time
}

func (s *story) add(e simcloud.Event) {
	s.at = s.at.Add(time.Second)
	e.Seq, e.At = int64(len(s.events)+1), s.at
	if e.Kind != simcloud.DeploymentEnded {
		e.Account, e.Region = "acc", "us"
	}
	s.events = append(s.events, e)
}

const bot = "slipway"

func owner(group, deployment string) map[string]string {
	return map[string]string{
		"slipway:application": "shop", "slipway:cluster": "shop-prod",
		"slipway:server-group": group, "slipway:deployment": deployment,
	}
}

func (s *story) create(kind, id, name, group, deployment string, desired int) {
	e := simcloud.Event{Kind: simcloud.ResourceCreated, Type: kind, Resource: id, Name: name, Tags: owner(group, deployment), Principal: bot}
	if kind == simcloud.TypeGroup {
		e.Capacity = &simcloud.Capacity{Desired: desired}
		e.TargetGroups = []string{"tg-" + group}
	}
	s.add(e)
}

func (s *story) group(group, deployment string, desired int) {
	s.create(simcloud.TypeLaunchTemplate, "lt-"+group, group, group, deployment, 0)
	s.create(simcloud.TypeTargetGroup, "tg-"+group, "sw-"+group, group, deployment, 0)
	s.create(simcloud.TypeGroup, "asg-"+group, group, group, deployment, desired)
}

func (s *story) targets(group, state string, numbers ...int) {
	for _, n := range numbers {
		s.add(simcloud.Event{
			Kind: simcloud.TargetStateChanged, Resource: "tg-" + group, Instance: fmt.Sprintf("i-%s-%d", group, n), State: state,
		})
	}
}

func (s *story) store(weights map[string]int) {
	s.add(simcloud.Event{Kind: simcloud.WeightsStored, Resource: "rule", Weights: weights})
}

func (s *story) effect(weights map[string]int) {
	for worker := range 2 {
		s.add(simcloud.Event{Kind: simcloud.WeightsEffective, Resource: "rule", Worker: worker, Weights: maps.Clone(weights)})
	}
}

func (s *story) read() {
	s.add(simcloud.Event{Kind: simcloud.APICall, Action: "DescribeRules", Principal: bot})
}

func (s *story) shift(weights map[string]int) {
	s.store(weights)
	s.effect(weights)
	s.read()
}

func (s *story) resize(group string, desired int) {
	s.add(simcloud.Event{
		Kind: simcloud.ResourceUpdated, Type: simcloud.TypeGroup, Resource: "asg-" + group,
		Capacity: &simcloud.Capacity{Desired: desired}, Principal: bot,
	})
}

func (s *story) remove(kind, id string) {
	s.add(simcloud.Event{Kind: simcloud.ResourceDeleted, Type: kind, Resource: id, Principal: bot})
}

func (s *story) end(deployment string) {
	s.add(simcloud.Event{Kind: simcloud.DeploymentEnded, Deployment: deployment, State: "SUCCEEDED"})
}

func split(old, new int) map[string]int {
	return map[string]int{"tg-shop-prod-v000": old, "tg-shop-prod-v001": new}
}

const oldGroup, newGroup = "shop-prod-v000", "shop-prod-v001"

// seeded is a cluster of three instances that takes all traffic.
func seeded() *story {
	s := &story{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	s.group(oldGroup, "seed", 3)
	s.store(map[string]int{"tg-" + oldGroup: 100})
	s.effect(map[string]int{"tg-" + oldGroup: 100})
	s.targets(oldGroup, "healthy", 1, 2, 3)
	return s
}

// begun has the new group at weight 0 with one healthy instance.
func begun() *story {
	s := seeded()
	s.group(newGroup, "d1", 1)
	s.shift(split(100, 0))
	s.targets(newGroup, "initial", 1)
	s.targets(newGroup, "healthy", 1)
	return s
}

// grown has all of the new group healthy, and half of the traffic on it.
func grown() *story {
	s := begun()
	s.shift(split(50, 50))
	s.resize(newGroup, 3)
	s.targets(newGroup, "healthy", 2, 3)
	return s
}

// finished has only the new group, and the deployment is over.
func finished() *story {
	s := grown()
	s.shift(split(0, 100))
	s.resize(oldGroup, 0)
	s.targets(oldGroup, "draining", 1, 2, 3)
	s.remove(simcloud.TypeGroup, "asg-"+oldGroup)
	s.shift(map[string]int{"tg-" + newGroup: 100})
	s.remove(simcloud.TypeTargetGroup, "tg-"+oldGroup)
	s.remove(simcloud.TypeLaunchTemplate, "lt-"+oldGroup)
	s.end("d1")
	return s
}

var strict = simcloud.AuditConfig{
	Final:    true,
	Floors:   map[string]int{"shop-prod": 3},
	Ceilings: map[string]int{"acc/us/shop-prod": 6},
	Drain:    2 * time.Second,
}

func TestAuditAcceptsAGoodDeployment(t *testing.T) {
	for name, s := range map[string]*story{"seeded": seeded(), "begun": begun(), "grown": grown(), "finished": finished()} {
		for _, v := range simcloud.Audit(s.events, strict) {
			t.Errorf("%s: %s", name, v)
		}
	}
}

func TestAuditReadsWeightsAsShares(t *testing.T) {
	s := seeded()
	s.shift(map[string]int{"tg-" + oldGroup: 1})
	s.group(newGroup, "d1", 1)
	s.shift(split(1, 0)) // the new group is attached, and the number that was there is left alone
	s.targets(newGroup, "healthy", 1)
	s.shift(split(50, 50))
	for _, v := range simcloud.Audit(s.events, strict) {
		t.Error(v)
	}
}

// TestAuditCountsByWorker moves all traffic in one step: while the weights travel no group is in rotation everywhere, yet
// each worker has three healthy targets.
func TestAuditCountsByWorker(t *testing.T) {
	s := begun()
	s.resize(newGroup, 3)
	s.targets(newGroup, "healthy", 2, 3)
	s.shift(split(0, 100))
	for _, v := range simcloud.Audit(s.events, strict) {
		t.Error(v)
	}
}

func TestAuditAcceptsARollBack(t *testing.T) {
	s := grown()
	s.targets(newGroup, "unhealthy", 1, 2, 3)
	s.shift(split(100, 0))
	s.resize(newGroup, 0)
	s.remove(simcloud.TypeGroup, "asg-"+newGroup)
	s.shift(map[string]int{"tg-" + oldGroup: 100})
	s.remove(simcloud.TypeTargetGroup, "tg-"+newGroup)
	s.remove(simcloud.TypeLaunchTemplate, "lt-"+newGroup)
	s.end("d1")
	for _, v := range simcloud.Audit(s.events, strict) {
		t.Error(v)
	}
}

// TestAuditCatches shows for each invariant that breaking it is seen: without what goes wrong, the same story is accepted
// by the tests above.
func TestAuditCatches(t *testing.T) {
	for name, test := range map[string]struct {
		story func() *story
		wrong func(*story)
		want  string // invariant and a part of the message
	}{
		"fail open": {grown, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.RoutedUnhealthy, Resource: "tg-" + newGroup, Instance: "i", State: "initial", Count: 3})
		}, "I1: not healthy"},
		"request without target": {grown, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.RequestUnserved, Resource: "tg-" + newGroup, State: "503", Count: 3})
		}, "I1: without usable targets"},
		"last healthy target taken": {begun, func(s *story) { s.targets(oldGroup, "draining", 1, 2, 3) }, "I1: last healthy"},
		"weight in effect before health": {begun, func(s *story) {
			s.targets(newGroup, "unhealthy", 1)
			s.effect(split(90, 10))
		}, "I1: no healthy target"},
		"drained below the floor": {begun, func(s *story) { s.targets(oldGroup, "draining", 1) }, "I2: 2 healthy"},
		"counted before every worker knows": {begun, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.WeightsEffective, Resource: "rule", Worker: 0, Weights: split(50, 50)})
			s.targets(oldGroup, "draining", 1)
		}, "I2: 2 healthy"},
		"too large":                  {grown, func(s *story) { s.resize(newGroup, 4) }, "I3: ceiling"},
		"shrunk while it has weight": {grown, func(s *story) { s.resize(oldGroup, 1) }, "I4: needs 2"},
		"shrunk below what a single weight of 1 needs": {func() *story {
			s := seeded()
			s.shift(map[string]int{"tg-" + oldGroup: 1}) // how Elastic Load Balancing stores a single target group
			return s
		}, func(s *story) { s.resize(oldGroup, 2) }, "I4: needs 3"},
		"shrunk before the weight is in effect": {grown, func(s *story) {
			s.store(split(0, 100))
			s.read()
			s.resize(oldGroup, 0)
		}, "I4: weight 50"},
		"shrunk without reading back": {grown, func(s *story) {
			s.store(split(0, 100))
			s.effect(split(0, 100))
			s.resize(oldGroup, 0)
		}, "I4: not read back"},
		"read back stale": {grown, func(s *story) {
			s.store(split(0, 100))
			s.effect(split(0, 100))
			s.add(simcloud.Event{Kind: simcloud.APICall, Action: "DescribeRules", Fault: "f", Reason: "staleRead"})
			s.resize(oldGroup, 0)
		}, "I4: not read back"},
		"read back in another region": {grown, func(s *story) {
			s.store(split(0, 100))
			s.effect(split(0, 100))
			s.read()
			s.events[len(s.events)-1].Region = "eu"
			s.resize(oldGroup, 0)
		}, "I4: not read back"},
		"destroyed with weight": {grown, func(s *story) { s.remove(simcloud.TypeGroup, "asg-"+oldGroup) }, "I4: destroyed with weight"},
		"destroyed before it is drained": {grown, func(s *story) {
			s.shift(split(0, 100))
			s.at = s.at.Add(-3 * time.Second)
			s.remove(simcloud.TypeGroup, "asg-"+oldGroup)
		}, "I4: drain time"},
		"target group deleted in use": {grown, func(s *story) { s.remove(simcloud.TypeTargetGroup, "tg-"+oldGroup) }, "I4: weight in effect"},
		"weights of 99":               {begun, func(s *story) { s.store(split(89, 10)) }, "I5: add up to 99"},
		"weight of 200":               {begun, func(s *story) { s.store(split(200, 0)) }, "I5: not from 0 to 100"},
		"no weight at all":            {begun, func(s *story) { s.store(split(0, 0)) }, "I5: no target group has weight"},
		"weight without health": {begun, func(s *story) {
			s.targets(newGroup, "unhealthy", 1)
			s.store(split(90, 10))
		}, "I5: no healthy target"},
		"weight up after down": {grown, func(s *story) {
			s.shift(split(70, 30))
			s.shift(split(60, 40))
		}, "I5: had begun to fall"},
		"write that names an ended deployment": {finished, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.APICall, Action: "ModifyRule", Write: true, Effect: true, Deployment: "d1"})
		}, "I7: d1, which ended"},
		"created after the end": {finished, func(s *story) {
			s.create(simcloud.TypeLaunchTemplate, "lt-x", newGroup, newGroup, "d1", 0)
		}, "I7: created by deployment d1"},
		"resized after the end":        {finished, func(s *story) { s.resize(newGroup, 4) }, "I7: after the end"},
		"re-weighted after the end":    {finished, func(s *story) { s.store(map[string]int{"tg-" + newGroup: 100}) }, "I7: after the end"},
		"second group of a deployment": {begun, func(s *story) { s.group("shop-prod-v002", "d1", 0) }, "I11: has created"},
		"number used twice": {begun, func(s *story) {
			s.create(simcloud.TypeGroup, "asg-again", newGroup, newGroup, "d2", 0)
		}, "I12: used before"},
		"number goes back": {func() *story { s := begun(); s.group("shop-prod-v007", "d2", 0); return s }, func(s *story) {
			s.group("shop-prod-v005", "d3", 0)
		}, "I12: comes after"},
		"group gone, target group left": {finished, func(s *story) {
			s.create(simcloud.TypeTargetGroup, "tg-orphan", "sw-orphan", "shop-prod-v009", "d2", 0)
		}, "I13: left over"},
		"untagged resource written": {begun, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.ResourceCreated, Type: simcloud.TypeGroup, Resource: "asg-x", Name: "legacy"})
			s.resize("x", 1)
		}, "I14: without ownership tags"},
		"created without tags": {begun, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.ResourceCreated, Type: simcloud.TypeLaunchTemplate, Resource: "lt-x", Principal: bot})
		}, "I14: without ownership tags"},
		"look-alike": {begun, func(s *story) {
			s.create(simcloud.TypeGroup, "asg-x", "shop-production-v001", "shop-production-v001", "d9", 0)
		}, "I14: not of its cluster"},
		"instance of a foreign group terminated": {begun, func(s *story) {
			s.add(simcloud.Event{Kind: simcloud.ResourceCreated, Type: simcloud.TypeGroup, Resource: "asg-x", Name: "legacy"})
			s.add(simcloud.Event{Kind: simcloud.InstanceStateChanged, Resource: "i-x", Group: "legacy", State: "running"})
			s.add(simcloud.Event{Kind: simcloud.APICall, Action: "TerminateInstances", Resource: "i-x", Write: true, Effect: true, Principal: bot})
		}, "I14: without ownership tags"},
		"foreign target group dropped from the rule": {func() *story {
			s := begun()
			s.store(map[string]int{"tg-" + oldGroup: 100, "tg-" + newGroup: 0, "tg-legacy": 0})
			return s
		}, func(s *story) { s.store(split(100, 0)) }, "I14: nobody here owns"},
	} {
		t.Run(name, func(t *testing.T) {
			config := strict
			config.After = int64(len(seeded().events))
			s := test.story()
			if found := simcloud.Audit(s.events, config); len(found) > 0 {
				t.Fatalf("the story is not good before it goes wrong: %v", found)
			}
			test.wrong(s)
			invariant, words, _ := strings.Cut(test.want, ": ")
			found := simcloud.Audit(s.events, config)
			for _, v := range found {
				if v.Invariant == invariant && strings.Contains(v.Message, words) {
					return
				}
			}
			t.Errorf("violations = %v, want %s", found, test.want)
		})
	}
}

// TestAuditKnowsTheDead lets a group take a machine out of rotation at once after it ended, and a write that was decided
// before take the last two.
func TestAuditKnowsTheDead(t *testing.T) {
	for name, test := range map[string]struct {
		states []string
		wait   time.Duration
		want   string
	}{
		"killed":                       {[]string{"terminated"}, 0, ""},
		"killed long before the write": {[]string{"terminated"}, time.Minute, "I1 I2"},
		"shut down by a write":         {[]string{"shutting-down", "terminated"}, 0, "I1 I2"},
	} {
		s := begun()
		for _, state := range test.states {
			s.add(simcloud.Event{Kind: simcloud.InstanceStateChanged, Resource: "i-" + oldGroup + "-1", Group: oldGroup, State: state})
		}
		s.targets(oldGroup, "draining", 1)
		s.at = s.at.Add(test.wait)
		s.targets(oldGroup, "draining", 2, 3)
		config := strict
		config.Floors = map[string]int{"shop-prod": 1}
		var found []string
		for _, v := range simcloud.Audit(s.events, config) {
			found = append(found, v.Invariant)
		}
		if got := strings.Join(found, " "); got != test.want {
			t.Errorf("%s: violations %q, want %q", name, got, test.want)
		}
	}
}

func TestAuditForgivesWhatNobodyCanPrevent(t *testing.T) {
	s := begun()
	s.targets(oldGroup, "unhealthy", 1) // it died by itself
	s.shift(split(50, 50))
	s.targets(oldGroup, "draining", 2) // decided before the death was seen
	config := strict
	config.After = int64(len(seeded().events))
	if found := simcloud.Audit(s.events, config); len(found) > 0 {
		t.Errorf("violations within the time to react: %v", found)
	}
	config.Reaction = time.Second
	if found := simcloud.Audit(s.events, config); len(found) != 1 || found[0].Invariant != "I2" {
		t.Errorf("violations = %v, want one of I2 when there was time to react", found)
	}
}

func TestAuditKnowsWhatIsStillGoingOn(t *testing.T) {
	s := seeded()
	s.create(simcloud.TypeLaunchTemplate, "lt-new", newGroup, newGroup, "d1", 0)
	config := strict
	config.Final = false
	if found := simcloud.Audit(s.events, config); len(found) > 0 {
		t.Errorf("violations in the middle of a deployment: %v", found)
	}
	s.end("d1")
	if found := simcloud.Audit(s.events, config); len(found) != 1 || found[0].Invariant != "I13" {
		t.Errorf("violations = %v, want an orphan once the deployment has ended", found)
	}
}

func TestSequenceNumbersBeginAnewAfter999(t *testing.T) {
	s := &story{}
	for i, name := range []string{"shop-prod-v998", "shop-prod-v999", "shop-prod-v000", "shop-prod-v001"} {
		s.group(name, fmt.Sprint("d", i), 0)
	}
	if found := simcloud.Audit(s.events, simcloud.AuditConfig{}); len(found) > 0 {
		t.Errorf("violations = %v, want none", found)
	}
}

// TestAuditKnowsPlaceholders lets the first group of a load balancer take the place of a target group that belongs to nobody and
// never had a target. One that had is somebody's.
func TestAuditKnowsPlaceholders(t *testing.T) {
	for name, served := range map[string]bool{"never had a target": false, "had one": true} {
		s := &story{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
		s.add(simcloud.Event{Kind: simcloud.ResourceCreated, Type: simcloud.TypeTargetGroup, Resource: "tg-nothing", Name: "nothing"})
		if served {
			s.targets("nothing", "healthy", 1)
		}
		s.shift(map[string]int{"tg-nothing": 100})
		s.add(simcloud.Event{Kind: simcloud.RequestUnserved, Resource: "tg-nothing", State: "503", Count: 3})
		s.group(oldGroup, "d1", 3)
		s.shift(map[string]int{"tg-nothing": 100, "tg-" + oldGroup: 0})
		s.targets(oldGroup, "healthy", 1, 2, 3)
		s.shift(map[string]int{"tg-nothing": 0, "tg-" + oldGroup: 100})
		s.shift(map[string]int{"tg-" + oldGroup: 100})
		found := simcloud.Audit(s.events, simcloud.AuditConfig{Principals: []string{bot}})
		if len(found) > 0 != served {
			t.Errorf("a target group that %s: violations %v", name, found)
		}
	}
}
