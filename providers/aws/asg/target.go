package asg

import (
	"context"
	_ "embed"
	"encoding/json"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

const (
	// Kind is the descriptor's kind.
	Kind = "aws/asg"
	// Provider is the cluster's provider, as Spinnaker calls it.
	Provider = "aws"
	// maxDestinations is ELBv2's limit of target groups per forward action.
	maxDestinations = 5
	// DefaultSettle is how long a stored weight may take to reach every node of
	// a load balancer: 503s were seen for up to a minute after ModifyRule
	// (argoproj/argo-rollouts issues 4595, 4433, 4834).
	DefaultSettle = 60 * time.Second
	// DefaultDeregistrationDelay is a tenth of what AWS sets by itself (300 s):
	// time for requests in flight, not for connections held open.
	DefaultDeregistrationDelay = 30 * time.Second
	// callTimeout keeps every method within the 30 s of the port.
	callTimeout = 28 * time.Second
)

//go:embed schema.json
var schema []byte

// Options tunes a target. The zero value is right for a real account.
type Options struct {
	// Settle is reported in the capabilities; zero means DefaultSettle.
	Settle time.Duration
	// DeregistrationDelay is written to new target groups, in whole seconds;
	// zero means DefaultDeregistrationDelay.
	DeregistrationDelay time.Duration
	// Drain is reported in the capabilities; zero means DeregistrationDelay. It
	// differs only where the cloud's clock runs faster than ours.
	Drain time.Duration
	// MetricDelay is reported in the capabilities; zero says that nothing measures
	// the groups.
	MetricDelay time.Duration
	// ImageOwners are the accounts whose images may be named besides the
	// account's own. An image name is never looked up among everybody's images:
	// anyone may publish one under any name.
	ImageOwners []string
}

// Target is Auto Scaling groups in one account and region.
type Target struct {
	session *aws.Session
	account string
	region  string
	options Options
	groups  *autoscaling.Client
	compute ec2Calls
	balance *elb.Client
}

var (
	_ delivery.Target         = (*Target)(nil)
	_ delivery.ClusterLister  = (*Target)(nil)
	_ delivery.InstanceFinder = (*Target)(nil)
	_ delivery.ImageFinder    = (*Target)(nil)
)

// New makes the target of one region. It does no I/O.
func New(session *aws.Session, region string, o Options) *Target {
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.DeregistrationDelay == 0 {
		o.DeregistrationDelay = DefaultDeregistrationDelay
	}
	if o.Drain == 0 {
		o.Drain = o.DeregistrationDelay
	}
	cfg := session.Config(region)
	return &Target{
		session: session, account: session.Account(), region: region, options: o,
		groups:  autoscaling.NewFromConfig(cfg),
		compute: callsOf(ec2.NewFromConfig(cfg)),
		balance: elb.NewFromConfig(cfg),
	}
}

// Describe returns what Auto Scaling groups behind an ALB can do.
func (t *Target) Describe() delivery.Descriptor {
	source := ""
	if t.options.MetricDelay > 0 {
		source = delivery.CloudWatch
	}
	return delivery.Descriptor{
		Kind:   Kind,
		Schema: json.RawMessage(schema),
		Capabilities: delivery.Capabilities{
			Weighted: true, MaxDestinations: maxDestinations,
			Settle: t.options.Settle, Drain: t.options.Drain, Resize: true, InPlace: true, KeepsVersions: true,
			Previews: []delivery.MatchKind{delivery.MatchHeader, delivery.MatchCookie},
			Metrics:  source, MetricDelay: t.options.MetricDelay,
		},
	}
}

// Clusters returns the clusters of an application that have a tagged group
// here, sorted by name.
func (t *Target) Clusters(ctx context.Context, application string) ([]delivery.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	groups, err := t.groupsByTag(ctx, tagApplication, application)
	if err != nil {
		return nil, err
	}
	seen := map[delivery.Moniker]bool{}
	out := []delivery.Cluster{}
	for _, g := range groups {
		m, _, ok := delivery.ParseServerGroup(deref(g.AutoScalingGroupName))
		if !ok || m.App != application || seen[m] {
			continue
		}
		seen[m] = true
		out = append(out, delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name() < out[j].Name() })
	return out, nil
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
