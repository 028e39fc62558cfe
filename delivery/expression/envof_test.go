package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// released is an execution whose third stage begins.
func released() delivery.Execution {
	at := time.UnixMilli(1_795_000_000_000).UTC()
	return delivery.Execution{
		ID: "01JD", Type: delivery.PipelineExecution, Application: "storefront", Name: "deploy", PipelineConfigID: "c", Status: delivery.StatusRunning,
		BuildTime: at, StartTime: at,
		Trigger: delivery.Trigger{Type: "manual", User: "joe", Parameters: json.RawMessage(`{"v":"1"}`), Document: json.RawMessage(`{"tag":"v7","artifacts":null,"user":"forged"}`)},
		Stages: []delivery.Stage{
			{ID: "s1", RefID: "1", Type: "deploy", Name: "Deploy", Status: delivery.StatusSucceeded, StartTime: at, EndTime: at.Add(time.Second),
				Context: json.RawMessage(`{"clusters":[{"account":"aws-a","capacity":{"desired":1},"availabilityZones":{"us-east-1":[]}},{"account":"gcp-b","capacity":{"desired":2},"region":"us-central1"}]}`),
				Outputs: json.RawMessage(`{"deploy.server.groups":{"us-central1":["b-v001"],"us-east-1":["a-v001"]},"version":"far",
					"deployments":[{"account":"aws-a","region":"us-east-1","serverGroup":"a-v001"},{"account":"gcp-b","region":"us-central1","serverGroup":"b-v001"}]}`)},
			{ID: "s2", RefID: "2", Type: "wait", Name: "Soak", Status: delivery.StatusTerminal, RequisiteStageRefIDs: []string{"1"}, Outputs: json.RawMessage(`{"version":"near"}`),
				Failure: &delivery.Failure{Kind: "timeout", Message: "too slow", Findings: []delivery.Finding{{Pointer: "/waitTime", Message: "is long"}}}},
			{ID: "s3", RefID: "3", Type: "deploy", Name: "Next", Status: delivery.StatusRunning, RequisiteStageRefIDs: []string{"2"}},
			{ID: "s4", RefID: "4", Type: "wait", Name: "Aside", Status: delivery.StatusSucceeded, Outputs: json.RawMessage(`{"aside":1}`)},
		},
	}
}

func TestEnvOfATemplate(t *testing.T) {
	e := released()
	e.TemplateVariables = json.RawMessage(`{"image":"v${parameters.v}"}`)
	for _, env := range []Env{EnvOf(e, nil, "3", time.UnixMilli(1)), EnvBefore(e)} {
		if got, err := Evaluate(json.RawMessage(`"${templateVariables.image}"`), env); err != nil || string(got) != `"v1"` {
			t.Errorf("%s, %v", got, err)
		}
	}
}

