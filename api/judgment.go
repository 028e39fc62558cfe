package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// maxJudgmentInput bounds the reason that is kept with an answer or a skip, in bytes.
const maxJudgmentInput = 4000

// updateStage does to a stage in progress what the body says: the answer to its
// judgment, or to that of one of its deployments, or a skip.
func (s *Server) updateStage(c *gin.Context) error {
	q := queryOf(c)
	named := q.text("deployment")
	if err := q.err(); err != nil {
		return err
	}
	command, err := bindStageCommand(c)
	if err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, execute)
	if err != nil {
		return err
	}
	stage, err := stageOf(e, param(c, "stage"))
	if err != nil {
		return err
	}
	command.Stage, command.By = stage.RefID, principalOf(c)
	switch {
	case command.Action == pipeline.Judge && stage.Type != pipeline.ManualJudgmentType:
		err = s.judgeDeployment(c, e, stage, delivery.DeploymentID(named), command)
	case !command.Action.Takes(stage):
		err = notTaken(command.Action, stage)
	default:
		err = s.engine.UpdateStage(c.Request.Context(), e.ID, command)
	}
	if err != nil {
		return err
	}
	return s.getExecution(c)
}

// stageOf finds a stage by its id.
func stageOf(e delivery.Execution, id string) (delivery.Stage, error) {
	i := slices.IndexFunc(e.Stages, func(stage delivery.Stage) bool { return stage.ID == id })
	if i < 0 {
		return delivery.Stage{}, delivery.Errorf(delivery.NotFound, "Stage not found (id: %s)", id)
	}
	return e.Stages[i], nil
}

// notTaken is Spinnaker's answer to a skip of what cannot be skipped.
func notTaken(a pipeline.StageAction, stage delivery.Stage) error {
	return &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", title: "Method not allowed",
		message: fmt.Sprintf("a stage of type %s does not take %s", stage.Type, a)}
}

// judgeDeployment answers the judgment of a deployment of the stage. It need not be
// named while there is only one that waits.
func (s *Server) judgeDeployment(c *gin.Context, e delivery.Execution, stage delivery.Stage, named delivery.DeploymentID, command pipeline.StageCommand) error {
	if e.Status.Complete() {
		return isComplete(e)
	}
	all, err := s.store.Deployments(c.Request.Context(), e.ID)
	if err != nil {
		return err
	}
	d, err := toJudge(all, stage.RefID, named)
	if err != nil {
		return err
	}
	return s.engine.Judge(c.Request.Context(), d.ID, delivery.JudgmentAnswer{
		Gate: d.Judgment.Gate, Status: command.Status, By: command.By, Reason: command.Input})
}

// stageFields are what can be asked of a stage, one at a time. One that is null is not
// asked.
var stageFields = [...]string{"judgmentStatus", string(pipeline.SkipRemainingWait), string(pipeline.ManualSkip)}

// bindStageCommand reads what is asked of a stage: one thing. What else Spinnaker lets
// change of a stage is refused: it would seem to have an effect.
func bindStageCommand(c *gin.Context) (pipeline.StageCommand, error) {
	var none pipeline.StageCommand
	body, err := bindObject(c, false)
	if err != nil {
		return none, err
	}
	var asked []string
	for _, key := range stageFields {
		if raw, ok := body[key]; ok && typeOf(raw) != "null" {
			asked = append(asked, key)
		}
	}
	for key := range body {
		if key != "judgmentInput" && key != "reason" && !slices.Contains(stageFields[:], key) {
			return none, invalid("/"+delivery.PointerToken(key), "cannot be changed of a stage; judgmentStatus with judgmentInput, skipRemainingWait, or manualSkip with reason can")
		}
	}
	switch {
	case len(asked) > 1:
		return none, invalid("/"+asked[1], "cannot be combined with "+asked[0])
	case body["reason"] != nil && (len(asked) == 0 || asked[0] != string(pipeline.ManualSkip)):
		return none, invalid("/reason", "belongs to manualSkip")
	case len(asked) == 0 || asked[0] == "judgmentStatus":
		return bindJudgment(body)
	case string(body[asked[0]]) != "true":
		return none, invalid("/"+asked[0], "must be true")
	case body["judgmentInput"] != nil:
		return none, invalid("/judgmentInput", "belongs to judgmentStatus")
	}
	reason, err := body.text("reason")
	if err == nil && len(reason) > maxJudgmentInput {
		err = invalid("/reason", fmt.Sprintf("is %d bytes long; %d are the most", len(reason), maxJudgmentInput))
	}
	return pipeline.StageCommand{Action: pipeline.StageAction(asked[0]), Input: reason}, err
}

