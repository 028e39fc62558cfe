package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// reorderApplicationPipelines and its twin answer with the finished task.
func (s *Server) reorderApplicationPipelines(c *gin.Context) error {
	return s.answerReorder(c, "Reorder pipelines", false)
}

func (s *Server) reorderApplicationStrategies(c *gin.Context) error {
	return s.answerReorder(c, "Reorder strategies", true)
}

func (s *Server) answerReorder(c *gin.Context, description string, strategies bool) error {
	body, err := bindObject(c, false)
	if err != nil {
		return err
	}
	body.set("type", reorderPipelines)
	body.set("isStrategy", strategies)
	application, _ := body.text("application")
	j, findings := bindJob(body, application)
	if err := delivery.InvalidError("the order is not valid", findings); err != nil {
		return err
	}
	return s.answerTask(c, http.StatusOK, taskInput{application: j.application, description: description, jobs: []job{j}})
}

func bindReorder(document object, taskApplication string) (string, []delivery.Finding) {
	var findings []delivery.Finding
	application, err := document.text("application")
	findings = append(findings, delivery.FindingsOf(err)...)
	if application == "" {
		application = taskApplication
	}
	if err == nil && !pipeline.IsApplicationName(application) {
		findings = append(findings, delivery.Finding{Pointer: "/application", Message: "is required: the name of an application"})
	}
	if _, err := document.flag("isStrategy"); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	if _, wrong := indicesOf(document); len(wrong) > 0 {
		findings = append(findings, wrong...)
	}
	return strings.ToLower(application), findings
}

// indicesOf reads the new index of each id.
func indicesOf(document object) (map[string]int, []delivery.Finding) {
	var raw object
	if json.Unmarshal(document["idsToIndices"], &raw) != nil || raw == nil {
		return nil, []delivery.Finding{{Pointer: "/idsToIndices", Message: "must be an object of ids with their index, not " + typeOf(document["idsToIndices"])}}
	}
	out := map[string]int{}
	var findings []delivery.Finding
	for id, value := range raw {
		var index int
		if json.Unmarshal(value, &index) != nil || typeOf(value) == "null" {
			findings = append(findings, delivery.Finding{Pointer: "/idsToIndices/" + escapePointer(id), Message: "must be a whole number, not " + typeOf(value)})
		}
		out[id] = index
	}
	return out, inOrder(findings)
}

// reorder gives pipelines or strategies of one application their new places, all of
// them or none. What is in its place already is not saved again.
func (s *Server) reorder(ctx context.Context, by delivery.Principal, j job) error {
	indices, findings := indicesOf(j.document)
	if err := delivery.InvalidError("the order is not valid", findings); err != nil {
		return err
	}
	if strategies, _ := j.document.flag("isStrategy"); strategies {
		return s.reorderStrategies(ctx, by, j.application, indices)
	}
	stored, err := s.store.Pipelines(ctx, j.application)
	if err != nil {
		return err
	}
	var saves []delivery.PipelineSave
	for _, p := range stored {
		index, given := indices[p.ID]
		delete(indices, p.ID)
		document := objectOf(p.Document)
		if !given || p.Index == index && hasIndex(document) {
			continue
		}
		document.set("index", index)
		expect := delivery.PipelineExpectation{Revision: p.Revision}
		p.Index, p.Document, p.UpdatedAt, p.LastModifiedBy = index, document.raw(), s.now(), by.Name
		saves = append(saves, delivery.PipelineSave{Pipeline: p, Expect: expect})
	}
	if err := notOfApplication(indices, "pipeline"); err != nil || len(saves) == 0 {
		return err
	}
	_, err = s.store.SavePipelines(ctx, saves)
	return err
}

func (s *Server) reorderStrategies(ctx context.Context, by delivery.Principal, application string, indices map[string]int) error {
	stored, err := s.store.Documents(ctx, delivery.StrategyDocument, application)
	if err != nil {
		return err
	}
	var changes []delivery.DocumentChange
	for _, d := range stored {
		index, given := indices[d.ID]
		delete(indices, d.ID)
		if !given {
			continue
		}
		content := objectOf(d.Content)
		content.set("index", index)
		expect := delivery.DocumentExpectation{Revision: d.Revision}
		d.Content, d.UpdatedAt, d.LastModifiedBy = content.raw(), s.now(), by.Name
		changes = append(changes, delivery.DocumentChange{Document: d, Expect: expect})
	}
	if err := notOfApplication(indices, "strategy"); err != nil || len(changes) == 0 {
		return err
	}
	_, err = s.store.ChangeDocuments(ctx, changes...)
	return err
}

// notOfApplication refuses the ids that were not found.
func notOfApplication(rest map[string]int, what string) error {
	var findings []delivery.Finding
	for id := range rest {
		findings = append(findings, delivery.Finding{Pointer: "/idsToIndices/" + escapePointer(id), Message: "is not the id of a " + what + " of the application"})
	}
	slices.SortFunc(findings, func(a, b delivery.Finding) int { return strings.Compare(a.Pointer, b.Pointer) })
	return delivery.InvalidError("the order is not valid", findings)
}
