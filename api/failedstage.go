package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// maxChildren is how many executions one look for failed stages reads at the most.
const maxChildren = 100

// listFailedStages answers where an execution failed: its failed stages, and in the
// place of a stage that ran another pipeline the failed stages of that one.
func (s *Server) listFailedStages(c *gin.Context) error {
	q := queryOf(c)
	id, limit, origin := q.text("executionId"), q.number("limit", 1, 1000), deckOrigin(q)
	if id == "" {
		q.refuse("executionId", "is required")
	}
	if err := q.err(); err != nil {
		return err
	}
	e, err := s.store.Execution(c.Request.Context(), delivery.ExecutionID(id))
	if err == nil && (e.Deleted || e.Type != delivery.PipelineExecution) {
		err = delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	if err != nil {
		return missing(err, pipelineNoun, id)
	}
	if err := s.authorize(principalOf(c), read, resource{e.Application}); err != nil {
		return err
	}
	walk := failureWalk{server: s, by: principalOf(c), origin: origin, limit: limit, seen: map[delivery.ExecutionID]bool{}, out: []v1.FailedStage{}}
	if err := walk.visit(c.Request.Context(), e, nil); err != nil {
		return err
	}
	return render(c, http.StatusOK, walk.out)
}

// deckOrigin is where the links point; empty for paths of the API.
func deckOrigin(q *query) string {
	text := q.text("deckOrigin")
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		q.refuse("deckOrigin", "must be the origin of a web page, such as https://spinnaker.example.com")
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// failureWalk goes from an execution into those that its stages started.
type failureWalk struct {
	server *Server
	by     delivery.Principal
	origin string
	limit  int
	seen   map[delivery.ExecutionID]bool
	out    []v1.FailedStage
}

func (w *failureWalk) visit(ctx context.Context, e delivery.Execution, parent *delivery.Execution) error {
	w.seen[e.ID] = true
	for _, stage := range e.Stages {
		if len(w.out) >= w.limit {
			return nil
		}
		if !failed(stage) {
			continue
		}
		child, err := w.child(ctx, stage)
		if err != nil {
			return err
		}
		before := len(w.out)
		if child != nil && !w.seen[child.ID] && len(w.seen) < maxChildren {
			if err := w.visit(ctx, *child, &e); err != nil {
				return err
			}
		}
		if len(w.out) == before { // the failure is the stage's own, as far as can be told
			w.out = append(w.out, w.present(e, stage, parent, child))
		}
	}
	return nil
}

func failed(s delivery.Stage) bool {
	return s.Status == delivery.StatusTerminal || s.Status == delivery.StatusFailedContinue || s.Status == delivery.StatusStopped
}

// child returns the execution that a stage started; nil for none, and for one that
// is gone or that the caller may not see.
func (w *failureWalk) child(ctx context.Context, stage delivery.Stage) (*delivery.Execution, error) {
	id := startedBy(stage)
	if id == "" {
		return nil, nil
	}
	e, err := w.server.store.Execution(ctx, id)
	if delivery.KindOf(err) == delivery.NotFound || err == nil && (e.Deleted || w.server.authorize(w.by, read, resource{e.Application}) != nil) {
		return nil, nil
	}
	return &e, err
}

// startedBy is the execution that a stage of type pipeline started.
func startedBy(stage delivery.Stage) delivery.ExecutionID {
	if stage.Type != "pipeline" {
		return ""
	}
	for _, document := range [...]json.RawMessage{stage.Outputs, stage.Context} {
		if id, err := objectOf(document).text("executionId"); err == nil && id != "" {
			return delivery.ExecutionID(id)
		}
	}
	return ""
}

func (w *failureWalk) present(e delivery.Execution, stage delivery.Stage, parent, child *delivery.Execution) v1.FailedStage {
	out := v1.FailedStage{
		PipelineExecutionID: string(e.ID), PipelineExecutionName: e.Name, PipelineApplication: e.Application, PipelineExecutionURL: w.link(e),
		StageID: stage.ID, StageName: stage.Name, StageType: stage.Type, StageStatus: string(stage.Status),
	}
	if stage.Failure != nil {
		out.StageException = stage.Failure.Error()
	}
	if parent != nil {
		out.ParentPipelineExecutionID, out.ParentPipelineExecutionName = string(parent.ID), parent.Name
		out.ParentPipelineApplication, out.ParentPipelineExecutionURL = parent.Application, w.link(*parent)
	}
	if child != nil {
		out.ChildPipelineExecutionID, out.ChildPipelineExecutionName = string(child.ID), child.Name
		out.ChildPipelineApplication, out.ChildPipelineExecutionURL = child.Application, w.link(*child)
	}
	return out
}

func (w *failureWalk) link(e delivery.Execution) string {
	if w.origin == "" {
		return "/pipelines/" + string(e.ID)
	}
	return w.origin + "/#/applications/" + url.PathEscape(e.Application) + "/executions/details/" + string(e.ID)
}
