package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// createTask runs the jobs inside the request, so that the first poll of the task
// has its result. Jobs that are stages are left to the workflows.
func (s *Server) createTask(c *gin.Context) error {
	task, err := bindTask(c)
	if err != nil {
		return err
	}
	if task.staged() {
		return s.startTask(c, task)
	}
	if id := task.trigger.CorrelationID; id != "" { // its jobs run once, however many ask at the same time
		defer s.inFlight.lock(strings.Join([]string{"task", strings.ToLower(task.application), id}, "\x00"))()
	}
	keys := delivery.NewExecution{CorrelationID: taskCorrelation(task.trigger), Execution: delivery.Execution{Application: task.application}}
	if earlier, err := s.earlierStart(c.Request.Context(), keys); err != nil || earlier.ID != "" {
		return answerRef(c, earlier.ID, err)
	}
	e, _, err := s.runTask(c, task)
	return answerRef(c, e.ID, err)
}

// answerRef says where the task is.
func answerRef(c *gin.Context, id delivery.ExecutionID, err error) error {
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, taskRef(id))
}

// answerTask runs a task that a route of its own asks for, and answers with the
// finished task; a job that is refused is the answer's error.
func (s *Server) answerTask(c *gin.Context, status int, task taskInput) error {
	e, refused, err := s.runTask(c, task)
	if err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	return render(c, status, presentTask(e))
}

// runTask runs the jobs and records them as an execution that is complete. refused
// is why a job ended it.
func (s *Server) runTask(c *gin.Context, task taskInput) (e delivery.Execution, refused, err error) {
	by := principalOf(c)
	for _, j := range task.jobs {
		if err := s.authorize(by, write, resource{j.application}); err != nil {
			return e, nil, err
		}
	}
	e = delivery.Execution{
		ID: delivery.ExecutionID(ulid.Make().String()), Type: delivery.Orchestration, Application: task.application,
		Description: task.description, BuildTime: s.now(), StartTime: s.now(), Status: delivery.StatusSucceeded,
		Trigger: task.trigger,
	}
	if e.Trigger.Type == "" { // a route of its own asked for the task
		e.Trigger = delivery.Trigger{Type: "manual", User: by.Name}
	}
	for i, j := range task.jobs {
		stage := delivery.Stage{
			ID: ulid.Make().String(), RefID: strconv.Itoa(i), Type: j.kind, Name: j.kind,
			Status: delivery.StatusNotStarted, RequisiteStageRefIDs: []string{}, Context: j.document.raw(),
		}
		if i > 0 {
			stage.RequisiteStageRefIDs = []string{strconv.Itoa(i - 1)}
		}
		if e.Status == delivery.StatusSucceeded {
			if refused, err = s.runStage(c, j, &stage); err != nil {
				return e, nil, err
			}
			e.Status = stage.Status
		}
		e.Stages = append(e.Stages, stage)
	}
	e.EndTime = s.now()
	e, _, err = s.store.CreateExecution(c.Request.Context(), delivery.NewExecution{Execution: e, Definition: task.definition(), CorrelationID: taskCorrelation(e.Trigger)})
	return e, refused, err
}

// runStage runs one job. A job that is refused ends its stage TERMINAL; the error is
// for what Slipway itself could not do.
func (s *Server) runStage(c *gin.Context, j job, stage *delivery.Stage) (refused, err error) {
	stage.StartTime, stage.Status = s.now(), delivery.StatusSucceeded
	if refused = s.runJob(c.Request.Context(), principalOf(c), j); refused != nil {
		p := describe(refused)
		if p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
			return nil, fmt.Errorf("run job %s: %w", j.kind, refused)
		}
		stage.Status = delivery.StatusTerminal
		stage.Failure = &delivery.Failure{Kind: p.Code, Message: p.Message}
	}
	stage.EndTime = s.now()
	return refused, nil
}

// definition is the task as it is recorded.
func (t taskInput) definition() json.RawMessage {
	jobs := make([]object, len(t.jobs))
	for i, j := range t.jobs {
		jobs[i] = j.document
	}
	out := object{}
	out.set("application", t.application)
	out.set("description", t.description)
	out.set("job", jobs)
	return out.raw()
}

// taskInput is the body of POST /tasks.
type taskInput struct {
	application, description string
	// planHash is the plan that the task is to carry out; empty for any.
	planHash string
	trigger  delivery.Trigger
	jobs     []job
}

// job is one entry of a task.
type job struct {
	kind string
	// application is whose right the job needs; in lower case.
	application string
	document    object
}

