// Package asg is the target kind "aws/asg": an EC2 Auto Scaling group with a
// target group of its own behind an Application Load Balancer, whose listener
// rule holds the weights.
//
// The pieces of one server group, in the order in which they are made:
//
//	launch template    named as the server group, one version
//	target group       named "sw-" and a hash (32 characters at most)
//	listener rule      forwards to the target group at weight 0, so that the
//	                   load balancer checks the health of its targets: those of
//	                   a target group that no rule uses are never checked
//	Auto Scaling group named as the server group
//
// They are removed in the opposite order, the launch template last, so that as
// long as any piece is there an Auto Scaling group or a launch template is too.
// Every piece carries the ownership tags of tags.go. Nothing is cached between
// calls: each Apply reads, compares and writes once.
package asg
