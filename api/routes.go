package api

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// eventsPath is the one route that streams.
const eventsPath = "/executions/:id/events"

// route is one row of the table.
type route struct {
	method string
	path   string
	access access
	handle func(s *Server, c *gin.Context) error
}

// routes is the one table of routes. A row without an access rule fails a test
// and is refused at run time.
var routes = append(emptyRoutes(), []route{
	{http.MethodGet, "/version", access{public, platform}, (*Server).getVersion},
	{http.MethodGet, "/health", access{public, platform}, (*Server).getHealth},
	{http.MethodGet, "/openapi.yaml", access{public, platform}, (*Server).getOpenAPI},
	{http.MethodGet, "/auth/user", access{public, platform}, (*Server).getUser},
	{http.MethodGet, "/auth/rawUser", access{public, platform}, (*Server).getUser},
	{http.MethodGet, "/auth/loggedOut", access{public, platform}, (*Server).getLoggedOut},
	{http.MethodPut, "/admin/executions/forceCancel", access{execute, ofObject}, (*Server).forceCancelExecution},
	{http.MethodGet, "/capabilities/expressions", access{read, platform}, (*Server).getExpressionCapabilities},
	{http.MethodGet, "/capabilities/quietPeriod", access{read, platform}, (*Server).getQuietPeriod},
	{http.MethodGet, "/search", access{read, ofObject}, (*Server).search},

	{http.MethodGet, "/credentials", access{read, platform}, (*Server).listAccounts},
	{http.MethodGet, "/credentials/:account", access{read, platform}, (*Server).getAccount},

	{http.MethodGet, "/applications", access{read, platform}, (*Server).listApplications},
	{http.MethodGet, "/applications/:app", access{read, ofPath}, (*Server).getApplication},
	{http.MethodGet, "/applications/:app/history", access{read, ofPath}, (*Server).getApplicationHistory},
	{http.MethodGet, "/applications/:app/pipelines", access{read, ofPath}, (*Server).listApplicationExecutions},
	{http.MethodPut, "/applications/:app/pipelines/:id/cancel", access{execute, ofObject}, (*Server).cancelOneOfAll},
	{http.MethodGet, "/applications/:app/pipelineConfigs", access{read, ofPath}, (*Server).listApplicationPipelines},
	{http.MethodGet, "/applications/:app/pipelineConfigs/:pipeline", access{read, ofPath}, (*Server).getPipeline},
	{http.MethodGet, "/applications/:app/strategyConfigs", access{read, ofPath}, (*Server).listApplicationStrategies},
	{http.MethodGet, "/applications/:app/strategyConfigs/:strategy", access{read, ofPath}, (*Server).getStrategy},
	{http.MethodGet, "/applications/:app/tasks", access{read, ofPath}, (*Server).listApplicationTasks},
	{http.MethodPost, "/applications/:app/tasks", access{write, ofPath}, (*Server).createApplicationTask},
	{http.MethodGet, "/applications/:app/tasks/:id", access{read, ofObject}, (*Server).getTask},
	{http.MethodPut, "/applications/:app/tasks/:id/cancel", access{execute, ofObject}, (*Server).cancelExecution},
	{http.MethodGet, "/applications/:app/executions/search", access{read, ofObject}, (*Server).searchExecutions},
	{http.MethodGet, "/applications/:app/clusters", access{read, ofPath}, (*Server).listClusters},
	{http.MethodGet, "/applications/:app/clusters/:account", access{read, ofPath}, (*Server).listAccountClusters},
	{http.MethodGet, "/applications/:app/clusters/:account/:cluster", access{read, ofPath}, (*Server).getCluster},
	{http.MethodGet, "/applications/:app/clusters/:account/:cluster/serverGroups", access{read, ofPath}, (*Server).listClusterServerGroups},
	{http.MethodGet, "/applications/:app/clusters/:account/:cluster/serverGroups/:serverGroup", access{read, ofPath}, (*Server).getClusterServerGroup},
	{http.MethodGet, "/applications/:app/clusters/:account/:cluster/:cloudProvider/loadBalancers", access{read, ofPath}, (*Server).listClusterLoadBalancers},
	{http.MethodGet, "/applications/:app/clusters/:account/:cluster/:cloudProvider/:scope/serverGroups/target/:target", access{read, ofPath}, (*Server).getTargetServerGroup},
	{http.MethodPost, "/applications/:app/clusters/:account/:cluster/rollback", access{execute, ofPath}, (*Server).rollBackCluster},
	{http.MethodPost, "/applications/:app/clusters/:account/:cluster/rollback/plan", access{read, ofPath}, (*Server).planRollback},
	{http.MethodGet, "/applications/:app/serverGroups", access{read, ofPath}, (*Server).listServerGroups},
	{http.MethodGet, "/applications/:app/serverGroups/:account/:region/:serverGroup", access{read, ofPath}, (*Server).getServerGroup},
	{http.MethodGet, "/applications/:app/loadBalancers", access{read, ofPath}, (*Server).listLoadBalancers},
	{http.MethodGet, "/serverGroups", access{read, ofObject}, (*Server).searchServerGroups},
	{http.MethodGet, "/loadBalancers", access{read, ofObject}, (*Server).listNamedLoadBalancers},
	{http.MethodGet, "/loadBalancers/:name", access{read, ofObject}, (*Server).getNamedLoadBalancer},
	{http.MethodGet, "/loadBalancers/:account/:region/:name", access{read, ofObject}, (*Server).getLoadBalancer},
	{http.MethodGet, "/instances/:account/:region/:instance", access{read, ofObject}, (*Server).getInstance},
	{http.MethodGet, "/images/find", access{read, platform}, (*Server).findImages},
	{http.MethodGet, "/images/:account/:region/:image", access{read, platform}, (*Server).getImage},

	{http.MethodGet, "/cron/validate", access{read, platform}, (*Server).validateCron},

	{http.MethodPost, "/webhooks/:type/:source", access{event, platform}, (*Server).receiveWebhook},

	{http.MethodPost, "/tasks", access{write, ofObject}, (*Server).createTask},
	{http.MethodPost, "/tasks/plan", access{read, ofObject}, (*Server).planTask},
	{http.MethodGet, "/tasks/:id", access{read, ofObject}, (*Server).getTask},
	{http.MethodDelete, "/tasks/:id", access{write, ofObject}, (*Server).deleteExecution},
	{http.MethodGet, "/tasks/:id/details/:taskDetailsId", access{read, ofObject}, (*Server).getTaskDetail},
	{http.MethodPut, "/tasks/cancel", access{execute, ofObject}, (*Server).cancelTasks},
	{http.MethodPut, "/tasks/:id/cancel", access{execute, ofObject}, (*Server).cancelExecution},
	{http.MethodPut, "/tasks/:id/pause", access{execute, ofObject}, (*Server).pauseExecution},
	{http.MethodPut, "/tasks/:id/resume", access{execute, ofObject}, (*Server).resumeExecution},
	{http.MethodPut, "/tasks/:id/advance", access{execute, ofObject}, (*Server).advanceExecution},
	{http.MethodPut, "/tasks/:id/promote", access{execute, ofObject}, (*Server).promoteExecution},

	{http.MethodGet, "/pipelineConfigs", access{read, platform}, (*Server).listPipelines},
	{http.MethodGet, "/pipelineConfigs/:id/history", access{read, ofObject}, (*Server).getPipelineHistory},
	{http.MethodPost, "/pipelineConfigs/:id/restore", access{write, ofObject}, (*Server).restorePipeline},
	{http.MethodGet, "/pipelineConfigs/:id/convertToTemplate", access{read, ofObject}, (*Server).convertToTemplate},
	{http.MethodPost, "/pipelines/validate", access{read, ofObject}, (*Server).validatePipeline},
	{http.MethodPost, "/pipelines/start", access{read, ofObject}, (*Server).startOrPlan},
	{http.MethodPost, "/pipelines/bulksave", access{write, ofObject}, (*Server).bulkSavePipelines},
	{http.MethodPost, "/actions/pipelines/reorder", access{write, ofObject}, (*Server).reorderApplicationPipelines},
	{http.MethodPost, "/actions/strategies/reorder", access{write, ofObject}, (*Server).reorderApplicationStrategies},
	{http.MethodPost, "/pipelines", access{write, ofObject}, (*Server).savePipeline},
	{http.MethodPut, "/pipelines/:id", access{write, ofObject}, (*Server).replacePipeline},
	{http.MethodDelete, "/pipelines/:app/:pipeline", access{write, ofPath}, (*Server).deletePipeline},
	{http.MethodPost, "/pipelines/:app/:pipeline", access{execute, ofPath}, (*Server).startPipeline},
	{http.MethodPost, "/pipelines/v2/:app/:pipeline", access{execute, ofPath}, (*Server).startPipelineEvent},
	{http.MethodPost, "/applications/:app/pipelineConfigs/:pipeline", access{execute, ofPath}, (*Server).startPipeline},
	{http.MethodPost, "/pipelines/:app/:pipeline/plan", access{read, ofPath}, (*Server).planPipeline},

	{http.MethodGet, "/strategyConfigs", access{read, platform}, (*Server).listStrategies},
	{http.MethodGet, "/strategyConfigs/:id/history", access{read, ofObject}, (*Server).getStrategyHistory},
	{http.MethodPost, "/strategies", access{write, ofObject}, (*Server).saveStrategy},
	{http.MethodPost, "/strategies/move", access{write, ofObject}, (*Server).moveStrategy},
	{http.MethodPut, "/strategies/:id", access{write, ofObject}, (*Server).replaceStrategy},
	{http.MethodDelete, "/strategies/:app/:strategy", access{write, ofPath}, (*Server).deleteStrategy},

	{http.MethodGet, "/v2/pipelineTemplates", access{read, platform}, (*Server).listTemplates},
	{http.MethodGet, "/v2/pipelineTemplates/versions", access{read, platform}, (*Server).listTemplateVersions},
	{http.MethodPost, "/v2/pipelineTemplates/create", access{write, platform}, (*Server).createTemplateVersion},
	{http.MethodPost, "/v2/pipelineTemplates/update/:id", access{write, platform}, (*Server).updateTemplateVersion},
	{http.MethodPost, "/v2/pipelineTemplates/plan", access{read, platform}, (*Server).planTemplate},
	{http.MethodGet, "/v2/pipelineTemplates/:id", access{read, platform}, (*Server).getTemplate},
	{http.MethodDelete, "/v2/pipelineTemplates/:id", access{write, platform}, (*Server).deleteTemplateVersion},
	{http.MethodGet, "/v2/pipelineTemplates/:id/dependents", access{read, platform}, (*Server).listTemplateDependents},

	{http.MethodGet, "/v2/canaryConfig", access{read, platform}, (*Server).listCanaryConfigs},
	{http.MethodPost, "/v2/canaryConfig", access{write, ofObject}, (*Server).createCanaryConfig},
	{http.MethodGet, "/v2/canaryConfig/:id", access{read, ofObject}, (*Server).getCanaryConfig},
	{http.MethodPut, "/v2/canaryConfig/:id", access{write, ofObject}, (*Server).replaceCanaryConfig},
	{http.MethodDelete, "/v2/canaryConfig/:id", access{write, ofObject}, (*Server).deleteCanaryConfig},

	{http.MethodGet, "/projects", access{read, platform}, (*Server).listProjects},
	{http.MethodGet, "/projects/:project", access{read, platform}, (*Server).getProject},
	{http.MethodGet, "/projects/:project/pipelines", access{read, ofObject}, (*Server).listProjectPipelines},
	{http.MethodGet, "/projects/:project/clusters", access{read, ofObject}, (*Server).listProjectClusters},

	{http.MethodGet, "/notifications/metadata", access{read, platform}, (*Server).listNotificationTypes},
	{http.MethodGet, "/notifications/:type/:app", access{read, ofPath}, (*Server).getNotifications},
	{http.MethodPost, "/notifications/:type/:app", access{write, ofPath}, (*Server).saveNotifications},
	{http.MethodDelete, "/notifications/:type/:app", access{write, ofPath}, (*Server).deleteNotifications},

	{http.MethodGet, "/pipelines/:id", access{read, ofObject}, (*Server).getExecution},
	{http.MethodDelete, "/pipelines/:id", access{write, ofObject}, (*Server).deleteExecution},
	{http.MethodPut, "/pipelines/:id/cancel", access{execute, ofObject}, (*Server).cancelExecution},
	{http.MethodPut, "/pipelines/:id/pause", access{execute, ofObject}, (*Server).pauseExecution},
	{http.MethodPut, "/pipelines/:id/advance", access{execute, ofObject}, (*Server).advanceExecution},
	{http.MethodPut, "/pipelines/:id/promote", access{execute, ofObject}, (*Server).promoteExecution},
	{http.MethodPatch, "/pipelines/:id/stages/:stage", access{execute, ofObject}, (*Server).updateStage},
	{http.MethodPut, "/pipelines/:id/stages/:stage/restart", access{execute, ofObject}, (*Server).restartStage},
	{http.MethodPut, "/pipelines/:id/resume", access{execute, ofObject}, (*Server).resumeExecution},
	{http.MethodGet, "/pipelines/:id/evaluateExpression", access{read, ofObject}, (*Server).evaluateExpression},
	{http.MethodPost, "/pipelines/:id/evaluateExpression", access{read, ofObject}, (*Server).evaluateExpression},
	{http.MethodGet, "/pipelines/:id/:stage/evaluateExpression", access{read, ofObject}, (*Server).evaluateExpression},
	{http.MethodPost, "/pipelines/:id/evaluateVariables", access{read, ofObject}, (*Server).evaluateVariables},
	{http.MethodGet, "/executions", access{read, ofObject}, (*Server).listExecutions},
	{http.MethodGet, "/executions/failedStages", access{read, ofObject}, (*Server).listFailedStages},
	{http.MethodGet, eventsPath, access{read, ofObject}, (*Server).streamEvents},
	{http.MethodGet, "/executions/:id/deployments", access{read, ofObject}, (*Server).listDeployments},
}...)

