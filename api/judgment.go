package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// maxJudgmentInput bounds the reason that is kept with an answer, in bytes.
const maxJudgmentInput = 4000

// updateStage takes the answer to a judgment that a deployment of the stage waits
// for, in the form of Spinnaker's manual judgment. The deployment need not be
// named while there is only one that waits.
func (s *Server) updateStage(c *gin.Context) error {
	q := queryOf(c)
	named := q.text("deployment")
	if err := q.err(); err != nil {
		return err
	}
	answer, err := bindJudgment(c)
	if err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, execute)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(e.Stages, func(stage delivery.Stage) bool { return stage.ID == param(c, "stage") })
	if i < 0 {
		return delivery.Errorf(delivery.NotFound, "Stage not found (id: %s)", param(c, "stage"))
	}
	if e.Status.Complete() {
		return isComplete(e)
	}
	all, err := s.store.Deployments(c.Request.Context(), e.ID)
	if err != nil {
		return err
	}
	d, err := toJudge(all, e.Stages[i].RefID, delivery.DeploymentID(named))
	if err != nil {
		return err
	}
	answer.Gate, answer.By = d.Judgment.Gate, principalOf(c)
	if err := s.engine.Judge(c.Request.Context(), d.ID, answer); err != nil {
		return err
	}
	return s.getExecution(c)
}

// bindJudgment reads the answer. What else Spinnaker lets change of a stage is
// refused: it would seem to have an effect.
func bindJudgment(c *gin.Context) (delivery.JudgmentAnswer, error) {
	body, err := bindObject(c, false)
	if err != nil {
		return delivery.JudgmentAnswer{}, err
	}
	for key := range body {
		if key != "judgmentStatus" && key != "judgmentInput" {
			return delivery.JudgmentAnswer{}, invalid("/"+escapePointer(key), "cannot be changed of a stage; judgmentStatus and judgmentInput can")
		}
	}
	status, err := body.text("judgmentStatus")
	if err != nil {
		return delivery.JudgmentAnswer{}, err
	}
	input, err := body.text("judgmentInput")
	if err != nil {
		return delivery.JudgmentAnswer{}, err
	}
	answer := delivery.JudgmentAnswer{Status: delivery.JudgmentStatus(status), Reason: input}
	switch {
	case answer.Status != delivery.JudgmentContinue && answer.Status != delivery.JudgmentStop:
		return answer, invalid("/judgmentStatus", fmt.Sprintf("is %q; must be %s or %s", status, delivery.JudgmentContinue, delivery.JudgmentStop))
	case len(input) > maxJudgmentInput:
		return answer, invalid("/judgmentInput", fmt.Sprintf("is %d bytes long; %d are the most", len(input), maxJudgmentInput))
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

// presentRunning is presentExecution with what its deployments ask people now.
func (s *Server) presentRunning(ctx context.Context, e delivery.Execution, expand bool) (v1.Execution, error) {
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
