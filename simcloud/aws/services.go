package aws

import "net/http"

// newServices is the table of everything the simulator answers. Versions and namespaces are those of the SDKs' models;
// throttling codes those of each service's "Common errors" and of the EC2 API throttling guide.
func newServices() serviceTable {
	return serviceTable{
		"sts": {
			name: "sts", title: "sts", module: "sts", version: "2011-06-15",
			namespace: "https://sts.amazonaws.com/doc/2011-06-15/", protocol: awsQuery,
			validation: "ValidationError", throttle: "Throttling", throttled: http.StatusBadRequest,
			operations: table(
				op("GetCallerIdentity", (*call).getCallerIdentity),
				op("AssumeRole", (*call).assumeRole),
			),
		},
		"ec2":                  ec2Service(),
		"autoscaling":          autoScalingService(),
		"elasticloadbalancing": loadBalancingService(),
		"monitoring":           cloudWatchService(),
	}
}

func ec2Service() *service {
	return &service{
		name: "ec2", title: "ec2", module: "ec2", version: "2016-11-15",
		namespace: "http://ec2.amazonaws.com/doc/2016-11-15/", protocol: ec2Query,
		validation: "InvalidParameterValue", throttle: "RequestLimitExceeded", throttled: http.StatusServiceUnavailable,
		operations: table(
			op("CreateLaunchTemplate", (*call).createLaunchTemplate),
			op("CreateLaunchTemplateVersion", (*call).createLaunchTemplateVersion),
			op("DescribeLaunchTemplates", (*call).describeLaunchTemplates),
			op("DescribeLaunchTemplateVersions", (*call).describeLaunchTemplateVersions),
			op("DeleteLaunchTemplate", (*call).deleteLaunchTemplate),
			op("DescribeInstances", (*call).describeInstances),
			op("DescribeInstanceStatus", (*call).describeInstanceStatus),
			op("TerminateInstances", (*call).terminateInstances),
			op("DescribeImages", (*call).describeImages),
			op("DescribeSubnets", (*call).describeSubnets),
			op("DescribeSecurityGroups", (*call).describeSecurityGroups),
			op("DescribeVpcs", (*call).describeVpcs),
			op("CreateTags", (*call).createTags),
		),
	}
}

func autoScalingService() *service {
	return &service{
		name: "autoscaling", title: "autoscaling", module: "autoscaling", version: "2011-01-01",
		namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/", protocol: awsQuery,
		validation: "ValidationError", throttle: "Throttling", throttled: http.StatusBadRequest,
		operations: table(
			op("CreateAutoScalingGroup", (*call).createAutoScalingGroup),
			op("UpdateAutoScalingGroup", (*call).updateAutoScalingGroup),
			op("DeleteAutoScalingGroup", (*call).deleteAutoScalingGroup),
			op("DescribeAutoScalingGroups", (*call).describeAutoScalingGroups),
			op("DescribeAutoScalingInstances", (*call).describeAutoScalingInstances),
			op("SetDesiredCapacity", (*call).setDesiredCapacity),
			op("SetInstanceHealth", (*call).setInstanceHealth),
			op("SetInstanceProtection", (*call).setInstanceProtection),
			op("TerminateInstanceInAutoScalingGroup", (*call).terminateInstanceInGroup),
			op("SuspendProcesses", (*call).suspendProcesses),
			op("ResumeProcesses", (*call).resumeProcesses),
			op("DescribeScalingActivities", (*call).describeScalingActivities),
			op("AttachTrafficSources", (*call).attachTrafficSources),
			op("DetachTrafficSources", (*call).detachTrafficSources),
			op("DescribeTrafficSources", (*call).describeTrafficSources),
			op("AttachLoadBalancerTargetGroups", (*call).attachTargetGroups),
			op("DetachLoadBalancerTargetGroups", (*call).detachTargetGroups),
			op("DescribeLoadBalancerTargetGroups", (*call).describeGroupTargetGroups),
			op("CreateOrUpdateTags", (*call).createOrUpdateGroupTags),
			op("DeleteTags", (*call).deleteGroupTags),
			op("DescribeTags", (*call).describeGroupTags),
			op("StartInstanceRefresh", (*call).startInstanceRefresh),
			op("DescribeInstanceRefreshes", (*call).describeInstanceRefreshes),
			op("CancelInstanceRefresh", (*call).cancelInstanceRefresh),
			op("RollbackInstanceRefresh", (*call).rollbackInstanceRefresh),
		),
	}
}

func loadBalancingService() *service {
	return &service{
		name: "elasticloadbalancing", title: "elasticloadbalancing", module: "elasticloadbalancingv2", version: "2015-12-01",
		namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", protocol: awsQuery,
		validation: "ValidationError", throttle: "Throttling", throttled: http.StatusBadRequest,
		operations: table(
			op("CreateLoadBalancer", (*call).createLoadBalancer),
			op("DescribeLoadBalancers", (*call).describeLoadBalancers),
			op("DescribeLoadBalancerAttributes", (*call).describeLoadBalancerAttributes),
			op("CreateListener", (*call).createListener),
			op("DescribeListeners", (*call).describeListeners),
			op("ModifyListener", (*call).modifyListener),
			op("CreateRule", (*call).createRule),
			op("DescribeRules", (*call).describeRules),
			op("ModifyRule", (*call).modifyRule),
			op("DeleteRule", (*call).deleteRule),
			op("SetRulePriorities", (*call).setRulePriorities),
			op("CreateTargetGroup", (*call).createTargetGroup),
			op("DescribeTargetGroups", (*call).describeTargetGroups),
			op("ModifyTargetGroup", (*call).modifyTargetGroup),
			op("DescribeTargetGroupAttributes", (*call).describeTargetGroupAttributes),
			op("ModifyTargetGroupAttributes", (*call).modifyTargetGroupAttributes),
			op("DeleteTargetGroup", (*call).deleteTargetGroup),
			op("RegisterTargets", (*call).registerTargets),
			op("DeregisterTargets", (*call).deregisterTargets),
			op("DescribeTargetHealth", (*call).describeTargetHealth),
			op("AddTags", (*call).addTags),
			op("RemoveTags", (*call).removeTags),
			op("DescribeTags", (*call).describeTags),
		),
	}
}

func cloudWatchService() *service {
	return &service{
		name: "monitoring", title: "cloudwatch", module: "cloudwatch", version: "2010-08-01",
		namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", protocol: rpcCBOR,
		validation: "ValidationError", throttle: "Throttling", throttled: http.StatusBadRequest,
		operations: table(
			op("GetMetricData", (*call).getMetricData),
			op("ListMetrics", (*call).listMetrics),
			op("PutMetricData", (*call).putMetricData),
		),
	}
}
