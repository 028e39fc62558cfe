package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// startPipeline accepts a start. Everything that can be checked is checked
// before anything is recorded; what is recorded is durable when 202 is sent.
func (s *Server) startPipeline(c *gin.Context) error {
	trigger, at, err := bindTrigger(c)
	if err != nil {
		return err
	}
	p, err := s.pipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil {
		return err
	}
	return s.begin(c, startKeys(c, p, trigger), planHashOf(trigger), func() (delivery.NewExecution, error) { return s.prepareStart(c, p, trigger, at) })
}

// startPipelineEvent is startPipeline in the form in which a start is an event, with an
// id of its own. Unlike Gate's, the execution is there when the answer is.
func (s *Server) startPipelineEvent(c *gin.Context) error {
	trigger, at, err := bindTrigger(c)
	if err != nil {
		return err
	}
	p, err := s.pipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil {
		return err
	}
	document := objectOf(trigger.Document)
	if event, err := document.text("eventId"); err != nil {
		return err
	} else if event == "" {
		document.set("eventId", delivery.ChangeKey("event/"+newID()).Token())
		trigger.Document = document.raw()
	}
	e, err := s.accept(c, startKeys(c, p, trigger), planHashOf(trigger), func() (delivery.NewExecution, error) { return s.prepareStart(c, p, trigger, at) })
	if err != nil {
		return err
	}
	id, err := objectOf(e.Trigger.Document).text("eventId") // of a repeat, that of the first start
	if err != nil {
		return err
	}
	return render(c, http.StatusAccepted, v1.EventRef{EventID: id, Ref: refTo(e.ID).Ref})
}

// begin answers with the execution that accept returns.
func (s *Server) begin(c *gin.Context, keys delivery.NewExecution, planHash string, prepare func() (delivery.NewExecution, error)) error {
	e, err := s.accept(c, keys, planHash, prepare)
	if err != nil {
		return err
	}
	return render(c, http.StatusAccepted, refTo(e.ID))
}

// accept records the start that prepare makes, or finds the one that it repeats.
func (s *Server) accept(c *gin.Context, keys delivery.NewExecution, planHash string, prepare func() (delivery.NewExecution, error)) (delivery.Execution, error) {
	if earlier, err := s.earlierStart(c.Request.Context(), keys); err != nil || earlier.ID != "" {
		return earlier, err
	}
	start, err := prepare()
	if err != nil {
		return delivery.Execution{}, err
	}
	if err := s.checkPlan(c.Request.Context(), start, planHash); err != nil {
		return delivery.Execution{}, err
	}
	if isDryRun(start.Execution.Trigger) {
		if start, err = s.dryRun(c.Request.Context(), start); err != nil {
			return delivery.Execution{}, err
		}
	}
	start.IdempotencyKey, start.RequestHash, start.CorrelationID = keys.IdempotencyKey, keys.RequestHash, keys.CorrelationID
	e, created, err := s.store.CreateExecution(c.Request.Context(), start)
	if err != nil {
		return e, startError(keys, err)
	}
	if created {
		s.metrics.accepted.Inc()
	}
	return e, nil
}

func refTo(id delivery.ExecutionID) v1.Ref { return v1.Ref{Ref: "/pipelines/" + string(id)} }

// startKeys is a start as far as it tells one from another.
func startKeys(c *gin.Context, p delivery.Pipeline, trigger delivery.Trigger) delivery.NewExecution {
	out := delivery.NewExecution{CorrelationID: trigger.CorrelationID,
		Execution: delivery.Execution{Application: p.Application, PipelineConfigID: p.ID}}
	if key := acceptedKeyOf(c); key.key != "" { // the key is the caller's own; neither name nor key holds a line feed
		out.IdempotencyKey, out.RequestHash = principalOf(c).Name+"\n"+key.key, key.hash
	}
	return out
}

// earlierStart finds what a repeated start has begun, empty for a new one. It
// comes before all checks: that the clouds, the pipeline or the plan changed
// since, perhaps by the start itself, does not make the repeat another request.
func (s *Server) earlierStart(ctx context.Context, keys delivery.NewExecution) (delivery.Execution, error) {
	if keys.IdempotencyKey == "" && keys.CorrelationID == "" {
		return delivery.Execution{}, nil
	}
	e, err := s.store.EarlierStart(ctx, keys)
	if delivery.KindOf(err) == delivery.NotFound {
		return delivery.Execution{}, nil
	}
	return e, startError(keys, err)
}

func startError(keys delivery.NewExecution, err error) error {
	if keys.IdempotencyKey != "" && delivery.KindOf(err) == delivery.Invalid {
		return reusedKey()
	}
	return err
}

