package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// The paths of features that Slipway does not have. Spinnaker's clients ask for
// them when they start and take "there is none" for an answer, but not 404.
var (
	emptyLists = []string{
		"/applications/:app/functions", "/applications/:app/rawResources", "/applications/:app/serverGroupManagers",
		"/artifactory/names", "/artifacts/credentials", "/auth/user/serviceAccounts",
		"/bakery/options", "/bakery/options/:provider", "/capabilities/deploymentMonitors", "/certificates", "/certificates/:provider", "/ci/builds",
		"/codebuild/accounts", "/codebuild/projects/:account",
		"/concourse/:master/teams", "/concourse/:master/teams/:team/pipelines",
		"/concourse/:master/teams/:team/pipelines/:pipeline/jobs", "/concourse/:master/teams/:team/pipelines/:pipeline/resources",
		"/ecs/cloudMetrics/alarms", "/ecs/ecsClusters", "/ecs/secrets", "/ecs/serviceDiscoveryRegistries",
		"/functions", "/gcb/accounts", "/gcb/triggers/:account", "/images/tags", "/instanceTypes", "/jobs/preconfigured", "/keyPairs",
		"/networks", "/networks/:provider", "/nexus/names", "/pagerDuty/oncalls", "/pagerDuty/services", "/pipelineTemplates", "/plugins/deck/plugin-manifest.json",
		"/pubsub/subscriptions", "/roles/:provider", "/slack/channels", "/storage", "/subnets", "/subnets/:provider", "/tags",
		"/v2/builds", "/v2/canaries/:app/executions", "/v2/canaries/credentials", "/v2/canaries/judges", "/v2/canaries/metadata/metricsService",
		"/v3/builds/:master/builds", "/v3/builds/:master/jobs", "/vpcs", "/webhooks/preconfigured",
	}
	emptyMaps = []string{
		"/firewalls", "/firewalls/:account", "/firewalls/:account/:region/:name",
		"/securityGroups", "/securityGroups/:account", "/securityGroups/:account/:region/:name",
	}
)

// emptyRoutes are the rows of both tables.
func emptyRoutes() []route {
	var out []route
	add := func(paths []string, value string) {
		for _, path := range paths {
			rule := access{read, platform}
			if strings.HasPrefix(path, "/plugins/deck/") {
				rule.action = public // the page reads it before anybody has logged in
			}
			if strings.Contains(path, "/:app/") {
				rule.scope = ofPath
			}
			out = append(out, route{http.MethodGet, path, rule, func(_ *Server, c *gin.Context) error {
				return render(c, http.StatusOK, json.RawMessage(value))
			}})
		}
	}
	add(emptyLists, `[]`)
	add(emptyMaps, `{}`)
	return out
}
