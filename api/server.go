package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// records is what the API needs of the store.
type records interface {
	applicationRecords
	pipelineRecords
	documentRecords
	executionRecords
	// Response returns NotFound when no answer is kept for the key, Invalid when
	// it belongs to another request.
	Response(ctx context.Context, scope, key, requestHash string) (delivery.StoredResponse, error)
	RememberResponse(ctx context.Context, scope, key string, r delivery.StoredResponse) (delivery.StoredResponse, error)
}

type applicationRecords interface {
	SaveApplication(ctx context.Context, app delivery.Application) error
	Application(ctx context.Context, name string) (delivery.Application, error)
	Applications(ctx context.Context) ([]delivery.Application, error)
	DeleteApplication(ctx context.Context, name string) error
}

type pipelineRecords interface {
	SavePipeline(ctx context.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error)
	// SavePipelines makes all of the saves or none.
	SavePipelines(ctx context.Context, saves []delivery.PipelineSave) ([]delivery.Pipeline, error)
	Pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error)
	PipelineByID(ctx context.Context, id string) (delivery.Pipeline, error)
	// Pipelines lists those of all applications for an empty name.
	Pipelines(ctx context.Context, application string) ([]delivery.Pipeline, error)
	DeletePipeline(ctx context.Context, application, name, id string) error
	// TriggeredPipelines are those with an enabled trigger of the type and source, in
	// the order of their ids, after one id.
	TriggeredPipelines(ctx context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error)
	PipelineHistory(ctx context.Context, id string, limit int) ([]delivery.Pipeline, error)
	// PipelineRevision is one entry of that history.
	PipelineRevision(ctx context.Context, id string, revision int) (delivery.Pipeline, error)
}

type documentRecords interface {
	// ChangeDocuments makes all of the changes or none.
	ChangeDocuments(ctx context.Context, changes ...delivery.DocumentChange) ([]delivery.Document, error)
	Document(ctx context.Context, kind delivery.DocumentKind, id string) (delivery.Document, error)
	// Documents lists those of all applications for an empty name.
	Documents(ctx context.Context, kind delivery.DocumentKind, application string) ([]delivery.Document, error)
	DocumentHistory(ctx context.Context, kind delivery.DocumentKind, id string, limit int) ([]delivery.Document, error)
}

type executionRecords interface {
	// CreateExecution accepts a start durably. created is false when an earlier
	// start with the same key is returned instead.
	CreateExecution(ctx context.Context, n delivery.NewExecution) (e delivery.Execution, created bool, err error)
	// EarlierStart is the execution that CreateExecution would return in place of a
	// new one, NotFound when there is none.
	EarlierStart(ctx context.Context, n delivery.NewExecution) (delivery.Execution, error)
	Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error)
	Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error)
	// DeleteExecution is Conflict while the execution is not complete.
	DeleteExecution(ctx context.Context, id delivery.ExecutionID) error
	// ProjectExecution changes nothing unless e.Version is newer than what is stored.
	ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (stored bool, err error)
	Deployments(ctx context.Context, execution delivery.ExecutionID) ([]delivery.Deployment, error)
	Deployment(ctx context.Context, id delivery.DeploymentID) (delivery.Deployment, error)
	// ClusterDeployments are those that have had the cluster's lock, the last one first.
	ClusterDeployments(ctx context.Context, clusterKey string, limit int) ([]delivery.Deployment, error)
	Events(ctx context.Context, execution delivery.ExecutionID, afterID int64, limit int) ([]delivery.Event, error)
	// NextSequence is the number that the next deployment of a cluster will get.
	NextSequence(ctx context.Context, clusterKey string, floor int, taken []int) (int, error)
	// Subscribe's channel receives after events were added; cancel ends it.
	Subscribe() (changes <-chan struct{}, cancel func())
}

