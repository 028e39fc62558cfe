package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/store"
	"github.com/slipway-cd/slipway/workflows"
)

const (
	listedPipelines = 200
	// listedEach is how many executions each pipeline has: 10,000 in all.
	listedEach = 50
)

// benchList measures reading executions over HTTP while there are many, against a
// handler that writes as many of the same documents out as they are stored.
func benchList(ctx context.Context, s settings, out io.Writer) (err error) {
	sys, err := startRecords(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.close()) }()
	last, err := fillRecords(ctx, sys)
	if err != nil {
		return err
	}
	bareURL, err := serveDocuments(ctx, sys, last)
	if err != nil {
		return err
	}
	reads := []struct {
		what, path string
		documents  int
	}{
		{"first page, 2 of each pipeline", "/applications/" + application + "/pipelines?expand=false&limit=2", 2 * listedPipelines},
		{"newest 25", "/applications/" + application + "/executions/search?size=25", 25},
		{"one execution", "/pipelines/" + string(last.ID), 1},
	}
	fmt.Fprintf(out, "List: GET over HTTP, one after the other, %d a round, of %d executions of %d pipelines with 5 stages each,\n"+
		"   against a net/http handler that reads as many rows and writes their documents as they are\n",
		s.reads, listedPipelines*listedEach, listedPipelines)
	t := newTable(out)
	t.row("", "Slipway", "bare handler", "ratio")
	for _, r := range reads {
		p50, p95, cpu, err := compareReads(ctx, s, sys, sys.url+r.path, fmt.Sprintf("%s/%d", bareURL, r.documents))
		if err != nil {
			return err
		}
		t.compare(r.what+" p50, ms", p50[:])
		t.compare(r.what+" p95, ms", p95[:])
		t.compare(r.what+", CPU ms", cpu[:])
	}
	return t.flush()
}

// compareReads reads both in turns. The CPU time is that of server and client.
func compareReads(ctx context.Context, s settings, sys *system, real, bare string) (p50, p95, cpu [2]series, err error) {
	for range s.rounds {
		for i, url := range []string{real, bare} {
			runtime.GC()
			used, samples := cpuTime(), make([]time.Duration, s.reads)
			for j := range samples {
				began := time.Now()
				if err := get(ctx, sys.http, url); err != nil {
					return p50, p95, cpu, err
				}
				samples[j] = time.Since(began)
			}
			cpu[i] = append(cpu[i], float64(cpuTime()-used)/float64(time.Millisecond)/float64(s.reads))
			p50[i] = append(p50[i], milliseconds(samples).median())
			p95[i] = append(p95[i], milliseconds(samples).quantile(0.95))
		}
	}
	return p50, p95, cpu, nil
}

// get reads the whole body of a 200.
func get(ctx context.Context, c *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := c.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s", url, answer.Status)
	}
	return err
}

// startRecords starts the API over a store, without an engine: nothing runs.
func startRecords(ctx context.Context) (s *system, err error) {
	s = &system{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "slipway-bench"); err != nil {
		return s, err
	}
	s.add(func() error { return os.RemoveAll(s.dir) })
	if s.records, err = store.Open(ctx, store.Config{Path: filepath.Join(s.dir, "slipway.db")}); err != nil {
		return s, err
	}
	s.add(s.records.Close)
	targets, err := providers.Open(ctx, nil)
	if err != nil {
		return s, err
	}
	answers := api.New(api.Dependencies{Store: s.records, Engine: workflows.NewClient(nil, s.records), Targets: targets, Logger: slog.New(slog.DiscardHandler)})
	s.url, err = s.serve(answers.HTTPServer(answers.Handler()))
	return s, err
}

// fillRecords records executions that are complete, and returns the newest.
func fillRecords(ctx context.Context, s *system) (delivery.Execution, error) {
	var last delivery.Execution
	began := time.Now().Add(-time.Hour)
	for i := range listedPipelines * listedEach {
		n := i % listedPipelines
		last = listedExecution(n, began.Add(time.Duration(i)*100*time.Millisecond))
		if _, _, err := s.records.CreateExecution(ctx, delivery.NewExecution{Execution: last, Definition: json.RawMessage(`{"stages":[]}`)}); err != nil {
			return last, err
		}
	}
	return last, nil
}

// listedExecution has five stages with contexts and outputs of an ordinary size.
func listedExecution(pipeline int, at time.Time) delivery.Execution {
	e := delivery.Execution{ID: delivery.ExecutionID(ulid.Make().String()), Type: delivery.PipelineExecution, Application: application,
		Name: fmt.Sprintf("pipeline-%03d", pipeline), PipelineConfigID: fmt.Sprintf("5b8e0f52-3d8e-4a49-9d3c-%012d", pipeline),
		Status: delivery.StatusSucceeded, BuildTime: at, StartTime: at, EndTime: at.Add(time.Minute), Version: 12,
		Trigger: delivery.Trigger{Type: "manual", User: "joe", Parameters: json.RawMessage(`{"image":"storefront-1.1"}`), Document: json.RawMessage(`{"type":"manual"}`)},
	}
	context := json.RawMessage(`{"type":"deploy","clusters":[{"account":"prod","application":"storefront","stack":"prod","notes":"` + strings.Repeat("x", 1500) + `"}]}`)
	for i := range 5 {
		e.Stages = append(e.Stages, delivery.Stage{ID: ulid.Make().String(), RefID: fmt.Sprint(i + 1), Type: "deploy", Name: fmt.Sprintf("Deploy %d", i+1),
			Status: delivery.StatusSucceeded, StartTime: at, EndTime: at.Add(time.Minute), RequisiteStageRefIDs: []string{}, Context: context,
			Outputs: json.RawMessage(`{"deploy.server.groups":{"us-east-1":["storefront-prod-v001"]}}`)})
	}
	return e
}

// serveDocuments serves the baseline: a path /n answers with n documents from a
// SQLite file of its own.
func serveDocuments(ctx context.Context, s *system, one delivery.Execution) (url string, err error) {
	kept, err := openRows(ctx, s)
	if err != nil {
		return "", err
	}
	document, err := json.Marshal(one)
	if err != nil {
		return "", err
	}
	for range 2 * listedPipelines {
		if err := kept.add(ctx, string(document)); err != nil {
			return "", err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{n}", func(w http.ResponseWriter, r *http.Request) {
		documents, err := kept.first(r.Context(), r.PathValue("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "["+strings.Join(documents, ",")+"]") // a client that is gone shows up there
	})
	return s.serve(&http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: mux})
}

// first returns the first n documents.
func (r *rows) first(ctx context.Context, n string) (out []string, err error) {
	found, err := r.db.QueryContext(ctx, `SELECT document FROM accepted ORDER BY id LIMIT CAST(? AS INTEGER)`, n)
	if err != nil {
		return nil, err
	}
	defer found.Close() // found.Err below has the error of the iteration
	for found.Next() {
		var document string
		if err := found.Scan(&document); err != nil {
			return nil, err
		}
		out = append(out, document)
	}
	return out, found.Err()
}
