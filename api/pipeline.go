package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// savePipeline creates a pipeline, or replaces the one whose id the body has.
func (s *Server) savePipeline(c *gin.Context) error {
	q := queryOf(c)
	staleCheck := q.flag("staleCheck", false)
	if err := q.err(); err != nil {
		return err
	}
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	if _, err := s.putPipeline(c, doc, staleCheck); err != nil {
		return err
	}
	return renderVoid(c)
}

// replacePipeline replaces the pipeline of the path's id and answers with it.
func (s *Server) replacePipeline(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	id := param(c, "id")
	if own, err := doc.text("id"); err == nil && own != "" && own != id {
		return invalid("/id", fmt.Sprintf("is %q, but the path says %q", own, id))
	}
	if _, err := s.store.PipelineByID(c.Request.Context(), id); err != nil {
		return missing(err, "Pipeline config", id)
	}
	doc.set("id", id)
	saved, err := s.putPipeline(c, doc, false)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentPipeline(saved))
}

// putPipeline checks and stores a pipeline. The caller needs the right to write to its
// application and, when it replaces one of another application, to that one.
func (s *Server) putPipeline(c *gin.Context, doc object, staleCheck bool) (delivery.Pipeline, error) {
	ctx := c.Request.Context()
	p, findings, err := s.checkPipeline(ctx, doc)
	if err != nil {
		return p, err
	}
	if err := s.authorize(principalOf(c), write, resource{p.Application}); err != nil {
		return p, err
	}
	if err := delivery.InvalidError("pipeline is not valid", findings); err != nil {
		return p, err
	}
	expect, err := s.expectationOf(c, p, staleCheck)
	if err != nil {
		return p, err
	}
	return s.storePipeline(c, p, expect)
}

// storePipeline saves a pipeline that was checked. What the caller of the request
// believed is stored stands in expect.
func (s *Server) storePipeline(c *gin.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error) {
	p.UpdatedAt, p.LastModifiedBy = s.now(), principalOf(c).Name
	saved, err := s.store.SavePipeline(c.Request.Context(), p, expect)
	switch {
	case delivery.KindOf(err) == delivery.Conflict && expect.UpdatedAt.IsZero():
		return p, changedMeanwhile("pipeline")
	case delivery.KindOf(err) == delivery.Conflict:
		return p, &failure{status: http.StatusBadRequest, code: "stale", title: "The pipeline was changed by somebody else",
			message: "The submitted pipeline is stale", hint: "read the pipeline again, apply the change to what is stored now, and save"}
	case err == nil:
		setETag(c, saved.Revision)
	}
	return saved, err
}

// expectationOf returns what the request believes is stored, by If-Match or by the
// document's updateTs when that is to be checked.
func (s *Server) expectationOf(c *gin.Context, p delivery.Pipeline, staleCheck bool) (delivery.PipelineExpectation, error) {
	var expect delivery.PipelineExpectation
	var stored delivery.Pipeline
	if p.ID != "" {
		var err error
		stored, err = s.store.PipelineByID(c.Request.Context(), p.ID)
		if err != nil && delivery.KindOf(err) != delivery.NotFound {
			return expect, err
		}
	}
	if stored.Revision > 0 {
		if err := s.authorize(principalOf(c), write, resource{stored.Application}); err != nil {
			return expect, err
		}
		if staleCheck {
			expect.UpdatedAt = updatedAtOf(p.Document)
		}
	}
	revision, err := matched(c, stored.Revision, "pipeline")
	expect.Revision = revision
	return expect, err
}

// updatedAtOf returns the time of change that the saver saw; without one it
// returns a time that no stored pipeline has.
func updatedAtOf(document json.RawMessage) time.Time {
	text := strings.Trim(string(objectOf(document)["updateTs"]), `"`)
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return time.UnixMilli(1)
	}
	return time.UnixMilli(ms)
}

