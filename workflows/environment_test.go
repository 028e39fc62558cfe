package workflows

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestExpressionsOfStages: what a stage reads of those before it and of the store, and
// what its stored context says of the rest.
func TestExpressionsOfStages(t *testing.T) {
	w := newWorld(t, `{"name":"p","application":"shop","stages":[
		{"refId":"1","type":"deploy","name":"${'Dep' + 'loy'}","clusters":[`+clusterObject("good", "lb", `"strategy":"rolling"`, 2)+`]},
		{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","name":"Soak ${deployedServerGroups.size()} of ${parameters.image}","waitTime":"${deployedServerGroups.size()}","comments":"made ${nobody}",
		 "group":"${#stage('Deploy').context['deploy.server.groups']['r1'][0]} in ${deployedServerGroups[0].account} by ${#pipelineId('deploy prod')}",
		 "started":"${execution.stages.?[hasSucceeded].![name]} ${#stage('Deploy').startTime <= #currentStage().startTime} ${#applicationMetadata().email}"},
		{"refId":"3","requisiteStageRefIds":["2"],"type":"wait","name":"Broken ${1 / 0}","waitTime":"${#stage('None').status}"}]}`, calm(), v000(2))
	w.store.pipelines = map[string]delivery.Pipeline{"c-1": {ID: "c-1", Application: "shop", Name: "deploy prod"}}
	w.store.applications = map[string]delivery.Application{"shop": {Name: "shop", Attributes: json.RawMessage(`{"email":"team@example.com"}`)}}
	e := w.run(t)
	if e.Status != delivery.StatusTerminal || e.Stage("2").Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	if got := [...]string{e.Stages[0].Name, e.Stages[1].Name, e.Stages[2].Name}; got != [...]string{"Deploy", "Soak 1 of good", "Broken ${1 / 0}"} {
		t.Errorf("names %q", got)
	}
	var outputs struct {
		Groups map[string][]string `json:"deploy.server.groups"`
	}
	if err := json.Unmarshal(e.Stage("1").Outputs, &outputs); err != nil || len(outputs.Groups["r1"]) != 1 {
		t.Errorf("outputs %s: %v", e.Stage("1").Outputs, err)
	}
	type summary map[string][]struct{ Level, Description string }
	var soak, broken struct {
		Group, Comments, Started string
		WaitTime                 any
		Summary                  summary `json:"expressionEvaluationSummary"`
	}
	if err := json.Unmarshal(e.Stage("2").Context, &soak); err != nil {
		t.Fatal(err)
	}
	if want := outputs.Groups["r1"][0] + " in acct by c-1"; soak.Group != want || soak.WaitTime != 1.0 || soak.Comments != "made ${nobody}" || soak.Started != "Deploy true team@example.com" {
		t.Errorf("context is %s, want group %s", e.Stage("2").Context, want)
	}
	if s := soak.Summary["nobody"]; len(soak.Summary) != 1 || len(s) != 1 || s[0].Level != "INFO" {
		t.Errorf("summary is %v", soak.Summary)
	}
	if err := json.Unmarshal(e.Stage("3").Context, &broken); err != nil {
		t.Fatal(err)
	}
	if s := broken.Summary["#stage('None').status"]; len(s) != 1 || s[0].Level != "ERROR" || !strings.Contains(s[0].Description, "no stage with the name or id None") {
		t.Errorf("summary is %v", broken.Summary)
	}
}

// TestStageWaitsForTheStore: an answer that the store owes is no wrong expression.
func TestStageWaitsForTheStore(t *testing.T) {
	w := newWorld(t, `{"name":"p","application":"shop","stages":[{"refId":"1","type":"wait","waitTime":1,"comments":"${#pipelineId('q')}"}]}`, calm())
	w.store.pipelines = map[string]delivery.Pipeline{"c-1": {ID: "c-1", Application: "shop", Name: "q"}}
	w.store.failing = 0.5
	e := w.run(t)
	if !strings.Contains(string(e.Stage("1").Context), `"c-1"`) {
		t.Errorf("context is %s, %+v", e.Stage("1").Context, e.Stage("1").Failure)
	}
}
