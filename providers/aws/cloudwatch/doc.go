// Package cloudwatch measures the traffic of server groups with CloudWatch. An
// Application Load Balancer sends its metrics once a minute, and none for a
// minute without requests; a counter that is zero has no point either. So a
// minute with requests and without errors is one of which the errors are zero,
// and a minute without requests is no data.
package cloudwatch
