package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// listTemplates lists one version of each template: the latest.
func (s *Server) listTemplates(c *gin.Context) error {
	all, err := s.templates(c)
	if err != nil {
		return err
	}
	out := []object{}
	for _, versions := range all {
		out = append(out, presentTemplate(versions[0].Document))
	}
	return render(c, http.StatusOK, out)
}

// listTemplateVersions lists all versions of each template, with tag and digest. A
// version that no tag names any more has its digest alone.
func (s *Server) listTemplateVersions(c *gin.Context) error {
	all, err := s.templates(c)
	if err != nil {
		return err
	}
	out := map[string][]object{}
	for _, versions := range all {
		tagged := map[string]bool{}
		for _, v := range versions {
			one := presentTemplate(v.Document)
			digest := v.key.Digest
			if v.key.Tag != "" {
				digest = digestOf(objectOf(v.Content))
				tagged[digest] = true
				one.set("tag", v.key.Tag)
			} else if tagged[digest] {
				continue
			}
			one.set("digest", digest)
			out[v.key.ID] = append(out[v.key.ID], one)
		}
	}
	return render(c, http.StatusOK, out)
}

// templateVersion is a stored version of a template.
type templateVersion struct {
	delivery.Document
	key pipeline.TemplateKey
}

// templates returns the versions of each template that has one of the scopes, the
// latest first and those without a tag last.
func (s *Server) templates(c *gin.Context) ([][]templateVersion, error) {
	scopes := queryOf(c).list("scopes")
	found, err := s.store.Documents(c.Request.Context(), delivery.TemplateDocument, "")
	if err != nil {
		return nil, err
	}
	byID := map[string][]templateVersion{}
	var ids []string
	for _, d := range found {
		key, err := pipeline.ParseTemplateKey(d.ID)
		if err != nil || !inScope(d, scopes) {
			continue
		}
		if byID[key.ID] == nil {
			ids = append(ids, key.ID)
		}
		byID[key.ID] = append(byID[key.ID], templateVersion{d, key})
	}
	slices.Sort(ids)
	var out [][]templateVersion
	for _, id := range ids {
		slices.SortFunc(byID[id], func(a, b templateVersion) int {
			if rank := rankOf(a.key) - rankOf(b.key); rank != 0 {
				return rank
			}
			return strings.Compare(a.ID, b.ID)
		})
		out = append(out, byID[id])
	}
	return out, nil
}

// rankOf orders versions by their tags, as the tags are listed.
func rankOf(key pipeline.TemplateKey) int {
	if i := slices.Index(pipeline.TemplateTags, key.Tag); i >= 0 {
		return i
	}
	return len(pipeline.TemplateTags)
}

func inScope(d delivery.Document, scopes []string) bool {
	var template struct {
		Metadata struct{ Scopes []string }
	}
	if len(scopes) == 0 {
		return true
	}
	return json.Unmarshal(d.Content, &template) == nil &&
		slices.ContainsFunc(template.Metadata.Scopes, func(scope string) bool { return slices.Contains(scopes, scope) })
}

func presentTemplate(d delivery.Document) object {
	key, err := pipeline.ParseTemplateKey(d.ID)
	out := presentDocument(d)
	if err == nil {
		out.set("id", key.ID)
	}
	return out
}

func (s *Server) getTemplate(c *gin.Context) error {
	key, err := templateKeyOf(c)
	if err != nil {
		return err
	}
	d, err := s.store.Document(c.Request.Context(), delivery.TemplateDocument, key.String())
	if err != nil {
		return missing(err, "Pipeline template", key.String())
	}
	setETag(c, d.Revision)
	return render(c, http.StatusOK, presentTemplate(d))
}

// templateKeyOf reads which version the path and the query mean.
func templateKeyOf(c *gin.Context) (pipeline.TemplateKey, error) {
	q := queryOf(c)
	tag, digest := q.text("tag"), q.text("digest")
	if tag != "" && digest != "" {
		q.refuse("tag", "cannot be combined with digest")
	}
	if err := q.err(); err != nil {
		return pipeline.TemplateKey{}, err
	}
	return pipeline.ParseTemplateKey(versioned(param(c, "id"), tag, digest))
}

// versioned is the reference to a version by tag or digest.
func versioned(id, tag, digest string) string {
	switch {
	case digest != "":
		return id + "@sha256:" + strings.TrimPrefix(digest, "sha256:")
	case tag != "":
		return id + ":" + tag
	default:
		return id
	}
}

// listTemplateDependents lists the pipelines that are made from a template.
func (s *Server) listTemplateDependents(c *gin.Context) error {
	found, err := s.dependents(c.Request.Context(), func(key pipeline.TemplateKey) bool { return key.ID == param(c, "id") })
	if err != nil {
		return err
	}
	out := []object{}
	for _, p := range found {
		if s.authorize(principalOf(c), read, resource{p.Application}) == nil { // what the caller may not see is left out
			out = append(out, presentPipeline(p))
		}
	}
	return render(c, http.StatusOK, out)
}

// createTemplateVersion and the two after it run the job of a task, and answer with
// the finished task as Spinnaker's clients expect.
func (s *Server) createTemplateVersion(c *gin.Context) error {
	return s.answerTemplate(c, createTemplate, "")
}

func (s *Server) updateTemplateVersion(c *gin.Context) error {
	return s.answerTemplate(c, updateTemplate, param(c, "id"))
}

func (s *Server) answerTemplate(c *gin.Context, kind, id string) error {
	q := queryOf(c)
	tag, skip := q.text("tag"), q.flag("skipPlanDependents", false)
	if err := q.err(); err != nil {
		return err
	}
	template, err := bindDocument(c)
	if err != nil {
		return err
	}
	document := object{}
	document.set("type", kind)
	document.set("pipelineTemplate", template)
	document.set("tag", tag)
	document.set("skipPlanDependents", skip)
	if id != "" {
		document.set("id", id)
	}
	j, findings := bindJob(document, "")
	for i := range findings {
		findings[i].Pointer = strings.TrimPrefix(findings[i].Pointer, "/pipelineTemplate")
	}
	if err := delivery.InvalidError("template is not valid", findings); err != nil {
		return err
	}
	name, _ := template.text("id")
	return s.answerTask(c, http.StatusOK, taskInput{description: "Save pipeline template " + name, jobs: []job{j}})
}

// deleteTemplateVersion answers 202, which spin insists on.
func (s *Server) deleteTemplateVersion(c *gin.Context) error {
	if _, err := templateKeyOf(c); err != nil {
		return err
	}
	q := queryOf(c)
	document := object{}
	document.set("type", deleteTemplate)
	document.set("pipelineTemplateId", param(c, "id"))
	document.set("tag", q.text("tag"))
	document.set("digest", q.text("digest"))
	j, findings := bindJob(document, "")
	if err := delivery.InvalidError("template is not valid", findings); err != nil {
		return err
	}
	return s.answerTask(c, http.StatusAccepted, taskInput{description: "Delete pipeline template " + param(c, "id"), jobs: []job{j}})
}
