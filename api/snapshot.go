package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

const (
	// observeTimeout bounds the reading of all clusters of an application.
	observeTimeout = 25 * time.Second
	// observeAtOnce bounds how many clusters are read at the same time.
	observeAtOnce = 8
)

// clusterFilter narrows clusters; an empty field does not.
type clusterFilter struct {
	provider, account, region, cluster string
	// names are "account:cluster".
	names []string
	// anew asks the clouds even when a view is kept: a decision is made on the answer.
	anew bool
}

func (f clusterFilter) keeps(c delivery.Cluster) bool {
	return (f.provider == "" || f.provider == c.Provider) && (f.account == "" || f.account == c.Account) &&
		(f.region == "" || f.region == c.Region) && (f.cluster == "" || strings.EqualFold(f.cluster, c.Name())) &&
		(len(f.names) == 0 || slices.Contains(f.names, c.Account+":"+c.Name()))
}

// wantsAnew reports whether the client asked for what is, instead of what was a
// moment ago.
func wantsAnew(c *gin.Context) bool {
	return strings.Contains(strings.ToLower(c.GetHeader("Cache-Control")), "no-cache")
}

// place is a cluster to look at and the load balancer it is known to be behind.
type place struct {
	cluster      delivery.Cluster
	loadBalancer string
}

func (p place) key() string {
	return strings.Join([]string{p.cluster.Provider, p.cluster.Key(), p.loadBalancer}, " ")
}

// observeClusters reads the clusters of an application from the clouds.
func (s *Server) observeClusters(ctx context.Context, application string, filter clusterFilter) ([]v1.Cluster, error) {
	snapshots, err := s.snapshots(ctx, application, filter)
	return presentClusters(snapshots), err
}

// clusterAt reads one cluster without asking what else there is: once for each
// provider that its account serves when the cluster names none.
func (s *Server) clusterAt(ctx context.Context, cluster delivery.Cluster, anew bool) ([]delivery.Snapshot, error) {
	filter := clusterFilter{provider: cluster.Provider, account: cluster.Account, region: cluster.Region, cluster: cluster.Name()}
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	found, err := s.pipelinePlaces(ctx, cluster.Moniker.App)
	if err != nil {
		return nil, err
	}
	for _, a := range s.targets.Accounts() {
		for _, provider := range a.Providers() {
			there := cluster
			there.Provider = provider
			found = append(found, place{cluster: there})
		}
	}
	return s.observePlaces(ctx, narrow(found, cluster.Moniker.App, filter), anew)
}

// snapshots reads the clusters of an application from the clouds, or returns what
// was read a moment ago; they are shared, so they must not be changed. What cannot
// be read is an error: an answer with a part missing would be taken for the whole.
func (s *Server) snapshots(ctx context.Context, application string, filter clusterFilter) ([]delivery.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	places, err := s.knownPlaces(ctx, application, filter)
	if err != nil {
		return nil, err
	}
	return s.observePlaces(ctx, places, filter.anew)
}

// observePlaces reads places, several at once.
func (s *Server) observePlaces(ctx context.Context, places []place, anew bool) ([]delivery.Snapshot, error) {
	snapshots, failures := make([]delivery.Snapshot, len(places)), make([]error, len(places))
	turns := make(chan struct{}, observeAtOnce)
	var all sync.WaitGroup
	for i, p := range places {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			snapshots[i], failures[i] = s.seenSnapshots.get(ctx, p.key(), anew, func(ctx context.Context) (delivery.Snapshot, error) {
				return s.observePlace(ctx, p)
			})
		})
	}
	all.Wait()
	for i, err := range failures {
		failures[i] = refusal(err, "observe "+places[i].cluster.Key())
	}
	return snapshots, errors.Join(failures...)
}

