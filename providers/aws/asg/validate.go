package asg

import (
	"context"
	"fmt"
	"slices"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
)

// Validate checks a spec without changing anything. Findings that need no call
// to AWS come alone, so that a spec of the wrong shape costs none.
func (t *Target) Validate(ctx context.Context, cluster delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, findings := parseSettings(spec)
	if len(findings) > 0 {
		return findings, nil
	}
	if findings = s.check(cluster); len(findings) > 0 {
		return findings, nil
	}
	if spec.Match != nil {
		if findings = checkMatch(*spec.Match); len(findings) > 0 {
			return findings, nil
		}
	}
	if err := t.session.Verify(ctx, t.region); err != nil {
		return nil, err
	}
	from, findings, err := t.source(ctx, s.from)
	if err != nil || len(findings) > 0 {
		return findings, err
	}
	vpc := ""
	var full error // what else is wrong is told first
	if s.balancer() != "" {
		found, problems, err := t.checkBalancer(ctx, cluster, s, spec.Match)
		if delivery.KindOf(err) == delivery.Quota {
			full, err = err, nil
		}
		if err != nil {
			return nil, err
		}
		findings, vpc = append(findings, problems...), found
	} else {
		found, problems, err := t.networkOf(ctx, s, from)
		if err != nil {
			return nil, err
		}
		findings, vpc = append(findings, problems...), found
	}
	_, problems, err := t.imageOfSpec(ctx, s, from)
	if err != nil {
		return nil, err
	}
	findings = append(findings, problems...)
	if vpc == "" {
		return findings, nil // without the VPC nothing can be said of subnets
	}
	if _, problems, err = t.subnetsOf(ctx, s, from, vpc); err != nil {
		return nil, err
	}
	findings = append(findings, problems...)
	_, problems, err = t.resolveSecurityGroups(ctx, s.SecurityGroups, vpc)
	if findings = append(findings, problems...); err == nil && len(findings) == 0 {
		err = full
	}
	return findings, err
}

// checkBalancer checks load balancer, listener and rule, and returns the load
// balancer's VPC; empty when it does not exist. The error is Quota when the rule is
// full.
func (t *Target) checkBalancer(ctx context.Context, cluster delivery.Cluster, s settings, match *delivery.Match) (string, []delivery.Finding, error) {
	balancer, err := t.loadBalancer(ctx, s.balancer())
	if delivery.KindOf(err) == delivery.NotFound {
		return "", finding(atBalancer, "no load balancer %q in %s", s.balancer(), t.region), nil
	}
	if err != nil {
		return "", nil, err
	}
	vpc := deref(balancer.VpcId)
	if balancer.Type != "" && balancer.Type != elbtypes.LoadBalancerTypeEnumApplication {
		return vpc, finding(atBalancer, "%s is a load balancer of type %s; weights need type application", s.balancer(), balancer.Type), nil
	}
	found, err := t.survey(ctx, cluster, s.balancer())
	if err != nil {
		return "", nil, err
	}
	if problems := found.checkRule(s, match); len(problems) > 0 {
		return vpc, problems, nil
	}
	elsewhere, err := t.elsewhere(ctx, found)
	if err != nil {
		return "", nil, err
	}
	if elsewhere != "" {
		return vpc, finding(atBalancer, "server groups of cluster %s are behind load balancer %s; a cluster has one", cluster.Name(), elsewhere), nil
	}
	return vpc, nil, found.full(s)
}

const atBalancer = "/loadBalancers/0"

func finding(pointer, format string, args ...any) []delivery.Finding {
	return []delivery.Finding{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
}

// checkRule tells what keeps the load balancer's rule from taking one more
// server group of the cluster.
func (found *survey) checkRule(s settings, match *delivery.Match) []delivery.Finding {
	if s.ListenerPort != 0 && !slices.ContainsFunc(found.rules, func(r rule) bool { return r.port == s.ListenerPort }) {
		return finding("/listenerPort", "load balancer %s has no listener on port %d", s.balancer(), s.ListenerPort)
	}
	chosen := found.pickRule(s.ListenerPort)
	if chosen == nil {
		return finding(atBalancer, "load balancer %s has no listener", s.balancer())
	}
	if _, ok := chosen.final(); !ok {
		return finding(atBalancer, "the default rule of port %d neither forwards nor answers itself", chosen.port)
	}
	if other := found.second(chosen); other != nil {
		return finding(atBalancer, "two rules of %s, of ports %d and %d, forward to cluster %s; weights can be moved in one only: let the other redirect or remove it",
			s.balancer(), chosen.port, other.port, found.cluster.Name())
	}
	for _, d := range chosen.destinations() {
		if found.ownerOf(deref(d.TargetGroupArn)) == nil {
			return finding(atBalancer, "the rule of port %d forwards to target group %s, which is not of cluster %s",
				chosen.port, nameOfTargetGroup(deref(d.TargetGroupArn)), found.cluster.Name())
		}
	}
	return found.checkPreview(match, chosen)
}

// full returns Quota when the rule has no room for one more target group.
func (found *survey) full(s settings) error {
	chosen := found.pickRule(s.ListenerPort)
	if chosen == nil || len(chosen.destinations()) < maxDestinations {
		return nil
	}
	return delivery.Errorf(delivery.Quota, "the rule of port %d of load balancer %s forwards to %d target groups already; AWS allows %d: destroy old server groups first, or let maxRemainingAsgs do it",
		chosen.port, s.balancer(), len(chosen.destinations()), maxDestinations)
}

// elsewhere returns the name of another load balancer that a group with
// instances is behind, or "".
func (t *Target) elsewhere(ctx context.Context, s *survey) (string, error) {
	var arns []string
	for _, name := range s.names() {
		if p := s.groups[name]; p.group != nil && deref(p.group.DesiredCapacity) > 0 {
			arns = append(arns, p.targetGroups...)
		}
	}
	found, err := t.targetGroupsByARN(ctx, arns)
	for _, g := range found {
		for _, arn := range g.LoadBalancerArns {
			if arn != s.balancer {
				return nameOfLoadBalancer(arn), nil
			}
		}
	}
	return "", err
}
