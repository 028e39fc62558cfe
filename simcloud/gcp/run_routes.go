package gcp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/simcloud"
)

// This file lets the front ends follow the traffic of the services.

// listenPort is where every front end listens.
const listenPort = 443

// trafficRule is what events call the rule that divides a service's traffic.
func trafficRule(service string) string { return service + "#traffic" }

// hiddenGroup is what events call the target group behind a revision, which no API shows.
func hiddenGroup(revision string) string { return revision + "#containers" }

// share is one entry of a service's traffic with the revision that it stands for.
type share struct {
	status *runpb.TrafficTargetStatus
	// revision is the path.
	revision string
}

func (p *runPlane) addFrontEnd(s *runpb.Service) {
	f := &frontEnd{service: s.Name, listed: map[string]bool{}}
	f.balancer = simcloud.NewLoadBalancer(p.project.cloud.world, simcloud.LoadBalancerConfig{
		ID: s.Name, Name: nameOf(s.Name), Account: p.project.account, Region: regionOfPath(s.Name),
	})
	url, err := f.balancer.Listen(listenPort)
	if err != nil {
		p.project.cloud.options.Logger.Error("open front end", "service", s.Name, "error", err)
	}
	f.url = url
	p.services[s.Name] = f
}

func (p *runPlane) removeFrontEnd(service string) {
	if f := p.services[service]; f != nil {
		f.balancer.Close()
		delete(p.services, service)
	}
}

// host is the URL of a name under a front end. Names below localhost mean the loopback address (RFC 6761), so that a URL
// names the host that the front end is to be asked for.
func (f *frontEnd) host(name string) string {
	return strings.Replace(f.url, "127.0.0.1", name+".localhost", 1)
}

// resolve finds the revisions that a service's traffic stands for, or why it cannot be routed. A revision that does not
// exist fails with the text recorded in terraform-google-modules/terraform-docs-samples pull request 269; one that has
// failed fails with its own text, also when it has only a tag (Lore-Hex/quill-router pull request 782).
func (p *runPlane) resolve(f *frontEnd, s *runpb.Service) ([]*share, *failure) {
	var out []*share
	for _, t := range s.Traffic {
		path := s.Name + "/revisions/" + t.Revision
		if t.Type == trafficLatest {
			path = s.LatestReadyRevision
		}
		r := p.revisions[path]
		switch {
		case path == "":
			return nil, p.revisions[s.LatestCreatedRevision].failure
		case r == nil:
			return nil, internal(commonReason(runpb.Condition_REVISION_FAILED),
				fmt.Sprintf("Revision '%s' does not exist or is deleted. Update all traffic to route to currently available revisions.", nameOf(path)))
		case r.failure != nil:
			return nil, r.failure
		}
		status := &runpb.TrafficTargetStatus{Type: t.Type, Revision: nameOf(path), Percent: t.Percent, Tag: t.Tag}
		if t.Tag != "" {
			status.Uri = f.host(t.Tag + "---" + nameOf(s.Name))
		}
		out = append(out, &share{status: status, revision: path})
	}
	return out, nil
}

// present are the shares of the traffic as it is.
func present(s *runpb.Service) []*share {
	var out []*share
	for _, status := range s.GetTrafficStatuses() {
		out = append(out, &share{status: status, revision: s.Name + "/revisions/" + status.Revision})
	}
	return out
}

// part sums up what shares give a revision: its percent, and whether they name it and tag it.
func part(shares []*share, revision string) (percent int, named, tagged bool) {
	for _, s := range shares {
		if s.revision == revision {
			percent, named, tagged = percent+int(s.status.Percent), true, tagged || s.status.Tag != ""
		}
	}
	return percent, named, tagged
}

// route gives a service's rules to its front end, if they have changed.
func (p *runPlane) route(f *frontEnd) {
	s := lookup[*runpb.Service](p.project.data, f.service)
	rules := append(p.tagRules(s), p.startupRule(f))
	if len(s.TrafficStatuses) > 0 {
		rules = append(rules, p.percentRule(f, s))
	}
	if text := describe(rules); text != f.rules {
		f.rules = text
		if err := f.balancer.SetRules(listenPort, rules); err != nil {
			p.project.cloud.options.Logger.Error("set rules", "service", f.service, "error", err)
		}
	}
}