func (s *Server) observePlace(ctx context.Context, p place) (delivery.Snapshot, error) {
	target, err := s.targets.Target(p.cluster)
	if delivery.KindOf(err) == delivery.Invalid {
		return delivery.Snapshot{}, nil // no such account any more: nothing to see
	}
	if err != nil {
		return delivery.Snapshot{}, err
	}
	seen, err := target.Observe(ctx, p.cluster, p.loadBalancer)
	if delivery.KindOf(err) == delivery.NotFound && p.loadBalancer != "" {
		seen, err = target.Observe(ctx, p.cluster, "")
	}
	return seen, err
}

// refusal turns what a cloud said of a read into what Slipway says of itself:
// it is the cloud that refuses, not Slipway the caller.
func refusal(err error, what string) error {
	switch kind := delivery.KindOf(err); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return delivery.Errorf(delivery.Transient, "%s: no answer within %s", what, observeTimeout)
	case kind == delivery.Denied || kind == delivery.NotFound || kind == delivery.Invalid:
		return delivery.Errorf(delivery.Unavailable, "%s: %s", what, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// knownPlaces returns where an application runs, by its pipelines and by what
// the clouds have of it, sorted and each once.
func (s *Server) knownPlaces(ctx context.Context, application string, filter clusterFilter) ([]place, error) {
	found, err := s.pipelinePlaces(ctx, application)
	if err != nil {
		return nil, err
	}
	running, err := s.seenClusters.get(ctx, application, filter.anew, func(ctx context.Context) ([]delivery.Cluster, error) {
		return s.targets.Clusters(ctx, application)
	})
	if err != nil {
		return nil, refusal(err, "list clusters of "+application)
	}
	for _, c := range running {
		found = append(found, place{cluster: c})
	}
	return narrow(found, application, filter), nil
}

// narrow returns the places of an application that the filter keeps, sorted and
// each once: with its load balancer where one is known.
func narrow(found []place, application string, filter clusterFilter) []place {
	byKey := make(map[string]place)
	for _, p := range found {
		if !strings.EqualFold(p.cluster.Moniker.App, application) || !filter.keeps(p.cluster) {
			continue
		}
		key := p.cluster.Provider + " " + p.cluster.Key()
		if known, ok := byKey[key]; !ok || known.loadBalancer == "" {
			byKey[key] = p
		}
	}
	out := make([]place, 0, len(byKey))
	for _, p := range byKey {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(strings.Compare(a.cluster.Key(), b.cluster.Key()), strings.Compare(a.cluster.Provider, b.cluster.Provider))
	})
	return out
}

// pipelinePlaces returns where the pipelines of an application deploy to.
func (s *Server) pipelinePlaces(ctx context.Context, application string) ([]place, error) {
	pipelines, err := s.store.Pipelines(ctx, application)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, p := range pipelines {
		planned, findings, err := s.plan(ctx, p.Document)
		if err != nil {
			return nil, err
		}
		if len(findings) > 0 {
			continue // its template is another one than when it was saved
		}
		p.Document = planned.Document
		out = append(out, placesOf(p)...)
	}
	return out, nil
}

// placesOf returns the clusters that a pipeline's deploy stages name. Fields with
// expressions that only a run can evaluate are read as they stand.
func placesOf(p delivery.Pipeline) []place {
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		return nil // saved by an earlier version with other rules
	}
	var env expression.Env
	if definition.TemplateVariables != nil {
		env.Execution = object{"templateVariables": definition.TemplateVariables}.raw()
	}
	if defaults, err := definition.ResolveParameters(nil); err == nil {
		env.Parameters = defaults
	}
	var out []place
	for _, stage := range definition.Stages {
		if !pipeline.Deploys(stage.Type) {
			continue
		}
		context := stage.Context()
		if evaluated, err := expression.Evaluate(context, env); err == nil {
			context = evaluated
		}
		deploy, err := pipeline.ParseIntended(stage.Type, context)
		if err != nil {
			continue
		}
		for _, one := range deploy.Clusters {
			out = append(out, place{cluster: one.Cluster, loadBalancer: one.Spec.LoadBalancer})
		}
	}
	return out
}
