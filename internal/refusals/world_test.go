package refusals

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
	"github.com/slipway-cd/slipway/store"
)

// world is the product without its workflow engine: what is accepted stays in
// the outbox.
type world struct {
	url   string
	store *store.Store
	sim   *simulator.Simulator
}

func newWorld(t *testing.T) *world {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	sim, err := simulator.Start(t.Context(), simulator.Options{Scale: 20, Capacity: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	registry, err := providers.Open(t.Context(), []providers.AccountConfig{{
		Name: simulator.Account, Provider: "aws", AccountID: simulator.AccountID, Regions: simulator.Regions(),
		Endpoint: sim.Endpoints().AWS, AccessKeyID: simulator.AccessKey, SecretAccessKey: "simulated", CallsPerSecond: 500, Burst: 500,
	}, {
		Name: simulator.GoogleAccount, Provider: "gce", Project: simulator.Project, Regions: []string{"us-central1"},
		Endpoint: sim.Endpoints().GCP.REST, AccessToken: simulator.GoogleToken, CallsPerSecond: 500, Burst: 500,
	}})
	if err != nil {
		t.Fatal(err)
	}
	records, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := records.Close(); err != nil {
			t.Error(err)
		}
	})
	server := api.New(api.Dependencies{Store: records, Engine: idle{}, Targets: registry, Logger: quiet})
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		server.Stop()
		listener.Close()
	})
	return &world{url: listener.URL, store: records, sim: sim}
}

// idle is an engine in which nothing runs.
type idle struct{}

func (idle) Cancel(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Pause(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Move(_ context.Context, id delivery.DeploymentID, _ rollout.Move, _ bool, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "deployment %s", id)
}

func (idle) Judge(_ context.Context, id delivery.DeploymentID, _ delivery.JudgmentAnswer) error {
	return delivery.Errorf(delivery.NotFound, "deployment %s", id)
}

func (idle) UpdateStage(_ context.Context, id delivery.ExecutionID, _ pipeline.StageCommand) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}
func (idle) Runs(context.Context, delivery.ExecutionID) (bool, error) { return false, nil }

func (idle) Resume(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

// problem is what a client reads of a refusal.
type problem struct {
	Status  int
	Message string
	Code    string
	Errors  []struct{ Pointer, Message string }
}

func (p problem) names(pointer string) bool {
	for _, e := range p.Errors {
		if e.Pointer == pointer && e.Message != "" {
			return true
		}
	}
	return false
}

// post sends a body and returns the status and, of a refusal, what it says.
func (w *world) post(t *testing.T, path, body string) (int, problem) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p problem
	if answer.StatusCode >= 400 {
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatalf("%s: %d %s: %v", path, answer.StatusCode, text, err)
		}
	}
	return answer.StatusCode, p
}

// traces is everything that bad input could leave behind.
type traces struct {
	Pipelines, Executions, Starts, CloudWrites int
}

func (w *world) traces(t *testing.T) traces {
	t.Helper()
	var out traces
	pipelines, err := w.store.Pipelines(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	executions, err := w.store.Executions(t.Context(), delivery.ExecutionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	starts, err := w.store.PendingStarts(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	out.Pipelines, out.Executions, out.Starts = len(pipelines), len(executions), len(starts)
	for _, e := range w.sim.World.Log.After(w.sim.Seeded(), 0) {
		if e.Kind == simcloud.APICall && e.Write || e.Kind == simcloud.ResourceCreated {
			out.CloudWrites++
		}
	}
	return out
}

// application makes the application that pipelines belong to.
func (w *world) application(t *testing.T) {
	t.Helper()
	now := time.Now()
	if err := w.store.SaveApplication(t.Context(), delivery.Application{Name: "storefront", CreatedAt: now, UpdatedAt: now,
		Attributes: json.RawMessage(`{"name":"storefront"}`)}); err != nil {
		t.Fatal(err)
	}
}
