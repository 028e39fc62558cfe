package mig

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"google.golang.org/api/option"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

const (
	// Kind is the descriptor's kind.
	Kind = "gcp/mig"
	// Provider is the cluster's provider, as Spinnaker calls it.
	Provider = "gce"
	// DefaultSettle is how long a stored weight may take to reach every proxy of
	// a load balancer: a Spinnaker user needed about 50 s before the old group
	// could go without 502s (spinnaker/spinnaker issue 6176).
	DefaultSettle = 90 * time.Second
	// DefaultDrainingTimeout is time for requests in flight, not for connections
	// held open. Compute Engine by itself gives none.
	DefaultDrainingTimeout = 30 * time.Second
	// callTimeout keeps every method within the 30 s of the port.
	callTimeout = 28 * time.Second
)

//go:embed schema.json
var schema []byte

// Options tunes a target. The zero value is right for a real account.
type Options struct {
	// Settle is reported in the capabilities; zero means DefaultSettle.
	Settle time.Duration
	// DrainingTimeout is written to new backend services, in whole seconds, where
	// neither the stage nor the group that serves says another; zero means
	// DefaultDrainingTimeout.
	DrainingTimeout time.Duration
	// Drain is reported in the capabilities; zero means DrainingTimeout. It
	// differs only where the cloud's clock runs faster than ours.
	Drain time.Duration
	// MetricDelay is reported in the capabilities; zero says that nothing measures
	// the groups.
	MetricDelay time.Duration
}

// Target is managed instance groups in one project and region.
type Target struct {
	account string
	project string
	region  string
	options Options
	clients
}

// clients are the SDK's, one for each kind of resource.
type clients struct {
	templates       *compute.RegionInstanceTemplatesClient
	globalTemplates *compute.InstanceTemplatesClient
	managers        *compute.RegionInstanceGroupManagersClient
	autoscalers     *compute.RegionAutoscalersClient
	services        *compute.RegionBackendServicesClient
	urlMaps         *compute.RegionUrlMapsClient
	globalMaps      *compute.UrlMapsClient
	healthChecks    *compute.RegionHealthChecksClient
	operations      *compute.RegionOperationsClient
	zoneOperations  *compute.ZoneOperationsClient
	images          *compute.ImagesClient
	subnets         *compute.SubnetworksClient
	regions         *compute.RegionsClient
}

var (
	_ delivery.Target         = (*Target)(nil)
	_ delivery.ClusterLister  = (*Target)(nil)
	_ delivery.InstanceFinder = (*Target)(nil)
	_ delivery.ImageFinder    = (*Target)(nil)
)

// New makes the target of one region. It does no I/O.
func New(session *gcp.Session, region string, o Options) (*Target, error) {
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.DrainingTimeout == 0 {
		o.DrainingTimeout = DefaultDrainingTimeout
	}
	if o.Drain == 0 {
		o.Drain = o.DrainingTimeout
	}
	t := &Target{account: session.Account(), project: session.Project(), region: region, options: o}
	if err := t.connect(session.ClientOptions()); err != nil {
		return nil, fmt.Errorf("make the clients of account %s: %w", t.account, err)
	}
	return t, nil
}

func (c *clients) connect(o []option.ClientOption) error {
	return errors.Join(
		client(&c.templates, compute.NewRegionInstanceTemplatesRESTClient, o),
		client(&c.globalTemplates, compute.NewInstanceTemplatesRESTClient, o),
		client(&c.managers, compute.NewRegionInstanceGroupManagersRESTClient, o),
		client(&c.autoscalers, compute.NewRegionAutoscalersRESTClient, o),
		client(&c.services, compute.NewRegionBackendServicesRESTClient, o),
		client(&c.urlMaps, compute.NewRegionUrlMapsRESTClient, o),
		client(&c.globalMaps, compute.NewUrlMapsRESTClient, o),
		client(&c.healthChecks, compute.NewRegionHealthChecksRESTClient, o),
		client(&c.operations, compute.NewRegionOperationsRESTClient, o),
		client(&c.zoneOperations, compute.NewZoneOperationsRESTClient, o),
		client(&c.images, compute.NewImagesRESTClient, o),
		client(&c.subnets, compute.NewSubnetworksRESTClient, o),
		client(&c.regions, compute.NewRegionsRESTClient, o),
	)
}

// client fills in one client. The context of a REST client's constructor is used
// for nothing that outlives it.
func client[C any](out *C, open func(context.Context, ...option.ClientOption) (C, error), o []option.ClientOption) error {
	var err error
	*out, err = open(context.Background(), o...)
	return err
}

// Describe returns what managed instance groups behind a URL map can do.
func (t *Target) Describe() delivery.Descriptor {
	source := ""
	if t.options.MetricDelay > 0 {
		source = delivery.CloudMonitoring
	}
	return delivery.Descriptor{
		Kind:   Kind,
		Schema: json.RawMessage(schema),
		Capabilities: delivery.Capabilities{
			Weighted: true, Settle: t.options.Settle, Drain: t.options.Drain, Resize: true, InPlace: true,
			Previews: []delivery.MatchKind{delivery.MatchHeader, delivery.MatchCookie},
			Metrics:  source, MetricDelay: t.options.MetricDelay,
		},
	}
}

// Clusters returns the clusters of an application that have a group of ours
// here, sorted by name.
func (t *Target) Clusters(ctx context.Context, application string) ([]delivery.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	managers, err := t.managersNamed(ctx, regexp.QuoteMeta(application)+"(-.*)?-v[0-9]{3}")
	if err != nil {
		return nil, err
	}
	seen := map[delivery.Moniker]bool{}
	out := []delivery.Cluster{}
	for _, m := range managers {
		name, _, ok := delivery.ParseServerGroup(m.GetName())
		if !ok || name.App != application || tagsIn(m.GetDescription())[tagApplication] != application || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: name})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name() < out[j].Name() })
	return out, nil
}