// newRouter builds the gin engine from the table. Path parameters are matched
// escaped, so that a name may hold an escaped slash, and a doubled slash counts
// as one: both is what Spinnaker's clients send.
func (s *Server) newRouter() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // else gin prints every route to stdout
	r := gin.New()
	r.UseEscapedPath = true
	r.UnescapePathValues = false // param does it; gin would turn a plus into a space
	r.RemoveExtraSlash = true
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleMethodNotAllowed = true
	r.ContextWithFallback = false
	r.ForwardedByClientIP = false // trusts no proxy
	r.Use(identify, s.observe, s.rescue, s.guardBrowsers())
	r.NoRoute(s.noRoute)
	r.NoMethod(s.noMethod)
	names := parameterNames{}
	for _, row := range routes {
		r.Handle(row.method, names.shared(row), renamed(row, s.call(row)))
		if head := row; row.method == http.MethodGet && row.path != eventsPath {
			head.method = http.MethodHead // net/http leaves out the body
			r.Handle(head.method, names.shared(head), renamed(row, s.call(row)))
		}
	}
	return r
}

// parameterNames are the names of path parameters by method and what comes before
// them. gin wants one name for each place: /pipelines/:id/evaluateVariables and
// /pipelines/:app/:pipeline cannot stand side by side.
type parameterNames map[string]string

// shared is the row's path with the name that each parameter has in the first row
// that has one in its place.
func (p parameterNames) shared(row route) string {
	segments := strings.Split(row.path, "/")
	for i, segment := range segments {
		if !strings.HasPrefix(segment, ":") {
			continue
		}
		at := row.method + " " + strings.Join(segments[:i], "/")
		if _, ok := p[at]; !ok {
			p[at] = segment
		}
		segments[i] = p[at]
	}
	return strings.Join(segments, "/")
}

// renamed gives the parameters the names that the row has for them.
func renamed(row route, handle gin.HandlerFunc) gin.HandlerFunc {
	var names []string
	for segment := range strings.SplitSeq(row.path, "/") {
		if name, ok := strings.CutPrefix(segment, ":"); ok {
			names = append(names, name)
		}
	}
	return func(c *gin.Context) {
		for i := range c.Params {
			c.Params[i].Key = names[i]
		}
		handle(c)
	}
}