// engine is what the API needs of the workflows. Each call returns when the
// execution has taken the order: NotFound for an execution that does not run,
// Conflict when it is complete or not in a state for it.
type engine interface {
	Cancel(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error
	Pause(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error
	// Move is answered when the deployment made the move, or says why it cannot.
	Move(ctx context.Context, id delivery.DeploymentID, m rollout.Move, override bool, by delivery.Principal, reason string) error
	// Judge is answered when the answer to the deployment's judgment is recorded.
	Judge(ctx context.Context, id delivery.DeploymentID, a delivery.JudgmentAnswer) error
	// UpdateStage is answered when the stage has taken what is asked.
	UpdateStage(ctx context.Context, id delivery.ExecutionID, c pipeline.StageCommand) error
	Resume(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error
	// Runs reports whether the execution's workflow is there and not over.
	Runs(ctx context.Context, id delivery.ExecutionID) (bool, error)
}

// targets are the configured accounts and what runs in them.
type targets interface {
	delivery.Targets
	delivery.ClusterLister
}

// Dependencies are what a Server is wired with. Store, Engine and Targets are
// required; the rest has useful zero values.
type Dependencies struct {
	Store   records
	Engine  engine
	Targets targets
	// Version is what /version says; "dev" when empty.
	Version string
	// Logger is slog's default logger when nil.
	Logger *slog.Logger
	// Ready says why the process cannot serve; nil means always ready.
	Ready func(ctx context.Context) error
	// Hosts are names besides localhost under which browsers may reach the
	// server. Loopback addresses need not be listed.
	Hosts []string
	// Heartbeat is the pause between two comments on a silent event stream; 15 s when zero.
	Heartbeat time.Duration
	// ViewsFor is how long what was read from the clouds answers further requests;
	// 2 s when zero, not at all when negative.
	ViewsFor time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Server holds the handlers. Its methods may be called concurrently.
type Server struct {
	store     records
	engine    engine
	targets   targets
	version   string
	log       *slog.Logger
	ready     func(ctx context.Context) error
	hosts     []string
	heartbeat time.Duration
	now       func() time.Time

	seenClusters  *views[[]delivery.Cluster] // by application
	seenSnapshots *views[delivery.Snapshot]  // by place
	seenMembers   *views[member]             // by instance
	seenImages    *views[[]delivery.Image]   // by region and pattern

	router   *gin.Engine
	metrics  *metrics
	inFlight keyedLocks
	stopOnce sync.Once
	stopped  chan struct{}
}

// New wires a server. It listens to nothing: serve Handler and AdminHandler.
func New(d Dependencies) *Server {
	s := &Server{
		store: d.Store, engine: d.Engine, targets: d.Targets, version: d.Version, log: d.Logger,
		ready: d.Ready, hosts: d.Hosts, heartbeat: d.Heartbeat, now: d.Now,
		metrics: newMetrics(), stopped: make(chan struct{}),
	}
	if s.version == "" {
		s.version = "dev"
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.ready == nil {
		s.ready = func(context.Context) error { return nil }
	}
	if s.heartbeat == 0 {
		s.heartbeat = 15 * time.Second
	}
	if s.now == nil {
		s.now = time.Now
	}
	viewsFor := cmp.Or(d.ViewsFor, defaultViewsFor)
	s.seenClusters, s.seenSnapshots = newViews[[]delivery.Cluster](viewsFor, s.now), newViews[delivery.Snapshot](viewsFor, s.now)
	s.seenMembers, s.seenImages = newViews[member](viewsFor, s.now), newViews[[]delivery.Image](viewsFor, s.now)
	s.router = s.newRouter()
	return s
}

// Handler serves the REST API.
func (s *Server) Handler() http.Handler { return s.router }

// AdminHandler serves /metrics, /health and /ready, for a listener of its own.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /health", s.serveHealth)
	mux.HandleFunc("GET /ready", s.serveHealth)
	return mux
}

// HTTPServer returns an HTTP server with limits against slow and large clients.
// Its Shutdown ends the event streams.
func (s *Server) HTTPServer(handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // a body is at most 1 MiB
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.Stop)
	return server
}

// Stop ends the event streams, so that a graceful shutdown need not wait for
// them. Clients resume where they were.
func (s *Server) Stop() { s.stopOnce.Do(func() { close(s.stopped) }) }

// ExecutionEnded counts an execution that reached a final status.
func (s *Server) ExecutionEnded(status delivery.Status) {
	s.metrics.executions.WithLabelValues(string(status)).Inc()
}
