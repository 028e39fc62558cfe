package providers

import (
	"cmp"
	"context"

	"golang.org/x/time/rate"

	"github.com/slipway-cd/slipway/delivery"
)

// Pace is how often an account's region may be called. One call of the port is
// about ten requests to AWS, whose buckets hold 40 for ELBv2's Describe actions.
type Pace struct {
	// PerSecond is the steady rate; zero means DefaultPerSecond.
	PerSecond float64
	// Burst is how many calls may come at once; zero means DefaultBurst.
	Burst int
}

// The default pace.
const (
	DefaultPerSecond = 10
	DefaultBurst     = 40
)

// Limit delays calls that come faster than the pace. All callers of one target
// share its bucket. A caller whose context ends first gets Throttled.
func Limit(target delivery.Target, pace Pace) delivery.Target { return limit(target, nil, pace) }

// limit is Limit; what bare can do beside being a target is paced by the same
// bucket. It may be nil.
func limit(target, bare delivery.Target, pace Pace) *limited {
	out := &limited{Target: target, bucket: pace.bucket()}
	out.lister, _ = bare.(delivery.ClusterLister)
	out.instances, _ = bare.(delivery.InstanceFinder)
	out.images, _ = bare.(delivery.ImageFinder)
	return out
}

func (p Pace) bucket() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(cmp.Or(p.PerSecond, DefaultPerSecond)), cmp.Or(p.Burst, DefaultBurst))
}

// limitMetrics delays measurements like Limit. They have a bucket of their own:
// the clouds count them apart from the calls of a target.
func limitMetrics(source delivery.Metrics, pace Pace) delivery.Metrics {
	return &limitedMetrics{source, pace.bucket()}
}

type limitedMetrics struct {
	source delivery.Metrics
	bucket *rate.Limiter
}

func (l *limitedMetrics) Measure(ctx context.Context, request delivery.MetricRequest) (delivery.Series, error) {
	if err := l.bucket.Wait(ctx); err != nil {
		return delivery.Series{}, delivery.Errorf(delivery.Throttled, "wait for a turn: %w", err)
	}
	return l.source.Measure(ctx, request)
}

type limited struct {
	delivery.Target
	lister    delivery.ClusterLister
	instances delivery.InstanceFinder
	images    delivery.ImageFinder
	bucket    *rate.Limiter
}

var (
	_ delivery.ClusterLister  = (*limited)(nil)
	_ delivery.InstanceFinder = (*limited)(nil)
	_ delivery.ImageFinder    = (*limited)(nil)
)

func (l *limited) wait(ctx context.Context) error {
	if err := l.bucket.Wait(ctx); err != nil {
		return delivery.Errorf(delivery.Throttled, "wait for a turn: %w", err)
	}
	return nil
}

func (l *limited) Validate(ctx context.Context, cluster delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	return l.Target.Validate(ctx, cluster, spec)
}

func (l *limited) Observe(ctx context.Context, cluster delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	if err := l.wait(ctx); err != nil {
		return delivery.Snapshot{}, err
	}
	return l.Target.Observe(ctx, cluster, loadBalancer)
}

func (l *limited) Apply(ctx context.Context, change delivery.Change) (delivery.Receipt, error) {
	if err := l.wait(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	return l.Target.Apply(ctx, change)
}

// Clusters returns none when the target kind cannot list.
func (l *limited) Clusters(ctx context.Context, application string) ([]delivery.Cluster, error) {
	if l.lister == nil {
		return nil, nil
	}
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	return l.lister.Clusters(ctx, application)
}

// GroupOf returns NotFound when the target kind cannot find instances.
func (l *limited) GroupOf(ctx context.Context, instance string) (delivery.Cluster, string, error) {
	if l.instances == nil {
		return delivery.Cluster{}, "", delivery.Errorf(delivery.NotFound, "instance %s", instance)
	}
	if err := l.wait(ctx); err != nil {
		return delivery.Cluster{}, "", err
	}
	return l.instances.GroupOf(ctx, instance)
}

// Images returns none when the target kind keeps no list of images.
func (l *limited) Images(ctx context.Context, pattern string) ([]delivery.Image, error) {
	if l.images == nil {
		return nil, nil
	}
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	return l.images.Images(ctx, pattern)
}
