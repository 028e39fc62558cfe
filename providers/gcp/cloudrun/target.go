package cloudrun

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

const (
	// Kind is the descriptor's kind.
	Kind = "gcp/cloudrun"
	// Provider is the cluster's provider, as Spinnaker calls it.
	Provider = "cloudrun"
	// DefaultSettle is how long traffic may still go by the old percents after the
	// service said that it applied the new ones. Cloud Run's guide to traffic
	// migration calls a change "not instantaneous" and gives no number; this is an
	// assumption, a half of what load balancers made of many proxies need.
	DefaultSettle = 30 * time.Second
	// DefaultDrain is how long requests in flight are waited for. Cloud Run lets
	// them end by themselves; those that people wait for take seconds. A revision is
	// deleted only after it lost its traffic.
	DefaultDrain = 30 * time.Second
	// callTimeout keeps every method within the 30 s of the port.
	callTimeout = 28 * time.Second
)

//go:embed schema.json
var schema []byte

// Options tunes a target. The zero value is right for a real account.
type Options struct {
	// Settle is reported in the capabilities; zero means DefaultSettle.
	Settle time.Duration
	// Drain is reported in the capabilities; zero means DefaultDrain.
	Drain time.Duration
	// MetricDelay is reported in the capabilities; zero says that nothing measures
	// the groups.
	MetricDelay time.Duration
}

// Target is Cloud Run services in one account and region.
type Target struct {
	account   string
	project   string
	region    string
	options   Options
	services  *run.ServicesClient
	revisions *run.RevisionsClient
}

var (
	_ delivery.Target        = (*Target)(nil)
	_ delivery.ClusterLister = (*Target)(nil)
)

// New makes the target of one region. It does no I/O; the context is for the
// making of the clients alone.
func New(ctx context.Context, session *gcp.Session, region string, o Options) (*Target, error) {
	services, err := run.NewServicesRESTClient(ctx, session.ClientOptions()...)
	if err != nil {
		return nil, fmt.Errorf("make a client of Cloud Run services: %w", err)
	}
	revisions, err := run.NewRevisionsRESTClient(ctx, session.ClientOptions()...)
	if err != nil {
		return nil, fmt.Errorf("make a client of Cloud Run revisions: %w", err)
	}
	return &Target{
		account: session.Account(), project: session.Project(), region: region,
		options:  Options{Settle: cmp.Or(o.Settle, DefaultSettle), Drain: cmp.Or(o.Drain, DefaultDrain), MetricDelay: o.MetricDelay},
		services: services, revisions: revisions,
	}, nil
}

// Describe returns what Cloud Run can do.
func (t *Target) Describe() delivery.Descriptor {
	source := ""
	if t.options.MetricDelay > 0 {
		source = delivery.CloudMonitoring
	}
	return delivery.Descriptor{
		Kind:   Kind,
		Schema: json.RawMessage(schema),
		Capabilities: delivery.Capabilities{
			Weighted: true, Settle: t.options.Settle, Drain: t.options.Drain,
			Previews: []delivery.MatchKind{delivery.MatchTagURL},
			Metrics:  source, MetricDelay: t.options.MetricDelay,
		},
	}
}

// Clusters returns the clusters of an application that have a managed revision
// here, sorted by name.
func (t *Target) Clusters(ctx context.Context, application string) ([]delivery.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	services, err := t.allServices(ctx)
	if err != nil {
		return nil, err
	}
	out := []delivery.Cluster{}
	for _, service := range services {
		cluster, ok := t.clusterOf(base(service.GetName()))
		if !ok || cluster.Moniker.App != application {
			continue
		}
		managed, err := t.manages(ctx, cluster, service)
		if err != nil {
			return nil, err
		}
		if managed {
			out = append(out, cluster)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Cluster) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// clusterOf returns the cluster whose service has that name.
func (t *Target) clusterOf(service string) (delivery.Cluster, bool) {
	m, _, ok := delivery.ParseServerGroup(service + "-v000")
	return delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m}, ok
}

// manages reports whether the service has a managed revision. Its template tells
// most often; revisions are listed only for one whose newest is somebody else's.
func (t *Target) manages(ctx context.Context, cluster delivery.Cluster, service *runpb.Service) (bool, error) {
	newest := service.GetTemplate().GetRevision()
	if owned(service.GetTemplate().GetAnnotations(), cluster, newest) && !hidden(service, newest) {
		return true, nil
	}
	revisions, err := t.revisionsOf(ctx, cluster)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(revisions, func(r *runpb.Revision) bool {
		name := base(r.GetName())
		return cluster.Owns(name) && owned(r.GetAnnotations(), cluster, name) && !hidden(service, name)
	}), nil
}

// base returns the last part of a resource's path. Cloud Run writes some names
// with their path and some without.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
