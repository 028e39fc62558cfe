package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// The job types that are run inside the request.
const (
	createApplication = "createApplication"
	updateApplication = "updateApplication"
	deleteApplication = "deleteApplication"
	upsertProject     = "upsertProject"
	deleteProject     = "deleteProject"
	reorderPipelines  = "reorderPipelines"
	createTemplate    = "createV2PipelineTemplate"
	updateTemplate    = "updateV2PipelineTemplate"
	deleteTemplate    = "deleteV2PipelineTemplate"
)

// requestJob is a type of job that is run inside the request.
type requestJob struct {
	// bind checks the document and says whose right the job needs; empty for the
	// platform's. taskApplication is the one that the task names.
	bind func(document object, taskApplication string) (application string, findings []delivery.Finding)
	run  func(s *Server, ctx context.Context, by delivery.Principal, j job) error
}

var requestJobs = map[string]requestJob{
	createApplication: {bindApplicationJob, (*Server).upsertApplication},
	updateApplication: {bindApplicationJob, (*Server).upsertApplication},
	deleteApplication: {bindApplicationJob, (*Server).deleteApplication},
	upsertProject:     {bindProjectJob, (*Server).upsertProject},
	deleteProject:     {bindProjectJob, (*Server).deleteProject},
	reorderPipelines:  {bindReorder, (*Server).reorder},

	pipeline.SavePipelineType:   {bindPipelineJob, (*Server).runPipelineSave},
	pipeline.UpdatePipelineType: {bindPipelineJob, (*Server).runPipelineSave},
	pipeline.DeletePipelineType: {bindPipelineJob, (*Server).runPipelineDeletion},

	createTemplate: {bindTemplateJob, (*Server).saveTemplate},
	updateTemplate: {bindTemplateJob, (*Server).saveTemplate},
	deleteTemplate: {bindTemplateDeletion, (*Server).deleteTemplate},
}

// bindJob reads one job; a job without its own application takes the task's.
func bindJob(document object, taskApplication string) (job, []delivery.Finding) {
	if document == nil {
		return job{}, []delivery.Finding{{Message: "must be an object, not null"}}
	}
	j := job{document: document, application: strings.ToLower(taskApplication)}
	var err error
	if j.kind, err = document.text("type"); err != nil || j.kind == "" {
		return j, []delivery.Finding{{Pointer: "/type", Message: "is required: a job has a type, which is a string"}}
	}
	known, ok := requestJobs[j.kind]
	if !ok {
		return j, nil // accepted; it fails when it is run
	}
	var findings []delivery.Finding
	j.application, findings = known.bind(document, taskApplication)
	return j, findings
}

func bindApplicationJob(document object, taskApplication string) (string, []delivery.Finding) {
	own := strings.ToLower(taskApplication)
	var application object
	if raw, ok := document["application"]; !ok || json.Unmarshal(raw, &application) != nil || application == nil {
		return own, []delivery.Finding{{Pointer: "/application", Message: "must be an object, not " + typeOf(raw)}}
	}
	for _, key := range [...]string{"name", "email"} {
		if _, err := application.text(key); err != nil {
			return own, under("/application", delivery.FindingsOf(err))
		}
	}
	name, _ := application.text("name")
	if name == "" {
		name = taskApplication
	}
	own = strings.ToLower(name)
	switch {
	case !pipeline.IsApplicationName(name):
		return own, []delivery.Finding{{Pointer: "/application/name", Message: fmt.Sprintf("%q is not the name of an application", name)}}
	case taskApplication != "" && !strings.EqualFold(taskApplication, name):
		return own, []delivery.Finding{{Pointer: "/application/name", Message: fmt.Sprintf("is %q, but the task's application is %q", name, taskApplication)}}
	}
	return own, nil
}

func (s *Server) runJob(ctx context.Context, by delivery.Principal, j job) error {
	if known, ok := requestJobs[j.kind]; ok {
		return known.run(s, ctx, by, j)
	}
	known := slices.AppendSeq(pipeline.JobTypes(), maps.Keys(requestJobs))
	slices.Sort(known)
	known = slices.Compact(known) // some can be either
	return delivery.Errorf(delivery.Invalid, "unknown job type %q; known: %s", j.kind, strings.Join(known, ", "))
}

// upsertApplication saves the attributes over those that are stored: what the
// job does not name, or names as null, stays.
func (s *Server) upsertApplication(ctx context.Context, by delivery.Principal, j job) error {
	app, err := s.store.Application(ctx, j.application)
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		app = delivery.Application{Name: j.application, CreatedAt: s.now()}
	case err != nil:
		return err
	}
	attributes := objectOf(app.Attributes)
	for key, value := range objectOf(j.document["application"]) {
		if typeOf(value) != "null" {
			attributes[key] = value
		}
	}
	var providers []string
	if json.Unmarshal(attributes["cloudProviders"], &providers) == nil && providers != nil {
		attributes.set("cloudProviders", strings.Join(providers, ","))
	}
	attributes.set("name", app.Name)
	app.Attributes, app.UpdatedAt, app.LastModifiedBy = attributes.raw(), s.now(), by.Name
	return s.store.SaveApplication(ctx, app)
}

// deleteApplication refuses while the application has server groups or runs
// anything. An application that is gone already is no error.
func (s *Server) deleteApplication(ctx context.Context, _ delivery.Principal, j job) error {
	name := j.application
	running, err := s.store.Executions(ctx, delivery.ExecutionFilter{
		Application: name, Limit: 1,
		Statuses: []delivery.Status{delivery.StatusNotStarted, delivery.StatusRunning, delivery.StatusPaused},
	})
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return delivery.Errorf(delivery.Conflict, "Application has executions that run, for example %s", running[0].ID)
	}
	clusters, err := s.observeClusters(ctx, name, clusterFilter{anew: true})
	if err != nil {
		return err
	}
	if len(clusters) > 0 {
		return delivery.Errorf(delivery.Conflict, "Application is associated with one or more clusters")
	}
	if err := s.store.DeleteApplication(ctx, name); err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return nil
}
