package asg

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// GroupOf asks Auto Scaling for the instance. One that is in a group without a
// number in its name is in no server group.
func (t *Target) GroupOf(ctx context.Context, instance string) (delivery.Cluster, string, error) {
	none := delivery.Errorf(delivery.NotFound, "instance %s in %s", instance, t.region)
	if instance == "" { // AWS would describe all
		return delivery.Cluster{}, "", none
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := t.groups.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{instance}})
	if err != nil {
		return delivery.Cluster{}, "", aws.Classify(err, "describe instance %s of Auto Scaling", instance)
	}
	for _, found := range answer.AutoScalingInstances {
		group := deref(found.AutoScalingGroupName)
		if m, _, ok := delivery.ParseServerGroup(group); ok && deref(found.InstanceId) == instance {
			return delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m}, group, nil
		}
	}
	return delivery.Cluster{}, "", none
}

// imagesPerCall is the most that DescribeImages returns at once (API reference).
const imagesPerCall = 1000

// Images asks EC2 for the available images of the account and the configured
// owners; it compares the names.
func (t *Target) Images(ctx context.Context, pattern string) ([]delivery.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name, value := "name", strings.ReplaceAll(pattern, `\`, `\\`)
	if strings.HasPrefix(pattern, "ami-") && !strings.ContainsAny(pattern, "*?") {
		name = "image-id"
	}
	in := &ec2.DescribeImagesInput{
		Owners: append([]string{"self"}, t.options.ImageOwners...), MaxResults: ptr(int32(imagesPerCall)),
		Filters: []ec2types.Filter{{Name: ptr(name), Values: []string{value}}, {Name: ptr("state"), Values: []string{string(ec2types.ImageStateAvailable)}}},
	}
	out := []delivery.Image{}
	for pages := ec2.NewDescribeImagesPaginator(t.compute, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe images %s", pattern)
		}
		for _, i := range page.Images {
			out = append(out, listedImage(i))
		}
		if len(out) > delivery.MaxImages {
			return nil, delivery.TooManyImages()
		}
	}
	slices.SortFunc(out, func(a, b delivery.Image) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

func listedImage(i ec2types.Image) delivery.Image {
	out := delivery.Image{ID: deref(i.ImageId), Name: deref(i.Name)}
	if created, err := time.Parse(time.RFC3339, deref(i.CreationDate)); err == nil {
		out.CreatedAt = created.UTC()
	}
	for _, tag := range i.Tags {
		if out.Tags == nil {
			out.Tags = map[string]string{}
		}
		out.Tags[deref(tag.Key)] = deref(tag.Value)
	}
	return out
}
