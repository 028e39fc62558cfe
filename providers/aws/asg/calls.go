package asg

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// call is one call of EC2 as its client has it, bound to the client.
type call[In, Out any] func(ctx context.Context, in *In, options ...func(*ec2.Options)) (*Out, error)

// ec2Calls are the calls of EC2 that are made here. They stand for the client,
// which must reach no interface, be it by way of a field: the linker then keeps all
// of its 812 calls with their types, since other parts of the program look
// methods up by name, and the binary grows by 29 MB (docs/footprint.md).
type ec2Calls struct {
	createLaunchTemplate           call[ec2.CreateLaunchTemplateInput, ec2.CreateLaunchTemplateOutput]
	createLaunchTemplateVersion    call[ec2.CreateLaunchTemplateVersionInput, ec2.CreateLaunchTemplateVersionOutput]
	deleteLaunchTemplate           call[ec2.DeleteLaunchTemplateInput, ec2.DeleteLaunchTemplateOutput]
	describeImages                 call[ec2.DescribeImagesInput, ec2.DescribeImagesOutput]
	describeInstances              call[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	describeLaunchTemplates        call[ec2.DescribeLaunchTemplatesInput, ec2.DescribeLaunchTemplatesOutput]
	describeLaunchTemplateVersions call[ec2.DescribeLaunchTemplateVersionsInput, ec2.DescribeLaunchTemplateVersionsOutput]
	describeSecurityGroups         call[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput]
	describeSubnets                call[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
	describeVPCs                   call[ec2.DescribeVpcsInput, ec2.DescribeVpcsOutput]
}

func callsOf(c *ec2.Client) ec2Calls {
	return ec2Calls{
		createLaunchTemplate: c.CreateLaunchTemplate, createLaunchTemplateVersion: c.CreateLaunchTemplateVersion, deleteLaunchTemplate: c.DeleteLaunchTemplate,
		describeImages: c.DescribeImages, describeInstances: c.DescribeInstances,
		describeLaunchTemplates: c.DescribeLaunchTemplates, describeLaunchTemplateVersions: c.DescribeLaunchTemplateVersions,
		describeSecurityGroups: c.DescribeSecurityGroups, describeSubnets: c.DescribeSubnets, describeVPCs: c.DescribeVpcs,
	}
}

// The SDK's paginators ask for these methods.

// DescribeImages is the client's.
func (c ec2Calls) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, options ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	return c.describeImages(ctx, in, options...)
}

// DescribeLaunchTemplates is the client's.
func (c ec2Calls) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput, options ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	return c.describeLaunchTemplates(ctx, in, options...)
}

// DescribeSecurityGroups is the client's.
func (c ec2Calls) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, options ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return c.describeSecurityGroups(ctx, in, options...)
}

// DescribeSubnets is the client's.
func (c ec2Calls) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, options ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return c.describeSubnets(ctx, in, options...)
}
