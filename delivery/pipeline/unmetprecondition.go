package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Unmet says why the precondition does not hold; empty when it does. seen are the
// clusters that it is about, by their keys.
func (p Precondition) Unmet(e delivery.Execution, seen map[string]delivery.Snapshot) string {
	var why string
	switch p.Type {
	case ExpressionPrecondition:
		why = p.unmetExpression()
	case StagePrecondition:
		why = p.unmetStage(e)
	default:
		why = p.unmetSize(seen)
	}
	if why != "" && p.FailureMessage != "" {
		return p.FailureMessage + ": " + why
	}
	return why
}

func (p Precondition) unmetExpression() string {
	value := strings.Trim(string(p.Result), `"`)
	switch {
	case p.Problem != "":
		return p.Problem
	case strings.EqualFold(strings.TrimSpace(value), "true"):
		return ""
	default:
		return fmt.Sprintf("%s is %s", p.Expression, cmp.Or(value[:min(len(value), 200)], "not known"))
	}
}

func (p Precondition) unmetStage(e delivery.Execution) string {
	var found []delivery.Status
	for _, s := range e.Stages {
		if s.Name == p.StageName {
			found = append(found, s.Status)
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Sprintf("no stage is called %q", p.StageName)
	case len(found) > 1:
		return fmt.Sprintf("%d stages are called %q", len(found), p.StageName)
	case found[0] != p.StageStatus:
		return fmt.Sprintf("the status of stage %s is %s, not %s", p.StageName, found[0], p.StageStatus)
	default:
		return ""
	}
}

func (p Precondition) unmetSize(seen map[string]delivery.Snapshot) string {
	var wrong []string
	for _, cluster := range p.Clusters {
		snapshot, known := seen[cluster.Key()]
		if !known {
			wrong = append(wrong, fmt.Sprintf("cluster %s was not seen", cluster.Key()))
			continue
		}
		names := []string{}
		for _, g := range snapshot.Groups {
			if !p.OnlyEnabled || snapshot.Serving(g.Name) {
				names = append(names, g.Name)
			}
		}
		if !comparisons[p.Comparison](len(names), p.Expected) {
			what := "server groups"
			if p.OnlyEnabled {
				what = "server groups that take traffic"
			}
			slices.Sort(names)
			wrong = append(wrong, fmt.Sprintf("expected %s %d %s of %s in %s, but found %s", p.Comparison, p.Expected, what, cluster.Name(), cluster.Region, counted(names)))
		}
	}
	return strings.Join(wrong, "; ")
}

// counted is a number of names with the names.
func counted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d (%s)", len(names), strings.Join(names, ", "))
}

// CheckPreconditions returns why the preconditions do not hold, or nil; branchOnly
// is true when none of those that do not hold fails the pipeline.
func CheckPreconditions(list []Precondition, e delivery.Execution, seen map[string]delivery.Snapshot) (branchOnly bool, err error) {
	var wrong []string
	branchOnly = true
	for _, p := range list {
		if why := p.Unmet(e, seen); why != "" {
			wrong = append(wrong, why)
			branchOnly = branchOnly && !p.FailPipeline
		}
	}
	if len(wrong) == 0 {
		return false, nil
	}
	return branchOnly, delivery.Errorf(delivery.Conflict, "precondition not met: %s", strings.Join(wrong, "; "))
}
