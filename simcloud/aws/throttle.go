package aws

import (
	"strings"
	"time"
)

// Bucket limits a kind of request: Burst at once, Rate in a second of simulated time.
type Bucket struct {
	Rate, Burst float64
}

// DefaultBuckets returns the limits of each account and region. Elastic Load Balancing documents buckets of 40 for
// Describe actions ("Request throttling for the Elastic Load Balancing API"); the AWS load balancer controller keeps
// itself to 10 a second with a burst of 40 (pkg/aws/throttle/defaults.go), and to 4 with 20 for (de)registration. EC2's
// are those of "Request throttling for the Amazon EC2 API" (100 and 20 a second for describes, 200 and 10 for changes).
// Those of Auto Scaling, STS and CloudWatch are not documented: assumption.
func DefaultBuckets() map[string]Bucket {
	return map[string]Bucket{
		"elasticloadbalancing:read":    {Rate: 10, Burst: 40},
		"elasticloadbalancing:write":   {Rate: 10, Burst: 40},
		"elasticloadbalancing:targets": {Rate: 4, Burst: 20},
		"ec2:read":                     {Rate: 20, Burst: 100},
		"ec2:write":                    {Rate: 10, Burst: 200},
		"autoscaling:read":             {Rate: 20, Burst: 100},
		"autoscaling:write":            {Rate: 10, Burst: 100},
		"sts:read":                     {Rate: 50, Burst: 200},
		"sts:write":                    {Rate: 50, Burst: 200},
		"cloudwatch:read":              {Rate: 50, Burst: 100},
		"cloudwatch:write":             {Rate: 50, Burst: 100},
	}
}

type tokenBucket struct {
	limit  Bucket
	tokens float64
	filled time.Time
}

func bucketName(s *service, o *operation) string {
	switch {
	case s.title == "elasticloadbalancing" && strings.HasSuffix(o.name, "registerTargets"), o.name == "RegisterTargets":
		return s.title + ":targets"
	case o.write:
		return s.title + ":write"
	default:
		return s.title + ":read"
	}
}

// take takes a token for the operation and reports whether there was one.
func (r *region) take(s *service, o *operation) bool {
	now := r.cloud.world.Clock.Now()
	name := bucketName(s, o)
	b := r.buckets[name]
	if b == nil {
		limit, ok := r.cloud.options.Buckets[name]
		if !ok {
			limit = DefaultBuckets()[name]
		}
		b = &tokenBucket{limit: limit, tokens: limit.Burst, filled: now}
		r.buckets[name] = b
	}
	b.tokens = min(b.limit.Burst, b.tokens+now.Sub(b.filled).Seconds()*b.limit.Rate)
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
