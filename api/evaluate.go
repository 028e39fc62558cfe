package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
)

// evaluateExpression evaluates a text with expressions as the path's execution, or a
// stage of it, could at this moment. It changes nothing.
func (s *Server) evaluateExpression(c *gin.Context) error {
	text, err := bindExpression(c)
	if err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, read)
	if err != nil {
		return err
	}
	var stage delivery.Stage
	if c.Param("stage") != "" {
		if stage, err = stageNamed(e, param(c, "stage")); err != nil {
			return err
		}
	}
	env, err := s.environmentOf(c.Request.Context(), principalOf(c), e, stage.RefID)
	if err != nil {
		return err
	}
	document, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("encode the expression: %w", err)
	}
	result, problems := expression.EvaluateAll(document, env)
	if result == nil {
		result = document
	}
	detail, err := s.detail(problems)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, v1.Evaluation{Result: result, Detail: detail})
}

// detail is what evaluations say of the expressions that were not evaluated.
func (s *Server) detail(problems []expression.Problem) (json.RawMessage, error) {
	raw, err := json.Marshal(expression.SummaryOf(problems, s.now()))
	if err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	return raw, nil
}

func stageNamed(e delivery.Execution, id string) (delivery.Stage, error) {
	i := slices.IndexFunc(e.Stages, func(stage delivery.Stage) bool { return stage.ID == id })
	if i < 0 {
		return delivery.Stage{}, delivery.Errorf(delivery.NotFound, "Stage not found (id: %s)", id)
	}
	return e.Stages[i], nil
}

// bindExpression reads the text to evaluate: the query parameter, a JSON object with
// it, or the body itself.
func bindExpression(c *gin.Context) (string, error) {
	given := c.Request.URL.Query()["expression"]
	body := strings.TrimSpace(string(bodyOf(c)))
	switch {
	case len(given) > 1:
		return "", invalid("?expression", "is given more than once")
	case len(given) == 1 && given[0] != "" && body != "":
		return "", invalid("?expression", "is given together with a body; only one of them can be evaluated")
	case len(given) == 1 && given[0] != "":
		return given[0], nil
	case body == "" && c.Request.Method == http.MethodGet:
		return "", invalid("?expression", "is required, as in ${parameters.version}")
	case body == "":
		return "", invalid("", "the body is empty; an expression is needed, as in ${parameters.version}")
	case !strings.Contains(c.ContentType(), "json") && !strings.HasPrefix(body, "{"):
		return body, nil
	}
	o, err := bindObject(c, false)
	if err != nil {
		return "", err
	}
	text, err := o.text("expression")
	if err == nil && text == "" {
		err = invalid("/expression", "is required, as in ${parameters.version}")
	}
	return text, err
}

// evaluateVariables evaluates variables in order, each seeing those before it and the
// outputs of the stages that requisiteStageRefIds names and of those before them. It
// changes nothing.
func (s *Server) evaluateVariables(c *gin.Context) error {
	q := queryOf(c)
	named, requisites := q.text("executionId"), q.list("requisiteStageRefIds")
	_ = q.text("spelVersion") // there is one evaluator
	if err := q.err(); err != nil {
		return err
	}
	list, err := bindVariables(c)
	if err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, read)
	if err != nil {
		return err
	}
	if named != "" && named != string(e.ID) {
		return invalid("?executionId", fmt.Sprintf("is %q, but the path says %q", named, e.ID))
	}
	env, err := s.environmentOf(c.Request.Context(), principalOf(c), e, "")
	if err != nil {
		return err
	}
	if env.Outputs, err = outputsOf(e, requisites); err != nil {
		return err
	}
	evaluated, problems := expression.Variables(list, env)
	out := v1.VariablesEvaluation{Result: make([]v1.EvaluatedVariable, len(evaluated))}
	for i, v := range evaluated {
		out.Result[i] = v1.EvaluatedVariable(v)
	}
	if out.Detail, err = s.detail(problems); err != nil {
		return err
	}
	return render(c, http.StatusOK, out)
}

// outputsOf are the outputs of stages and of all stages before them, the nearest first.
func outputsOf(e delivery.Execution, refIDs []string) ([]json.RawMessage, error) {
	var out []json.RawMessage
	for _, refID := range refIDs {
		stage := e.Stage(refID)
		if stage == nil {
			return nil, invalid("?requisiteStageRefIds", fmt.Sprintf("%q is the refId of no stage", refID))
		}
		if len(stage.Outputs) > 0 {
			out = append(out, stage.Outputs)
		}
	}
	return append(out, expression.OutputsBefore(e, refIDs...)...), nil
}

// maxVariables is how many variables one request may have.
const maxVariables = 200

// bindVariables reads a list of keys and values.
func bindVariables(c *gin.Context) ([]expression.Variable, error) {
	body := bodyOf(c)
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil || elements == nil {
		return nil, invalid("", "the body must be a list of variables, as in [{\"key\":\"a\",\"value\":\"${1 + 1}\"}]")
	}
	if len(elements) > maxVariables {
		return nil, invalid("", fmt.Sprintf("the body has %d variables; %d are allowed", len(elements), maxVariables))
	}
	out := make([]expression.Variable, len(elements))
	var findings []delivery.Finding
	for i, raw := range elements {
		at := fmt.Sprintf("/%d", i)
		if typeOf(raw) != "an object" {
			findings = append(findings, delivery.Finding{Pointer: at, Message: "must be an object, not " + typeOf(raw)})
			continue
		}
		o := objectOf(raw)
		key, err := o.text("key")
		if err == nil && key == "" {
			err = invalid("/key", "is required")
		}
		description, wrong := o.text("description")
		for _, err := range [...]error{err, wrong} {
			findings = append(findings, under(at, delivery.FindingsOf(err))...)
		}
		value := o["value"]
		if len(value) == 0 {
			findings = append(findings, delivery.Finding{Pointer: at + "/value", Message: "is required"})
		}
		out[i] = expression.Variable{Key: key, Value: value, Description: description}
	}
	return out, delivery.InvalidError("variables are not valid", findings)
}
