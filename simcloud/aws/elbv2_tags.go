package aws

import (
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/simcloud"
)

type addTagsInput struct {
	ResourceArns []string   `wire:",required"`
	Tags         []queryTag `wire:",required"`
}

func (c *call) addTags(in *addTagsInput) (*nothing, error) {
	for _, arn := range in.ResourceArns {
		tags, refusal := c.data.balancingTags(arn)
		if refusal != nil {
			return nil, refusal
		}
		*tags = mergeTags(*tags, toTags(in.Tags))
		c.tagsChanged(arn, *tags)
	}
	return &nothing{}, nil
}

type removeTagsInput struct {
	ResourceArns []string `wire:",required"`
	TagKeys      []string `wire:",required"`
}

func (c *call) removeTags(in *removeTagsInput) (*nothing, error) {
	for _, arn := range in.ResourceArns {
		tags, refusal := c.data.balancingTags(arn)
		if refusal != nil {
			return nil, refusal
		}
		*tags = slices.DeleteFunc(*tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		c.tagsChanged(arn, *tags)
	}
	return &nothing{}, nil
}

func (c *call) tagsChanged(arn string, tags []tag) {
	kind := simcloud.TypeTargetGroup
	if strings.Contains(arn, ":listener-rule/") {
		kind = simcloud.TypeRule
	} else if !strings.Contains(arn, ":targetgroup/") {
		return
	}
	c.region.log(simcloud.Event{Kind: simcloud.ResourceUpdated, Type: kind, Resource: arn, Tags: tagMap(tags), Principal: c.principal.ARN})
}

type describeTagsInput struct {
	ResourceArns []string `wire:",required"`
}

type tagDescription struct {
	ResourceArn string
	Tags        members[queryTag]
}

type describeTagsOutput struct {
	TagDescriptions members[tagDescription]
}

// maxTagResources: API reference of DescribeTags ("you can specify up to 20 resources in a single call").
const maxTagResources = 20

func (c *call) describeTags(in *describeTagsInput) (*describeTagsOutput, error) {
	if len(in.ResourceArns) > maxTagResources {
		return nil, refuse("ValidationError", "Cannot have more than %d resources described", maxTagResources)
	}
	out := &describeTagsOutput{}
	for _, arn := range in.ResourceArns {
		tags, refusal := c.data.balancingTags(arn)
		if refusal != nil {
			return nil, refusal
		}
		out.TagDescriptions.Items = append(out.TagDescriptions.Items, tagDescription{
			arn, listOf(mapped(*tags, func(t tag) queryTag { return queryTag(t) })),
		})
	}
	return out, nil
}

// balancingTags finds the tags of a load balancing resource by its ARN.
func (d *regionData) balancingTags(arn string) (*[]tag, *apiError) {
	if g := d.TargetGroups[arn]; g != nil {
		return &g.Tags, nil
	}
	if b := d.Balancers[arn]; b != nil {
		return &b.Tags, nil
	}
	if l := d.Listeners[arn]; l != nil {
		return &l.Tags, nil
	}
	if r := d.Rules[arn]; r != nil {
		return &r.Tags, nil
	}
	switch {
	case strings.Contains(arn, ":targetgroup/"):
		return nil, targetGroupNotFound(arn)
	case strings.Contains(arn, ":listener-rule/"):
		return nil, ruleNotFound()
	case strings.Contains(arn, ":listener/"):
		return nil, listenerNotFound()
	case strings.Contains(arn, ":loadbalancer/"):
		return nil, refuse("LoadBalancerNotFound", "Load balancer '%s' not found", arn)
	default:
		return nil, refuse("ValidationError", "'%s' is not a valid load balancer ARN", arn)
	}
}