var applicationName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_. -]{0,98}[a-zA-Z0-9_])?$`)

// checkPipeline reads a pipeline document and checks all of it, together with the
// template that it is made from.
func (s *Server) checkPipeline(ctx context.Context, doc object) (delivery.Pipeline, []delivery.Finding, error) {
	p, findings := readPipeline(doc)
	planned, wrong, err := s.plan(ctx, p.Document)
	if err != nil {
		return p, nil, err
	}
	if len(wrong) == 0 {
		if wrong = delivery.FindingsOf(checkDefinition(planned.Document)); len(wrong) == 0 {
			wrong = delivery.FindingsOf(s.checkSuited(planned.Document))
		}
		wrong = planned.Findings(wrong)
		p.Document = planned.WithTriggers(p.Document)
	}
	return p, inOrder(append(findings, wrong...)), nil
}

// readPipeline reads the fields of a pipeline that the server itself looks at.
func readPipeline(doc object) (delivery.Pipeline, []delivery.Finding) {
	var p delivery.Pipeline
	var findings []delivery.Finding
	var err error
	keep := func(err error) { findings = append(findings, delivery.FindingsOf(err)...) }
	for key, into := range map[string]*string{"id": &p.ID, "name": &p.Name, "application": &p.Application} {
		if *into, err = doc.text(key); err != nil && key == "id" {
			keep(err) // of name and application Parse complains later
		}
	}
	if p.Name = strings.TrimSpace(p.Name); p.Name == "" && absentOrText(doc["name"]) {
		findings = append(findings, delivery.Finding{Pointer: "/name", Message: "is required: a pipeline has a name"})
	}
	for key, text := range map[string]string{"id": p.ID, "name": p.Name} {
		if message := unfit(text); message != "" {
			findings = append(findings, delivery.Finding{Pointer: "/" + key, Message: message})
		}
	}
	if !applicationName.MatchString(p.Application) && absentOrText(doc["application"]) {
		findings = append(findings, delivery.Finding{Pointer: "/application", Message: fmt.Sprintf("%q is not the name of an application", p.Application)})
	}
	if raw, ok := doc["index"]; ok && json.Unmarshal(raw, &p.Index) != nil {
		findings = append(findings, delivery.Finding{Pointer: "/index", Message: "must be a whole number, not " + typeOf(raw)})
	}
	if p.Disabled, err = doc.flag("disabled"); err != nil {
		keep(err)
	}
	nameTriggers(doc)
	p.Document = doc.raw()
	return p, findings
}

// nameTriggers gives each cron trigger that has no id one, as Gate does when a
// pipeline is saved. What is no trigger is left to the check of the whole.
func nameTriggers(doc object) {
	var triggers []json.RawMessage
	if json.Unmarshal(doc["triggers"], &triggers) != nil {
		return
	}
	for i, raw := range triggers {
		var fields object
		if json.Unmarshal(raw, &fields) != nil || fields == nil || string(fields["type"]) != `"`+pipeline.CronType+`"` {
			continue
		}
		if id := string(fields["id"]); id == "" || id == "null" || id == `""` {
			fields.set("id", ulid.Make().String())
			triggers[i] = fields.raw()
		}
	}
	doc.set("triggers", triggers)
}

// maxName is the longest name or id of a pipeline in bytes: both stand in paths.
const maxName = 255

// unfit says why a path could not name what has this name, or nothing.
func unfit(name string) string {
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("has %d bytes; %d are allowed", len(name), maxName)
	case strings.ContainsFunc(name, isControl):
		return "holds control characters"
	default:
		return ""
	}
}

// absentOrText is false for a value whose type alone is wrong, which is said once.
func absentOrText(raw json.RawMessage) bool {
	kind := typeOf(raw)
	return kind == "nothing" || kind == "null" || kind == "a string"
}

// checkDefinition returns everything that is wrong with a pipeline's stages,
// parameters, triggers and expressions.
func checkDefinition(document json.RawMessage) error {
	_, err := pipeline.Parse(document)
	findings := delivery.FindingsOf(err)
	var stages []json.RawMessage
	if json.Unmarshal(objectOf(document)["stages"], &stages) == nil {
		for i, stage := range stages {
			findings = append(findings, under(stagePointer(i), expression.Check(stage))...)
		}
	}
	return delivery.InvalidError("pipeline is not valid", inOrder(findings))
}

func stagePointer(index int) string { return "/stages/" + strconv.Itoa(index) }

// under puts a prefix before the findings' pointers.
func under(prefix string, findings []delivery.Finding) []delivery.Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Pointer = prefix + out[i].Pointer
	}
	return out
}

// inOrder sorts findings by field and drops repetitions.
func inOrder(findings []delivery.Finding) []delivery.Finding {
	slices.SortStableFunc(findings, func(a, b delivery.Finding) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}

// deletePipeline answers 200 also when there was no such pipeline, as Gate does.
func (s *Server) deletePipeline(c *gin.Context) error {
	err := s.store.DeletePipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return renderVoid(c)
}

func (s *Server) getPipeline(c *gin.Context) error {
	p, err := s.pipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil {
		return err
	}
	setETag(c, p.Revision)
	return render(c, http.StatusOK, presentPipeline(p))
}

func (s *Server) pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error) {
	p, err := s.store.Pipeline(ctx, application, nameOrID)
	return p, missing(err, "Pipeline config", nameOrID)
}

func (s *Server) listPipelines(c *gin.Context) error {
	return s.renderPipelines(c, "")
}

func (s *Server) listApplicationPipelines(c *gin.Context) error {
	return s.renderPipelines(c, param(c, "app"))
}

func (s *Server) renderPipelines(c *gin.Context, application string) error {
	q := queryOf(c)
	filter, limit := strings.ToLower(q.text("pipelineNameFilter")), q.number("pipelineLimit", 0, 1<<20)
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Pipelines(c.Request.Context(), application)
	if err != nil {
		return err
	}
	out := []object{}
	for _, p := range found {
		if limit > 0 && len(out) == limit {
			break
		}
		if strings.Contains(strings.ToLower(p.Name), filter) {
			out = append(out, presentPipeline(p))
		}
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) getPipelineHistory(c *gin.Context) error {
	q := queryOf(c)
	limit := q.number("limit", 20, 1000)
	if err := q.err(); err != nil {
		return err
	}
	out := []object{}
	if limit == 0 { // the store takes it for no limit
		return render(c, http.StatusOK, out)
	}
	revisions, err := s.store.PipelineHistory(c.Request.Context(), param(c, "id"), limit)
	if err != nil {
		return err
	}
	for _, p := range revisions {
		if err := s.authorize(principalOf(c), read, resource{p.Application}); err != nil {
			return err
		}
		out = append(out, presentPipeline(p))
	}
	return render(c, http.StatusOK, out)
}

// presentPipeline returns the document as it was saved, with the server's own
// fields set.
func presentPipeline(p delivery.Pipeline) object {
	out := objectOf(p.Document)
	out.set("id", p.ID)
	out.set("application", p.Application)
	out.set("name", p.Name)
	out.set("index", p.Index)
	out.set("updateTs", v1.TextOf(p.UpdatedAt))
	out.set("lastModifiedBy", p.LastModifiedBy)
	out.set("revision", p.Revision)
	for _, list := range [...]string{"stages", "triggers"} {
		if _, ok := out[list]; !ok {
			out[list] = json.RawMessage(`[]`)
		}
	}
	return out
}
