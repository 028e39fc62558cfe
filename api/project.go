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

// projectConfig is what a project has together.
type projectConfig struct {
	Applications    []string `json:"applications"`
	PipelineConfigs []struct {
		Application      string `json:"application"`
		PipelineConfigID string `json:"pipelineConfigId"`
	} `json:"pipelineConfigs"`
	Clusters []projectCluster `json:"clusters"`
}

// projectCluster selects clusters. Stack and detail "*" are any.
type projectCluster struct {
	Account string `json:"account"`
	Stack   string `json:"stack"`
	Detail  string `json:"detail"`
	// Applications are all of the project's when there are none.
	Applications []string `json:"applications"`
}

func configOf(d delivery.Document) (projectConfig, error) {
	var out projectConfig
	raw, given := objectOf(d.Content)["config"]
	if !given {
		return out, nil
	}
	err := json.Unmarshal(raw, &out)
	return out, err
}

func (s *Server) listProjects(c *gin.Context) error {
	found, err := s.store.Documents(c.Request.Context(), delivery.ProjectDocument, "")
	if err != nil {
		return err
	}
	out := []object{}
	for _, d := range found {
		out = append(out, presentProject(d))
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) getProject(c *gin.Context) error {
	name := param(c, "project")
	d, err := s.project(c.Request.Context(), name)
	if err != nil {
		return missing(err, "Project", name)
	}
	setETag(c, d.Revision)
	return render(c, http.StatusOK, presentProject(d))
}

func presentProject(d delivery.Document) object {
	out := presentDocument(d)
	out.set("name", d.Name)
	out.set("createTs", d.CreatedAt.UnixMilli()) // numbers, unlike those of applications and pipelines
	out.set("updateTs", d.UpdatedAt.UnixMilli())
	config := objectOf(out["config"])
	for _, list := range [...]string{"applications", "pipelineConfigs", "clusters"} {
		if kind := typeOf(config[list]); kind == "nothing" || kind == "null" {
			config[list] = json.RawMessage(`[]`)
		}
	}
	out.set("config", config)
	return out
}

// project finds by id, or by name ignoring case.
func (s *Server) project(ctx context.Context, idOrName string) (delivery.Document, error) {
	d, err := s.store.Document(ctx, delivery.ProjectDocument, idOrName)
	if delivery.KindOf(err) != delivery.NotFound {
		return d, err
	}
	all, listErr := s.store.Documents(ctx, delivery.ProjectDocument, "")
	if listErr != nil {
		return d, listErr
	}
	if i := slices.IndexFunc(all, func(d delivery.Document) bool { return strings.EqualFold(d.Name, idOrName) }); i >= 0 {
		return all[i], nil
	}
	return d, err
}

// listProjectPipelines lists the last executions of each of the project's pipelines.
// A project that is not there has none, as in Gate.
func (s *Server) listProjectPipelines(c *gin.Context) error {
	q := queryOf(c)
	limit := q.number("limit", 5, 1000)
	statuses, filtered := q.statuses("statuses")
	if err := q.err(); err != nil {
		return err
	}
	_, config, err := s.projectOf(c)
	if err != nil {
		return err
	}
	filter := delivery.ExecutionFilter{Type: delivery.PipelineExecution, Statuses: statuses, LimitPerPipeline: limit}
	for _, one := range config.PipelineConfigs {
		filter.PipelineConfigIDs = append(filter.PipelineConfigIDs, one.PipelineConfigID)
	}
	if len(filter.PipelineConfigIDs) == 0 || limit == 0 || filtered && len(statuses) == 0 {
		return render(c, http.StatusOK, []v1.Execution{})
	}
	found, err := s.store.Executions(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	slices.SortFunc(found, byStart)
	return s.renderExecutions(c, found, true)
}

// projectOf returns the project of the path; an empty one when there is none.
func (s *Server) projectOf(c *gin.Context) (delivery.Document, projectConfig, error) {
	d, err := s.project(c.Request.Context(), param(c, "project"))
	if delivery.KindOf(err) == delivery.NotFound {
		return d, projectConfig{}, nil
	}
	if err != nil {
		return d, projectConfig{}, err
	}
	config, err := configOf(d)
	if err != nil {
		return d, config, fmt.Errorf("read project %s: %w", d.ID, err)
	}
	return d, config, nil
}

// bindProjectJob reads the project of a job. Deck and spin send all of it, also to
// delete it.
func bindProjectJob(document object, _ string) (string, []delivery.Finding) {
	var project object
	if json.Unmarshal(document["project"], &project) != nil || project == nil {
		return "", []delivery.Finding{{Pointer: "/project", Message: "must be an object, not " + typeOf(document["project"])}}
	}
	var findings []delivery.Finding
	kind, _ := document.text("type")
	for _, key := range [...]string{"id", "name", "email"} {
		text, err := project.text(key)
		findings = append(findings, delivery.FindingsOf(err)...)
		if message := pipeline.UnfitName(text); message != "" {
			findings = append(findings, delivery.Finding{Pointer: "/" + key, Message: message})
		}
		if key == "name" && err == nil && strings.TrimSpace(text) == "" && (kind == upsertProject || project["id"] == nil) {
			findings = append(findings, delivery.Finding{Pointer: "/name", Message: "is required: a project has a name"})
		}
	}
	if _, err := configOf(delivery.Document{Content: project.raw()}); err != nil {
		findings = append(findings, wrongType("/config", err))
	}
	return "", under("/project", inOrder(findings))
}

// upsertProject creates a project without an id, and replaces the one of an id.
func (s *Server) upsertProject(ctx context.Context, by delivery.Principal, j job) error {
	project := objectOf(j.document["project"])
	id, _ := project.text("id")
	name, _ := project.text("name")
	change := delivery.DocumentChange{Document: delivery.Document{Kind: delivery.ProjectDocument, ID: id, Name: name, Content: contentOf(project).raw()}}
	if id == "" {
		change.Expect.Absent = true
	} else {
		stored, err := s.store.Document(ctx, delivery.ProjectDocument, id)
		if err != nil {
			return missing(err, "Project", id)
		}
		change.Expect.Revision = stored.Revision
	}
	_, err := s.change(ctx, by, change)
	return err
}

// deleteProject deletes by id, or by name when there is none. One that is gone
// already is no error.
func (s *Server) deleteProject(ctx context.Context, by delivery.Principal, j job) error {
	project := objectOf(j.document["project"])
	key, _ := project.text("id")
	if key == "" {
		key, _ = project.text("name")
	}
	stored, err := s.project(ctx, key)
	if err == nil {
		_, err = s.change(ctx, by, delivery.DocumentChange{Document: delivery.Document{Kind: delivery.ProjectDocument, ID: stored.ID}, Delete: true})
	}
	if delivery.KindOf(err) == delivery.NotFound {
		return nil
	}
	return err
}
