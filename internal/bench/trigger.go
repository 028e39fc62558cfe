package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"
)

// benchTrigger measures how long a POST takes until its 202, which promises that
// the start is on the disk, against a handler that only commits one row.
func benchTrigger(ctx context.Context, s settings, out io.Writer) (err error) {
	sys, err := startAlone(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.close()) }()
	if err := sys.savePipeline(ctx, "wait-1", waits("wait-1", 1, 0)); err != nil {
		return err
	}
	bareURL, err := serveBare(ctx, sys)
	if err != nil {
		return err
	}
	const body = `{"type":"manual"}`
	real := func(ctx context.Context) (time.Duration, error) {
		id, took, err := sys.trigger(ctx, "wait-1", body)
		if err != nil {
			return took, err
		}
		return took, sys.finish(ctx, id) // the next one finds an idle system
	}
	bare := func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		_, err := post(ctx, sys.http, bareURL, body)
		return time.Since(began), err
	}
	var p50, p99 [2]series
	for range s.rounds {
		for i, one := range []func(context.Context) (time.Duration, error){real, bare} {
			runtime.GC()
			samples := make([]time.Duration, s.triggers)
			for j := range samples {
				if samples[j], err = one(ctx); err != nil {
					return err
				}
			}
			p50[i] = append(p50[i], milliseconds(samples).median())
			p99[i] = append(p99[i], milliseconds(samples).quantile(0.99))
		}
	}
	fmt.Fprintf(out, "Trigger: POST until 202 over HTTP, one after the other, %d a round,\n"+
		"   against a net/http handler that commits one row to a SQLite file of its own\n", s.triggers)
	t := newTable(out)
	t.row("", "Slipway", "bare handler", "ratio")
	t.compare("p50, ms", p50[:])
	t.compare("p99, ms", p99[:])
	return t.flush()
}

// serveBare serves the baseline: it stores the body of a request durably and
// answers 202.
func serveBare(ctx context.Context, sys *system) (url string, err error) {
	accepted, err := openRows(ctx, sys)
	if err != nil {
		return "", err
	}
	return sys.serve(&http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, err := io.ReadAll(r.Body)
		if err == nil {
			err = accepted.add(r.Context(), string(document))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"ref":"/accepted"}`) // a client that is gone shows up there
	})})
}
