// Package simulator runs a cloud simulator: a seeded world with the AWS endpoint and the control API on loopback.
//
//	s, err := simulator.Start(ctx, simulator.Options{Dir: dir, Scale: 20})
//	...
//	defer s.Close()
//	client := elasticloadbalancingv2.New(elasticloadbalancingv2.Options{BaseEndpoint: aws.String(s.Endpoints().AWS), ...})
//
// [Start] runs it inside the calling process, which is what tests want. [Run] is the main loop of a process of its own,
// so that the simulated clouds outlive whoever uses them, as real ones do.
//
// The seed is a small shop: account aws-sim with a network, images and security groups in us-east-1 and us-west-2, and in
// each region the server group storefront-prod-v000 on image storefront-1.0, which takes all traffic of the load balancer
// storefront. All of it is healthy when Start returns.
package simulator