// prepareStart resolves a pipeline and a trigger, which stands at a place of the body,
// into an execution to record.
func (s *Server) prepareStart(c *gin.Context, p delivery.Pipeline, trigger delivery.Trigger, at string) (delivery.NewExecution, error) {
	var none delivery.NewExecution
	if p.Disabled {
		return none, &failure{status: http.StatusBadRequest, code: "pipeline_disabled", title: "The pipeline is disabled",
			message: "Pipeline is disabled and cannot be started."}
	}
	var err error
	if p.Document, err = s.planned(c.Request.Context(), p.Document); err != nil {
		return none, err
	}
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		return none, err
	}
	if len(definition.Stages) == 0 {
		return none, invalid("/stages", "the pipeline has no stages; there is nothing to run")
	}
	start, err := s.resolveStart(c.Request.Context(), p, definition, trigger)
	if err != nil {
		return none, inTrigger(at, err)
	}
	return start, s.checkStart(c.Request.Context(), principalOf(c), p.Application, definition, s.environmentBefore(c.Request.Context(), principalOf(c), start.Execution))
}

// resolveStart resolves a pipeline and a trigger into an execution to record, with
// the artifacts of earlier executions where the pipeline uses them.
func (s *Server) resolveStart(ctx context.Context, p delivery.Pipeline, d pipeline.Definition, t delivery.Trigger) (delivery.NewExecution, error) {
	if d.UsesPrior() {
		earlier, err := s.store.Executions(ctx, delivery.ExecutionFilter{PipelineConfigIDs: []string{p.ID}, Limit: pipeline.PriorLooks})
		if err != nil {
			return delivery.NewExecution{}, err
		}
		d = d.WithPrior(earlier)
	}
	by := delivery.Principal{Name: t.User}
	return pipeline.Start(p, d, t, newID, s.now(), func(document json.RawMessage, e delivery.Execution) (json.RawMessage, error) {
		parents, err := s.parents(ctx, by, e)
		if err != nil {
			return nil, err
		}
		env := expression.EnvAtStart(e, parents)
		env.Lookups = s.lookups(ctx, by)
		return expression.Evaluate(document, env)
	})
}

// inTrigger puts the place of the trigger in the body before the pointers that lead into
// it. The others lead into the pipeline.
func inTrigger(at string, err error) error {
	var wrong *delivery.Error
	if at == "" || !errors.As(err, &wrong) {
		return err
	}
	placed := *wrong
	placed.Findings = slices.Clone(wrong.Findings)
	for i, f := range placed.Findings {
		switch field, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/"); field {
		case "parameters", "artifacts", "expectedArtifactIds":
			placed.Findings[i].Pointer = at + f.Pointer
		}
	}
	return &placed
}

// bindTrigger reads the body of a start: a trigger, or an object that holds one
// under "trigger", or nothing. Who triggers is the caller, whatever the body says. at is
// the trigger's place in the body.
func bindTrigger(c *gin.Context) (t delivery.Trigger, at string, err error) {
	body, err := bindObject(c, true)
	if err != nil {
		return t, "", err
	}
	inner, wrapped, err := unwrapTrigger(body)
	if err != nil {
		return t, "", err
	}
	if wrapped {
		body, at = inner, "/trigger"
	}
	t, err = readTrigger(c, body, at)
	return t, at, err
}

// readTrigger reads a trigger that stands at a place of the body.
func readTrigger(c *gin.Context, body object, at string) (delivery.Trigger, error) {
	t := delivery.Trigger{Type: "manual", User: principalOf(c).Name, Document: body.raw()}
	var findings []delivery.Finding
	kind, err := body.text("type")
	if err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	} else if kind != "" {
		t.Type = kind
	}
	if _, err = body.text("planHash"); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	if t.CorrelationID, err = body.scalar("correlationId"); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	if raw, ok := body["parameters"]; ok && typeOf(raw) != "null" {
		if typeOf(raw) != "an object" {
			findings = append(findings, delivery.Finding{Pointer: "/parameters", Message: "must be an object, not " + typeOf(raw)})
		}
		t.Parameters = raw
	}
	if typeOf(body["parentExecution"]) == "a string" {
		findings = append(findings, delivery.Finding{Pointer: "/parentExecution", Message: "must not be an id: which execution started another is not for its caller to say"})
	}
	if dryRun, err := body.flag("dryRun"); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	} else if dryRun {
		body.set("dryRun", true) // however it was written
		t.Document = body.raw()
	}
	if len(t.CorrelationID) > 255 {
		findings = append(findings, delivery.Finding{Pointer: "/correlationId", Message: fmt.Sprintf("has %d bytes; 255 are allowed", len(t.CorrelationID))})
	}
	return t, delivery.InvalidError("trigger is not valid", under(at, findings))
}

// planHashOf is the plan that a start is to carry out; empty for any.
func planHashOf(t delivery.Trigger) string {
	var named struct{ PlanHash string }
	if json.Unmarshal(t.Document, &named) != nil {
		return "" // bindTrigger has refused it
	}
	return named.PlanHash
}

// unwrapTrigger returns the trigger inside {"trigger":{...}}, the form that newer
// Spinnaker clients send. A "trigger" that is no object is refused: ignoring it
// would start the pipeline with defaults that nobody asked for. A type beside it says
// nothing of its own; parameters do.
func unwrapTrigger(body object) (inner object, wrapped bool, err error) {
	raw, given := body["trigger"]
	if body["parameters"] != nil || !given || typeOf(raw) == "null" {
		return nil, false, nil
	}
	if json.Unmarshal(raw, &inner) != nil {
		return nil, false, invalid("/trigger", "must be an object, not "+typeOf(raw))
	}
	return inner, true, nil
}
