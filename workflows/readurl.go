package workflows

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// maxReads is how many bytes the URLs of one stage may have together. They stand in the
// history.
const maxReads = 64 << 10

// ReadRequest asks for what the expressions of a stage want to read.
type ReadRequest struct {
	StageRequest
	// At is the stage's beginning, for expressions.
	At time.Time `json:"at"`
}

// ReadURLs is what the expressions of a stage have read. The zero value is nothing.
type ReadURLs struct {
	// At is the stage's beginning, for its other expressions, too: a URL may have the date.
	At   time.Time
	URLs []ReadURL
}

// ReadURL is what a URL had when a stage began.
type ReadURL struct {
	URL  string `json:"url"`
	Body string `json:"body,omitempty"`
	// Refusal says why it could not be read; empty when it was.
	Refusal string `json:"refusal,omitempty"`
}

// readURLs reads what the stage's expressions want, before the stage begins: a stage
// that begins must not wait for others.
func (x *execution) readURLs(ctx workflow.Context, refID string) (read ReadURLs, result stageResult) {
	if !slices.Contains(x.reads, refID) {
		return read, stageResult{}
	}
	x.hasBegun(refID) // others need not wait for what it reads
	run := runOf(ctx)
	run.reading = true
	defer func() { run.reading = false }()
	read.At = workflow.Now(ctx)
	var a *Activities
	failure, canceled := x.await(ctx, "read the URLs of the stage's expressions", readOptions, &read.URLs, a.ReadURLs, ReadRequest{StageRequest{Execution: x.ID, Stage: refID}, read.At})
	return read, stageResult{failure: failure, canceled: canceled}
}

// readers returns the refIds of the stages whose expressions may read URLs.
func readers(d pipeline.Definition) []string {
	var out []string
	for _, s := range d.Stages {
		if expression.ReadsURLs(s.Raw) {
			out = append(out, s.RefID)
		}
	}
	return out
}

// ReadURLs evaluates the stage's expressions for what they read, and returns each URL
// once. What else is wrong with them shows when the stage begins. A URL that may be
// read later is an error that Temporal retries.
func (a *Activities) ReadURLs(ctx context.Context, in ReadRequest) ([]ReadURL, error) {
	todo, err := a.stageToDo(ctx, in.StageRequest)
	if err != nil {
		return nil, applicationError(err)
	}
	var read []ReadURL
	var later error
	left := maxReads
	env, unanswered, err := a.environment(ctx, todo.Execution, in.Stage, in.At)
	if err != nil {
		return nil, applicationError(err)
	}
	env.Read = func(url string) (string, error) {
		if text, err := recall(read, url); err == nil || delivery.KindOf(err) != delivery.NotFound {
			return text, err
		}
		one, err := a.readURL(ctx, url, left)
		if err != nil {
			later = err
			return "", err
		}
		left -= len(one.Body)
		read = append(read, one)
		return recall(read, url)
	}
	spec := todo.Definition.Stage(in.Stage)
	_ = expression.Name(*spec, env) // in the order in which the beginning evaluates
	later = nil                     // a name that cannot be read stays as it is written
	if skipped(*spec, env) == "" {  // the condition may read, too; what it leaves out reads nothing
		_, _ = stageKindOf(spec.Type).evaluated(*spec, env)
	}
	return read, applicationError(cmp.Or(later, *unanswered))
}

// readURL reads one URL. The error is for what may be read later.
func (a *Activities) readURL(ctx context.Context, url string, limit int) (ReadURL, error) {
	if limit <= 0 {
		return ReadURL{URL: url, Refusal: "the URLs of the stage have more than 64 KiB together"}, nil
	}
	answer, err := a.callOut(ctx, delivery.HTTPRequest{Method: http.MethodGet, URL: url, Redirects: 5, MaxAnswer: limit})
	switch {
	case err != nil && delivery.KindOf(err).Retryable():
		return ReadURL{}, err
	case err != nil:
		return ReadURL{URL: url, Refusal: err.Error()}, nil
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return ReadURL{}, notYet(answer.RetryAfter, "the URL answered %d", answer.StatusCode)
	case answer.StatusCode != http.StatusOK:
		return ReadURL{URL: url, Refusal: fmt.Sprintf("the URL answered %d", answer.StatusCode)}, nil
	default:
		return ReadURL{URL: url, Body: string(answer.Body)}, nil
	}
}

// recall returns what a URL had. NotFound when it was not read.
func recall(read []ReadURL, url string) (string, error) {
	i := slices.IndexFunc(read, func(r ReadURL) bool { return r.URL == url })
	switch {
	case i < 0:
		return "", delivery.Errorf(delivery.NotFound, "the URL was not read before the stage began")
	case read[i].Refusal != "":
		return "", delivery.Errorf(delivery.Invalid, "%s", read[i].Refusal)
	default:
		return read[i].Body, nil
	}
}