// percentRule divides the traffic. Revisions that had a part in it once stay in the rule at weight 0.
func (p *runPlane) percentRule(f *frontEnd, s *runpb.Service) simcloud.Rule {
	shares := present(s)
	for _, share := range shares {
		f.listed[share.revision] = true
	}
	rule := simcloud.Rule{ID: trafficRule(f.service), Priority: 3}
	for _, path := range slices.Sorted(maps.Keys(f.listed)) {
		if r := p.revisions[path]; r != nil {
			percent, _, _ := part(shares, path)
			rule.Forward = append(rule.Forward, simcloud.Destination{TargetGroup: r.targets, Weight: percent})
		}
	}
	return rule
}

// tagRules lead to tagged revisions by the host name: "https://TAG---SERVICE-HASH-REGION.a.run.app" in Cloud Run
// ("Rollbacks, gradual rollouts, and traffic migration", Using tags). A tag works from the moment that its revision has a
// healthy container. Other tags are not found: assumption.
func (p *runPlane) tagRules(s *runpb.Service) []simcloud.Rule {
	var rules []simcloud.Rule
	for _, share := range present(s) {
		r := p.revisions[share.revision]
		if share.status.Tag == "" || r == nil || !r.reached {
			continue
		}
		host := share.status.Tag + "---" + nameOf(s.Name)
		rules = append(rules, simcloud.Rule{
			ID: s.Name + "#tag/" + share.status.Tag, Priority: 1, Preview: true,
			Conditions: []simcloud.Condition{{Field: simcloud.FieldHost, Values: []string{host, host + ".*", host + "-*"}}},
			Forward:    []simcloud.Destination{{TargetGroup: r.targets, Weight: 100}},
		})
	}
	return append(rules, simcloud.Rule{
		ID: s.Name + "#tag", Priority: 2, Preview: true,
		Conditions: []simcloud.Condition{{Field: simcloud.FieldHost, Values: []string{"*---*"}}},
		Fixed:      &simcloud.FixedResponse{Status: http.StatusNotFound, ContentType: "text/plain", Body: "The requested tag does not exist.\n"},
	})
}

// startupRule is met by no request. It puts every revision into use, so that its containers are probed.
func (p *runPlane) startupRule(f *frontEnd) simcloud.Rule {
	rule := simcloud.Rule{ID: f.service + "#startup", Priority: 4, Preview: true, Conditions: []simcloud.Condition{{Field: simcloud.FieldHost}}}
	for _, path := range slices.Sorted(maps.Keys(p.revisions)) {
		if r := p.revisions[path]; r.service == f.service {
			rule.Forward = append(rule.Forward, simcloud.Destination{TargetGroup: r.targets})
		}
	}
	return rule
}

// describe renders rules so that equal ones are equal.
func describe(rules []simcloud.Rule) string {
	var b strings.Builder
	for _, rule := range rules {
		fmt.Fprintf(&b, "%s", rule.ID)
		for _, d := range rule.Forward {
			fmt.Fprintf(&b, " %p=%d", d.TargetGroup, d.Weight)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// reaches tells whether a proxy of the front end still sends requests to a revision.
func (f *frontEnd) reaches(revision string) bool {
	id := hiddenGroup(revision)
	for _, listener := range f.balancer.Listeners() {
		for _, rules := range listener.Effective {
			for _, weights := range rules {
				if weights[id] > 0 {
					return true
				}
			}
		}
	}
	return false
}

// everywhere tells whether every proxy of the front end routes by the traffic as it was stored.
func (f *frontEnd) everywhere() bool {
	rule := trafficRule(f.service)
	for _, listener := range f.balancer.Listeners() {
		for _, rules := range listener.Effective {
			if weights, known := rules[rule]; !known || !maps.Equal(weights, listener.Stored[rule]) {
				return false
			}
		}
	}
	return true
}
