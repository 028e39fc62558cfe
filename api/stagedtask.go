package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// staged reports whether the task's jobs are stages, which the workflows run one
// after the other. Jobs that can be run inside the request are, when all can.
func (t taskInput) staged() bool {
	for _, j := range t.jobs {
		if _, inside := requestJobs[j.kind]; !inside && pipeline.IsJob(j.kind) {
			return true
		}
	}
	return false
}

// misfits refuses jobs that cannot be in one task with stages: those that are run
// inside the request, and those of types that nobody knows.
func (t taskInput) misfits() []delivery.Finding {
	var out []delivery.Finding
	if !t.staged() {
		if t.planHash != "" {
			out = append(out, delivery.Finding{Pointer: "/planHash", Message: "is for jobs that change clusters; these have no plan"})
		}
		return out
	}
	for i, j := range t.jobs {
		at := fmt.Sprintf("/job/%d", i)
		if _, inside := requestJobs[j.kind]; inside && !pipeline.IsJob(j.kind) {
			out = append(out, delivery.Finding{Pointer: at + "/type", Message: "is " + j.kind + ", which needs a task of its own: this one has jobs that are stages"})
		}
		for _, key := range [...]string{"refId", "requisiteStageRefIds"} {
			if _, given := j.document[key]; given {
				out = append(out, delivery.Finding{Pointer: at + "/" + key, Message: "is not for jobs: they run one after the other"})
			}
		}
	}
	if !pipeline.IsApplicationName(t.application) {
		out = append(out, delivery.Finding{Pointer: "/application", Message: fmt.Sprintf("is required: %q is not the name of an application", t.application)})
	}
	return out
}

// startTask accepts a task of stages: it is recorded, and begins at once.
func (s *Server) startTask(c *gin.Context, task taskInput) error {
	keys := startKeys(c, delivery.Pipeline{Application: task.application}, task.trigger)
	keys.CorrelationID = taskCorrelation(task.trigger)
	if earlier, err := s.earlierStart(c.Request.Context(), keys); err != nil || earlier.ID != "" {
		return answerRef(c, earlier.ID, err)
	}
	start, err := s.prepareTask(c, task)
	if err != nil {
		return err
	}
	if err := s.checkPlan(c.Request.Context(), start, task.planHash); err != nil {
		return err
	}
	start.IdempotencyKey, start.RequestHash, start.CorrelationID = keys.IdempotencyKey, keys.RequestHash, keys.CorrelationID
	e, created, err := s.store.CreateExecution(c.Request.Context(), start)
	if err != nil {
		return startError(keys, err)
	}
	if created {
		s.metrics.accepted.Inc()
	}
	return render(c, http.StatusOK, taskRef(e.ID))
}

func taskRef(id delivery.ExecutionID) v1.Ref { return v1.Ref{Ref: "/tasks/" + string(id)} }

// planTask answers what a task with the same body would do. It reads the clouds
// and starts nothing.
func (s *Server) planTask(c *gin.Context) error {
	task, err := bindTask(c)
	if err != nil {
		return err
	}
	if !task.staged() {
		return invalid("/job/0/type", fmt.Sprintf("is %s, which has no plan: it changes no cluster", task.jobs[0].kind))
	}
	start, err := s.prepareTask(c, task)
	if err != nil {
		return err
	}
	plan, err := s.planOf(c.Request.Context(), start)
	if err != nil {
		return ofJobs(err)
	}
	return render(c, http.StatusOK, plan)
}

// prepareTask makes the jobs the stages of an execution, and checks them as those
// of a pipeline that is saved and started.
func (s *Server) prepareTask(c *gin.Context, task taskInput) (delivery.NewExecution, error) {
	var none delivery.NewExecution
	by := principalOf(c)
	if err := s.authorize(by, execute, resource{task.application}); err != nil {
		return none, err
	}
	document := task.document()
	if err := saving.CheckDefinition(document); err != nil {
		return none, ofJobs(err)
	}
	definition, err := pipeline.Parse(document)
	if err != nil {
		return none, ofJobs(err)
	}
	if err := saving.CheckSuited(document, s.saveLookups(c.Request.Context())); err != nil {
		return none, ofJobs(err)
	}
	e := delivery.Execution{
		ID: delivery.ExecutionID(ulid.Make().String()), Type: delivery.Orchestration, Application: task.application,
		Description: task.description, Status: delivery.StatusNotStarted, BuildTime: s.now(),
		Trigger: task.trigger,
		Stages:  pipeline.NewStages(definition, func() string { return ulid.Make().String() }),
	}
	if err := s.checkStart(c.Request.Context(), by, e.Application, definition, s.environmentBefore(c.Request.Context(), by, e)); err != nil {
		return none, ofJobs(err)
	}
	return delivery.NewExecution{Execution: e, Definition: document}, nil
}

// document is the task as a pipeline: its jobs in a row.
func (t taskInput) document() json.RawMessage {
	stages := make([]json.RawMessage, len(t.jobs))
	for i, j := range t.jobs {
		stages[i] = j.document.raw()
	}
	out := object{}
	out.set("application", t.application)
	out.set("name", t.description)
	out.set("stages", stages)
	return out.raw()
}

// ofJobs makes findings about stages those about the jobs that they are.
func ofJobs(err error) error {
	findings := delivery.FindingsOf(err)
	if delivery.KindOf(err) != delivery.Invalid || len(findings) == 0 {
		return err
	}
	out := make([]delivery.Finding, len(findings))
	for i, f := range findings {
		if rest, ok := strings.CutPrefix(f.Pointer, "/stages"); ok {
			f.Pointer = "/job" + rest
		}
		out[i] = f
	}
	return delivery.InvalidError("the task is not valid", out)
}