func bindTask(c *gin.Context) (taskInput, error) {
	body, err := bindObject(c, false)
	if err != nil {
		return taskInput{}, err
	}
	var in taskInput
	var findings []delivery.Finding
	for key, into := range map[string]*string{"application": &in.application, "description": &in.description, "planHash": &in.planHash} {
		if *into, err = body.text(key); err != nil {
			findings = append(findings, delivery.FindingsOf(err)...)
		}
	}
	if in.trigger, err = taskTrigger(c, body); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	var documents []object
	if err := json.Unmarshal(body["job"], &documents); err != nil || len(documents) == 0 {
		findings = append(findings, delivery.Finding{Pointer: "/job", Message: "must be a list of at least one object"})
	}
	for i, document := range documents {
		j, wrong := bindJob(document, in.application)
		findings = append(findings, under("/job/"+strconv.Itoa(i), wrong)...)
		in.jobs = append(in.jobs, j)
	}
	if len(in.jobs) > 0 && in.application == "" {
		in.application = in.jobs[0].application
	}
	findings = append(findings, in.misfits()...)
	return in, delivery.InvalidError("task is not valid", inOrder(findings))
}

// taskTrigger reads what triggered a task. A task has no dry run: its jobs would be
// carried out.
func taskTrigger(c *gin.Context, body object) (delivery.Trigger, error) {
	inner := object{}
	switch raw := body["trigger"]; typeOf(raw) {
	case "nothing", "null":
	case "an object":
		inner = objectOf(raw)
	default:
		return delivery.Trigger{}, invalid("/trigger", "must be an object, not "+typeOf(raw))
	}
	t, err := readTrigger(c, inner, "/trigger")
	if err == nil && isDryRun(t) {
		err = invalid("/trigger/dryRun", "is for starts of pipelines; POST /tasks/plan says what a task would do")
	}
	return t, err
}

// taskCorrelation is the key of a task's correlationId. Starts of pipelines that are
// not saved have the same scope in the store, and one must not be answered with the other.
func taskCorrelation(t delivery.Trigger) string {
	if t.CorrelationID == "" {
		return ""
	}
	return "task\n" + t.CorrelationID
}

func (s *Server) getTask(c *gin.Context) error {
	e, err := s.pipelineExecution(c, read)
	if err == nil {
		e, err = s.withChildren(c.Request.Context(), e)
	}
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentTask(e))
}

// listApplicationTasks lists newest first.
func (s *Server) listApplicationTasks(c *gin.Context) error {
	q := queryOf(c)
	statuses, filtered := q.statuses("statuses")
	page, limit := q.number("page", 1, 1<<20), q.number("limit", 25, 1000)
	if err := q.err(); err != nil {
		return err
	}
	out := []v1.Task{}
	if filtered && len(statuses) == 0 || limit == 0 {
		return render(c, http.StatusOK, out)
	}
	found, err := s.store.Executions(c.Request.Context(), delivery.ExecutionFilter{
		Application: param(c, "app"), Type: delivery.Orchestration, Statuses: statuses,
		Offset: (max(page, 1) - 1) * limit, Limit: limit,
	})
	if err != nil {
		return err
	}
	for _, e := range found {
		out = append(out, presentTask(e))
	}
	return render(c, http.StatusOK, out)
}

func presentTask(e delivery.Execution) v1.Task {
	out := v1.Task{
		ID: string(e.ID), Name: e.Description, Application: e.Application, Status: string(e.Status),
		Variables: []v1.TaskVariable{}, Steps: []v1.StageTask{},
		BuildTime: v1.MillisOf(e.BuildTime), StartTime: v1.MillisOf(e.StartTime), EndTime: v1.MillisOf(e.EndTime),
		Execution: presentExecution(e, true),
	}
	at := map[string]int{}
	for _, stage := range e.Stages {
		out.Steps = append(out.Steps, presentSteps(stage)...)
		out.Variables = withVariables(out.Variables, at, objectOf(presentContext(stage)))
	}
	return out
}

// withVariables adds a stage's context to the variables of its task, which are at these
// places. Each key stands once, with the last value that is not empty.
func withVariables(variables []v1.TaskVariable, at map[string]int, context object) []v1.TaskVariable {
	for _, key := range slices.Sorted(maps.Keys(context)) {
		i, known := at[key]
		switch empty := slices.Contains([]string{"", "null", `""`, "[]", "{}"}, string(context[key])); {
		case !known:
			at[key] = len(variables)
			variables = append(variables, v1.TaskVariable{Key: key, Value: context[key]})
		case !empty:
			variables[i].Value = context[key]
		}
	}
	return variables
}