func bindJudgment(body object) (pipeline.StageCommand, error) {
	answer := pipeline.StageCommand{Action: pipeline.Judge}
	status, err := body.text("judgmentStatus")
	if err != nil {
		return answer, err
	}
	if answer.Input, err = body.scalar("judgmentInput"); err != nil {
		return answer, err
	}
	answer.Status = delivery.JudgmentStatus(status)
	switch {
	case answer.Status != delivery.JudgmentContinue && answer.Status != delivery.JudgmentStop:
		return answer, invalid("/judgmentStatus", fmt.Sprintf("is %q; must be %s or %s", status, delivery.JudgmentContinue, delivery.JudgmentStop))
	case len(answer.Input) > maxJudgmentInput:
		return answer, invalid("/judgmentInput", fmt.Sprintf("is %d bytes long; %d are the most", len(answer.Input), maxJudgmentInput))
	}
	return answer, nil
}

// toJudge finds the deployment of a stage whose judgment is meant.
func toJudge(all []delivery.Deployment, refID string, named delivery.DeploymentID) (delivery.Deployment, error) {
	var waiting []delivery.Deployment
	var names []string
	var answered []delivery.Judgment
	known := false
	for _, d := range all {
		if d.Stage != refID {
			continue
		}
		known = known || d.ID == named
		if named == "" || d.ID == named {
			answered = append(answered, judgmentsOf(d)...)
		}
		if d.Judgment != nil && !d.Status.Complete() && (named == "" || d.ID == named) {
			waiting, names = append(waiting, d), append(names, string(d.ID))
		}
	}
	switch {
	case named != "" && !known:
		return delivery.Deployment{}, invalid("?deployment", fmt.Sprintf("%q is no deployment of the stage", named))
	case len(waiting) == 0:
		return delivery.Deployment{}, delivery.Errorf(delivery.Conflict, "no deployment of the stage waits for a judgment%s", lastAnswer(answered))
	case len(waiting) > 1:
		return delivery.Deployment{}, delivery.Errorf(delivery.Conflict, "several deployments wait for a judgment; name one with ?deployment=: %s", strings.Join(names, ", "))
	}
	return waiting[0], nil
}

// judgmentsOf are the judgments that a deployment has asked for.
func judgmentsOf(d delivery.Deployment) []delivery.Judgment {
	var detail struct {
		Judgments []delivery.Judgment `json:"judgments"`
	}
	if json.Unmarshal(d.Detail, &detail) != nil {
		return nil // it has not begun
	}
	return detail.Judgments
}

// lastAnswer says who answered last, after a semicolon; nothing when nobody did.
func lastAnswer(all []delivery.Judgment) string {
	var last delivery.Judgment
	for _, j := range all {
		if j.Status != "" && !j.At.Before(last.At) {
			last = j
		}
	}
	if last.Status == "" {
		return ""
	}
	return fmt.Sprintf("; %s has answered that of %s: %s", last.By, last.Step, last.Status)
}

// presentRunning is presentExecution with what its deployments ask people now and,
// with expand, the executions that its stages have started.
func (s *Server) presentRunning(ctx context.Context, e delivery.Execution, expand bool) (v1.Execution, error) {
	if expand {
		var err error
		if e, err = s.withChildren(ctx, e); err != nil {
			return v1.Execution{}, err
		}
	}
	out := presentExecution(e, expand)
	if e.Status.Complete() || !slices.ContainsFunc(e.Stages, func(stage delivery.Stage) bool { return len(stage.Deployments) > 0 && !stage.Status.Complete() }) {
		return out, nil
	}
	all, err := s.store.Deployments(ctx, e.ID)
	if err != nil {
		return out, err
	}
	for _, d := range all {
		for i := range out.Stages {
			if j := presentJudgment(d); j != nil && out.Stages[i].RefID == d.Stage {
				out.Stages[i].Judgments = append(out.Stages[i].Judgments, *j)
			}
		}
	}
	return out, nil
}

// presentJudgment is the open judgment of a deployment; nil for none.
func presentJudgment(d delivery.Deployment) *v1.Judgment {
	j := d.Judgment
	if j == nil || d.Status.Complete() {
		return nil
	}
	return &v1.Judgment{Deployment: string(d.ID), Step: j.Step, Instructions: j.Instructions,
		Since: v1.MillisOf(j.Since), Until: v1.MillisOf(j.Until), OnTimeout: j.OnTimeout}
}
