package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/simcloud"
)

type groupTagsInput struct {
	Tags []tagInput `wire:",required"`
}

func (g *group) setTag(t groupTag) {
	if i := slices.IndexFunc(g.Tags, func(o groupTag) bool { return o.Key == t.Key }); i >= 0 {
		g.Tags[i] = t
		return
	}
	g.Tags = append(g.Tags, t)
	slices.SortFunc(g.Tags, func(a, b groupTag) int { return strings.Compare(a.Key, b.Key) })
}

// tagged finds the groups that tags name. The text is recorded in cloud-custodian issue 380.
func (c *call) tagged(tags []tagInput) ([]*group, *apiError) {
	var groups []*group
	for _, t := range tags {
		if t.ResourceType != "auto-scaling-group" {
			return nil, refuse("ValidationError", "The resource type %s is not supported: it must be auto-scaling-group", t.ResourceType)
		}
		g := c.data.Groups[t.ResourceId]
		if g == nil {
			return nil, refuse("ValidationError", "AutoScalingGroup not found - AutoScaling Group %s not found", t.ResourceId)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func (c *call) createOrUpdateGroupTags(in *groupTagsInput) (*nothing, error) {
	groups, refusal := c.tagged(in.Tags)
	if refusal != nil {
		return nil, refusal
	}
	for i, t := range in.Tags {
		groups[i].setTag(groupTag{t.Key, t.Value, valueOr(t.PropagateAtLaunch, false)})
		c.groupEvent(simcloud.ResourceUpdated, groups[i])
	}
	return &nothing{}, nil
}

func (c *call) deleteGroupTags(in *groupTagsInput) (*nothing, error) {
	groups, refusal := c.tagged(in.Tags)
	if refusal != nil {
		return nil, refusal
	}
	for i, t := range in.Tags {
		groups[i].Tags = slices.DeleteFunc(groups[i].Tags, func(o groupTag) bool { return o.Key == t.Key })
		c.groupEvent(simcloud.ResourceUpdated, groups[i])
	}
	return &nothing{}, nil
}

type describeGroupTagsInput struct {
	Filters    []groupFilter
	MaxRecords *int32
	NextToken  string
}

type describeGroupTagsOutput struct {
	Tags      members[tagXML]
	NextToken *string
}

// describeGroupTags knows the filters auto-scaling-group, key, value and propagate-at-launch.
func (c *call) describeGroupTags(in *describeGroupTagsInput) (*describeGroupTagsOutput, error) {
	var found []tagXML
	for _, g := range sorted(c.data.Groups) {
		for _, t := range g.Tags {
			have := map[string]string{
				"auto-scaling-group": g.Name, "key": t.Key, "value": t.Value, "propagate-at-launch": fmt.Sprint(t.Propagate),
			}
			keep := true
			for _, f := range in.Filters {
				value, ok := have[f.Name]
				if !ok {
					return nil, refuse("ValidationError", "Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", f.Name)
				}
				keep = keep && slices.Contains(f.Values, value)
			}
			if keep {
				found = append(found, renderGroupTag(g.Name, t))
			}
		}
	}
	key := func(t tagXML) string { return t.ResourceId + "\x00" + t.Key }
	part, next, ok := page(found, key, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, invalidToken(in.NextToken)
	}
	return &describeGroupTagsOutput{listOf(part), optional(next)}, nil
}
