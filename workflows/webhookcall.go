package workflows

import (
	"context"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// CalledWebhook is what came of the call of a webhook stage.
type CalledWebhook struct {
	Verdict pipeline.WebhookVerdict `json:"verdict"`
	// Outputs is nil without an answer.
	Outputs *pipeline.WebhookOutputs `json:"outputs,omitempty"`
}

// WebhookLookRequest asks for a look at the other system.
type WebhookLookRequest struct {
	StageRequest
	StatusURL string `json:"statusUrl"`
	// Known is how far the system is known to have come.
	Known string `json:"known,omitempty"`
	// Patient is true when only the end is worth an answer.
	Patient bool `json:"patient,omitempty"`
}

// LookedAtWebhook is what came of looks at the other system.
type LookedAtWebhook struct {
	Verdict pipeline.WebhookVerdict `json:"verdict"`
	// Look is nil without an answer.
	Look *pipeline.WebhookLook `json:"look,omitempty"`
}

// CallWebhook makes the stage's call. A worker that dies before the answer is recorded
// leaves the call to be repeated, with the same key. An answer after which it is to be
// repeated is an error that Temporal retries.
func (a *Activities) CallWebhook(ctx context.Context, in StageRequest) (CalledWebhook, error) {
	w, todo, err := a.storedWebhook(ctx, in)
	if err != nil {
		return CalledWebhook{}, applicationError(err)
	}
	answer, err := a.callOut(ctx, w.Call(todo.webhookKey("call")))
	if err != nil {
		verdict := w.Uncalled(err)
		return CalledWebhook{Verdict: verdict}, againError(ctx, verdict)
	}
	verdict := w.Called(answer)
	outputs := w.NewWebhookOutputs(answer, verdict).Within(maxAllOutputs - outputsBeside(todo))
	return CalledWebhook{Verdict: verdict, Outputs: &outputs}, againError(ctx, verdict)
}

// LookAtWebhook looks at the other system once. Not yet is an error that Temporal
// retries, unless the system has come further.
func (a *Activities) LookAtWebhook(ctx context.Context, in WebhookLookRequest) (LookedAtWebhook, error) {
	w, todo, err := a.storedWebhook(ctx, in.StageRequest)
	if err != nil {
		return LookedAtWebhook{}, applicationError(err)
	}
	answer, err := a.callOut(ctx, w.Look(in.StatusURL))
	if err != nil {
		verdict := w.Unlooked(err)
		return LookedAtWebhook{Verdict: verdict}, againError(ctx, verdict)
	}
	verdict := w.Looked(answer)
	look := todo.shownWebhook().LookWithin(w.NewWebhookLook(answer, verdict), maxAllOutputs-outputsBeside(todo))
	looked := LookedAtWebhook{Verdict: verdict, Look: &look}
	if standing := verdict.Standing(); !in.Patient && standing != "" && standing != in.Known {
		return looked, nil
	}
	return looked, againError(ctx, verdict)
}

// CancelWebhook tells the other system that the stage was canceled. An answer that says
// "later" is an error that Temporal retries; any other is final.
func (a *Activities) CancelWebhook(ctx context.Context, in StopRequest) (pipeline.WebhookAnswer, error) {
	w, todo, err := a.storedWebhook(ctx, in.StageRequest)
	if err != nil {
		return pipeline.WebhookAnswer{}, applicationError(err)
	}
	if w.Cancel == nil {
		return pipeline.WebhookAnswer{}, applicationError(delivery.Errorf(delivery.Invalid, "stage %s has nothing to call when it is canceled", in.Stage))
	}
	answer, err := a.callOut(ctx, w.CancelCall(in.of(todo).webhookKey("cancel")))
	if err != nil {
		return pipeline.WebhookAnswer{}, applicationError(err)
	}
	if answer.StatusCode >= 500 || answer.StatusCode == 429 {
		return pipeline.WebhookAnswer{}, applicationError(notYet(answer.RetryAfter, "the answer is %d", answer.StatusCode))
	}
	return todo.shownWebhook().CancellationWithin(w.NewCancellation(answer), maxAllOutputs-outputsBeside(todo)), nil
}

func (a *Activities) storedWebhook(ctx context.Context, in StageRequest) (pipeline.Webhook, StageToDo, error) {
	todo, err := a.stageToDo(ctx, in)
	if err != nil {
		return pipeline.Webhook{}, todo, err
	}
	w, err := pipeline.ParseWebhook(todo.Stage.Context)
	return w, todo, err
}

// shownWebhook are the outputs that are recorded of the stage. They only say how much
// room is left, so what cannot be read counts for nothing.
func (s StageToDo) shownWebhook() (shown pipeline.WebhookOutputs) {
	if json.Unmarshal(s.Stage.Outputs, &shown) != nil {
		return pipeline.WebhookOutputs{}
	}
	return shown
}

// callOut makes one call of another system, bounded in time.
func (a *Activities) callOut(ctx context.Context, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	r.Timeout = webhookTime
	return a.deps.HTTP.Call(ctx, r)
}

// webhookKey is the same for each repetition of a call, and another one for another
// attempt of the stage: who restarts a stage wants the call to have its effect again.
func (s StageToDo) webhookKey(what string) string {
	return delivery.ChangeKey(s.Key() + "#webhook/" + what).Token()
}

// againError is the error by which an activity asks to be repeated; nil when the
// verdict is final.
func againError(ctx context.Context, v pipeline.WebhookVerdict) error {
	if v.Next != pipeline.WebhookAgain {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return applicationError(notYet(v.After, "%s", v.Reason))
}

// noHTTP calls nobody.
type noHTTP struct{}

func (noHTTP) Call(context.Context, delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Denied, "nothing may be called from here")
}