func TestEnvOf(t *testing.T) {
	for text, want := range map[string]string{
		`version`:                                                          `"near"`,
		`aside ?: 'no ancestor'`:                                           `"no ancestor"`,
		`execution.startTime`:                                              `1795000000000`,
		`execution.endTime ?: 'runs'`:                                      `"runs"`,
		`execution.authentication.user`:                                    `"joe"`,
		`execution.trigger.parameters.v`:                                   `"1"`,
		`trigger.tag + trigger.user`:                                       `"v7joe"`,
		`trigger.artifacts.size()`:                                         `0`,
		`execution.stages.?[hasSucceeded].![name]`:                         `["Deploy","Aside"]`,
		`execution.stages.^[hasFailed].name`:                               `"Soak"`,
		`#stage('Soak').context.exception.details.errors`:                  `["too slow","/waitTime: is long"]`,
		`#stage('Deploy').context['deploy.server.groups']['us-east-1'][0]`: `"a-v001"`,
		`#stage('Deploy').endTime - #stage('Deploy').startTime`:            `1000`,
		`#currentStage().name`:                                             `"Next"`,
		`deployedServerGroups.![account + '/' + serverGroup + '/' + capacity.desired]`: `["gcp-b/b-v001/2","aws-a/a-v001/1"]`,
		`#deployedServerGroups('Soak').isEmpty()`:                                      `true`,
		`new java.util.Date().getTime()`:                                               `1795000009000`,
		`T(java.util.UUID).randomUUID().toString().length()`:                           `36`,
	} {
		document, err := json.Marshal("${" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Evaluate(document, EnvOf(released(), nil, "3", time.UnixMilli(1_795_000_009_000)))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}

// TestParentExecutions: the parent is whole while it is there; what comes before it is
// as its trigger tells.
func TestParentExecutions(t *testing.T) {
	child := delivery.Execution{ID: "01JE", Trigger: delivery.Trigger{Type: "pipeline", ParentExecution: "01JD",
		Document: json.RawMessage(`{"parentPipelineName":"deploy","parentStatus":"SUCCEEDED","parentExecution":"forged"}`)}}
	parent, first := released(), released()
	parent.Trigger.ParentExecution, first.ID, first.Name = "01JC", "01JC", "first"
	for text, want := range map[string][2]string{
		`trigger.parentExecution.id`:                                                      {`"01JD"`, `"01JD"`},
		`trigger.parentExecution.name`:                                                    {`"deploy"`, `"deploy"`},
		`trigger.parentExecution.stages.![name].size()`:                                   {`4`, `0`},
		`trigger.parentExecution.trigger.parameters.v`:                                    {`"1"`, ``},
		`trigger['parentExecution']['stages'].?[name == 'Soak'][0]['outputs']['version']`: {`"near"`, ``},
		`trigger.parentExecution.trigger.parentExecution.id`:                              {`"01JC"`, ``},
		`trigger.parentExecution.trigger.parentExecution.name + trigger.parentExecution.trigger.parentExecution.stages.size()`: {`"first0"`, ``},
		`execution.trigger.parentExecution.id`: {`"01JD"`, `"01JD"`},
	} {
		document, err := json.Marshal("${" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		for i, known := range [][]delivery.Execution{{parent, first}, nil} {
			if got, err := Evaluate(document, EnvOf(child, known, "", time.UnixMilli(1))); string(got) != want[i] {
				t.Errorf("%s: %s, %v, want %s", text, got, err, want[i])
			}
		}
	}
}

// What is the same before the start and in the run is evaluated before the start;
// nothing else is.
// TestEnvAtStart: no stage comes before, so that what is unknown is nothing, and the
// time is known; how the execution goes is not.
func TestEnvAtStart(t *testing.T) {
	e := released()
	for text, want := range map[string]string{
		`parameters.v`:                   `"1"`,
		`trigger.tag`:                    `"v7"`,
		`trigger.nothing ?: 'latest'`:    `"latest"`,
		`nothing ?: 'latest'`:            `"latest"`,
		`execution.id`:                   `"` + string(e.ID) + `"`,
		`new java.util.Date().getTime()`: fmt.Sprint(e.BuildTime.UnixMilli()),
		`T(java.util.UUID).randomUUID().toString().length()`: `36`,
	} {
		if got, err := Evaluate(json.RawMessage(`"${`+text+`}"`), EnvAtStart(e, nil)); err != nil || string(got) != want {
			t.Errorf("%s = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`execution.status`, `execution.stages.size()`, `#stage('Deploy').status`, `nothing`, `#fromUrl('http://127.0.0.1')`} {
		if got, err := Evaluate(json.RawMessage(`"${`+text+`}"`), EnvAtStart(e, nil)); err == nil {
			t.Errorf("%s is %s at the start", text, got)
		}
	}
	parent := delivery.Execution{ID: "above", Stages: []delivery.Stage{{Name: "Bake", Outputs: json.RawMessage(`{"ami":"a1"}`)}}}
	e.Trigger.ParentExecution = parent.ID
	got, err := Evaluate(json.RawMessage(`"${trigger.parentExecution.stages.^[name == 'Bake'].outputs.ami}"`), EnvAtStart(e, []delivery.Execution{parent}))
	if err != nil || string(got) != `"a1"` {
		t.Errorf("the parent's output is %s, %v", got, err)
	}
}

func TestEnvBefore(t *testing.T) {
	before, later := EnvBefore(released()), EnvOf(released(), nil, "3", time.UnixMilli(1))
	for _, text := range []string{`parameters.v`, `trigger.tag`, `trigger.user`, `execution.id`, `execution.name`, `execution.application`, `execution.buildTime`,
		`trigger.buildInfo ?: 'none'`, `trigger.resolvedExpectedArtifacts`, `#currentUser()`} {
		document := json.RawMessage(`"${` + text + `}"`)
		planned, err := Evaluate(document, before)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := Evaluate(document, later); err != nil || string(got) != string(planned) {
			t.Errorf("%s: planned %s, runs as %s, %v", text, planned, got, err)
		}
	}
	for _, text := range []string{`version`, `version ?: 'none'`, `version == null`, `execution.status`, `execution.stages.size()`, `#stageExists('Deploy')`, `#stage('Deploy').status`,
		`deployedServerGroups.size()`, `#deployedServerGroups().isEmpty()`, `new java.util.Date()`, `T(java.util.UUID).randomUUID()`, `#pipelineIdOrNull('x') ?: 'none'`} {
		if got, err := Evaluate(json.RawMessage(`"${`+text+`}"`), before); err == nil {
			t.Errorf("%s: is %s before the stage begins", text, got)
		}
	}
}

func stageSpec(raw string) pipeline.StageSpec {
	spec := pipeline.StageSpec{RefID: "3", Raw: json.RawMessage(raw)}
	var named struct{ Type string }
	if err := json.Unmarshal(spec.Raw, &named); err != nil {
		panic(err)
	}
	spec.Type = named.Type
	return spec
}

// TestStageLeavesInPlace: which fields of which types may keep what was not evaluated.
func TestStageLeavesInPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		stage   string
		want    string
		refused []string
	}{
		"text for people": {`{"type":"deploy","comments":"${none}","notifications":[{"message":"${1 / 0}"}],"a":"${parameters.v}"}`,
			`{"a":"1","comments":"${none}","notifications":[{"message":"${1 / 0}"}]}`, nil},
		"a deployment":            {`{"type":"deploy","clusters":[{"amiName":"${none}"}],"comments":"${none}"}`, ``, []string{"/clusters/0/amiName"}},
		"an operation":            {`{"type":"resizeServerGroup","cluster":"${parameters.absent}"}`, ``, []string{"/cluster"}},
		"a webhook":               {`{"type":"webhook","payload":{"${none}":"${none}"},"url":"http://x/${parameters.v}"}`, `{"payload":{"${none}":"${none}"},"url":"http://x/1"}`, nil},
		"whom a webhook calls":    {`{"type":"webhook","url":"http://x/${none}"}`, ``, []string{"/url"}},
		"a judgment":              {`{"type":"manualJudgment","instructions":"${none}"}`, `{"instructions":"${none}"}`, nil},
		"a child's parameters":    {`{"type":"pipeline","pipelineParameters":{"image":"${none}"}}`, ``, []string{"/pipelineParameters/image"}},
		"failing when it is told": {`{"type":"webhook","payload":"${none}","comments":"${1 / 0}","failOnFailedExpressions":true}`, ``, []string{"/comments", "/payload"}},
	} {
		context, err := Stage(stageSpec(tt.stage), EnvOf(released(), nil, "3", time.UnixMilli(7)))
		var refused []string
		for _, f := range delivery.FindingsOf(err) {
			refused = append(refused, f.Pointer)
		}
		if diff := cmp.Diff(tt.refused, refused); diff != "" {
			t.Errorf("%s: refused (-want +got):\n%s", name, diff)
		}
		fields := objectOf(context)
		var summary pipeline.EvaluationSummary
		if err := json.Unmarshal(fields["expressionEvaluationSummary"], &summary); err != nil || len(summary) == 0 {
			t.Errorf("%s: %s has no summary: %v", name, context, err)
		}
		delete(fields, "expressionEvaluationSummary")
		if got := string(encoded(fields)); tt.want != "" && got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	context, err := Stage(stageSpec(`{"type":"deploy","a":"${parameters.v}","b":"${a}"}`), EnvOf(released(), nil, "3", time.UnixMilli(7)))
	if delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("a field that is an expression itself: %s, %v", context, err)
	}
}

// What is certain to fail before the start is what fails in the run too, and no more.
func TestHopeless(t *testing.T) {
	before := EnvBefore(released())
	before.Partial = false
	for text, hopeless := range map[string]bool{
		`parameters.absent`: true, `nobody`: true, `1 / 0`: true, `parameters.absent.x`: true, `trigger.payload.x`: true, `execution.nobody.x`: false,
		`parameters.v`: false, `new java.util.Date()`: false, `T(java.util.UUID).randomUUID()`: false, `#stage('Deploy').status`: false, `execution.status`: false,
		`execution.startTime ?: 1`: false, `deployedServerGroups[9].region`: false, `#pipelineId('x')`: false, `#currentStage().name`: false,
	} {
		spec := stageSpec(`{"type":"deploy","comments":"${nobody}","a":"${` + text + `}"}`)
		if got := Hopeless(spec, before); (len(got) > 0) != hopeless {
			t.Errorf("%s: %v, hopeless %v", text, got, hopeless)
		}
		later := before
		later.Partial = true
		if got := Hopeless(spec, later); len(got) > 0 {
			t.Errorf("%s after another stage: %v", text, got)
		}
	}
}

// A stage whose expressions go beyond the bounds fails, whichever field it is in, and
// says so once.
func TestStageBeyondTheBounds(t *testing.T) {
	big := fmt.Sprintf(`{"type":"webhook","comments":"${{%s1}.![{%s1}.![#root.parameters.v.matches('(1{90}){1,9}')]]}","payload":["${parameters.v}","${none}"]}`,
		strings.Repeat("1,", 300), strings.Repeat("1,", 400))
	context, err := Stage(stageSpec(big), EnvOf(released(), nil, "3", time.UnixMilli(7)))
	findings := delivery.FindingsOf(err)
	if len(findings) != 1 || findings[0].Pointer != "/comments" || !strings.Contains(findings[0].Message, "100000 steps") {
		t.Errorf("findings are %v", findings)
	}
	if fields := objectOf(context); !strings.Contains(string(fields["payload"]), "${parameters.v}") || fields["expressionEvaluationSummary"] == nil {
		t.Errorf("context is %.200s", context)
	}
}

func TestVariables(t *testing.T) {
	list := []Variable{
		{Key: "a", Value: json.RawMessage(`"${1 + 1}"`)},
		{Key: "version", Value: json.RawMessage(`"${a * 2}"`), Description: "uses a"},
		{Key: "all", Value: json.RawMessage(`{"x":["${version}","${none}"]}`)},
		{Key: "later", Value: json.RawMessage(`"${all ?: version}"`)},
	}
	got, problems := Variables(list, EnvOf(released(), nil, "3", time.UnixMilli(7)))
	want := []EvaluatedVariable{
		{Key: "a", Value: json.RawMessage(`2`), SourceValue: list[0].Value},
		{Key: "version", Value: json.RawMessage(`4`), SourceValue: list[1].Value, Description: "uses a"},
		{Key: "all", Value: json.RawMessage(`{"x":[4,"${none}"]}`), SourceValue: list[2].Value},
		{Key: "later", Value: json.RawMessage(`4`), SourceValue: list[3].Value},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if len(problems) != 1 || problems[0].Pointer != "/2/value/x/1" || !problems[0].Absent {
		t.Errorf("problems are %v", problems)
	}
}

// A document's evaluation ends when its time is over, whatever it has to do.
func TestDeadline(t *testing.T) {
	r := newRun(shapesEnv())
	r.until = time.Now().Add(-time.Second)
	if _, problems := r.document(json.RawMessage(`["${1}"]`)); len(problems) != 1 || problems[0].Message != "${1}: the document's expressions take longer than 5s" {
		t.Errorf("problems are %v", problems)
	}
	r.until = time.Now().Add(5 * time.Millisecond)
	node, err := parse(`execution.stages.![#root.execution.stages.![#root.execution.stages.![#root.execution.stages.![#root.execution.stages.![#root.execution.stages.![name]]]]]]`)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		r.steps = 0 // the other bounds do not help
		r.produced = 0
		_, err = r.eval(node)
	}
	if err.Error() != "the document's expressions take longer than 5s" {
		t.Errorf("error is %v", err)
	}
}

// TestVariablesInTexts: a variable in whose text something has no value is read by the next
// one; one that is nothing but that is not.
func TestVariablesInTexts(t *testing.T) {
	list := []Variable{{Key: "x", Value: json.RawMessage(`"v:${none}-${1+1}"`)}, {Key: "y", Value: json.RawMessage(`"${none}"`)}, {Key: "z", Value: json.RawMessage(`"${x}${y}"`)}}
	got, problems := Variables(list, testEnv())
	if last := string(got[2].Value); last != `"v:${none}-2${y}"` || len(problems) != 3 {
		t.Errorf("%s, %+v", last, problems)
	}
}

// TestSequenceSharesTheBounds: what one document of a sequence used up the next ones
// lack, and what is known to one is not to the next.
func TestSequenceSharesTheBounds(t *testing.T) {
	env := testEnv()
	evaluate := Sequence(env)
	got, err := evaluate(json.RawMessage(`"${a} ${parameters.image}"`), json.RawMessage(`{"a":1}`))
	if want := `"1 storefront-1.1"`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, err := evaluate(json.RawMessage(`"${a + 1}"`), nil); err == nil {
		t.Errorf("a is known afterwards: %s", got)
	}
	long, err := json.Marshal(strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		_, err := evaluate(json.RawMessage(`"${big + 'y'}"`), json.RawMessage(`{"big":`+string(long)+`}`))
		if err != nil && strings.Contains(err.Error(), "the results are larger than") {
			break
		}
		if n > maxProduced>>20+1 || err != nil {
			t.Fatalf("%d documents together produce what one may not: %v", n, err)
		}
	}
}
