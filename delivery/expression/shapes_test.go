package expression

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// shapesEnv is an execution like those that real pipelines run in.
func shapesEnv() Env {
	return Env{
		Read:       func(string) (string, error) { return `{"x": [1, 2]}`, nil },
		Parameters: json.RawMessage(`{"env":"prod","flag":"true","replicas":"4","empty":"","images":"a,b,c","cfg":"{\"ns\":\"web\"}","v":"1.2.3","package":"p"}`),
		Trigger: json.RawMessage(`{"user":"joe","hash":"0a1b2c3d4e","tag":"v7","parameters":{"x":"y"},
			"properties":{"X":"prop","a.b":"dotted"},"payload":{"a":{"b":"pay"}},
			"artifacts":[{"reference":"r0","type":"docker/image","name":"web"}],
			"resolvedExpectedArtifacts":[{"id":"e","boundArtifact":{"type":"docker/image","name":"web","reference":"web@sha256:1"}}],
			"buildInfo":{"number":42,"url":"http://ci/42","scm":[{"branch":"master","sha1":"m"},{"branch":"feature/x-1","sha1":"f"}]},
			"parentExecution":{"stages":[{"type":"bake","outputs":{"ami":"ami-1"}}]}}`),
		Execution: json.RawMessage(`{"id":"01JD","application":"storefront","name":"deploy","stages":[
			{"id":"s1","refId":"1","name":"A","type":"bake","status":"SUCCEEDED","startTime":"2026-01-01T00:00:00Z","context":{"k":"ctx","account":"prod"},"outputs":{"k":"out","deploy.server.groups":{"us-east-1":["storefront-v001"]}}},
			{"id":"s2","refId":"2","name":"B","type":"deploy","status":"TERMINAL","context":{},"outputs":{"n":2}},
			{"id":"s3","refId":"3","name":"Ask","type":"manualJudgment","status":"SUCCEEDED","context":{"judgmentInput":"rollback"}},
			{"id":"s4","refId":"4","name":"Now","type":"wait","status":"RUNNING","context":{"waitTime":1}}]}`),
		Outputs: []json.RawMessage{json.RawMessage(`{"version":"9"}`)},
		Stage:   json.RawMessage(`{"account":"prod","waitTime":"${parameters.v}"}`),
		RefID:   "4",
		Now:     time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC),
		Random:  func() string { return "123e4567-e89b-12d3-a456-426614174000" },
	}
}

// shapes are those that pipelines are written with, after Spinnaker's
// documentation and public pipelines. An empty result is a refusal at the time of
// saving.
var shapes = []struct{ text, want string }{
	// Parameters and the trigger.
	{`parameters.v`, `"1.2.3"`},
	{`parameters["v"]`, `"1.2.3"`},
	{`trigger.parameters.x`, `"y"`},
	{`trigger.properties['X']`, `"prop"`},
	{`trigger['properties']['a.b']`, `"dotted"`},
	{`trigger.buildInfo.number`, `42`},
	{`trigger['buildInfo']['url']`, `"http://ci/42"`},
	{`buildInfo.number`, `42`},
	{`parameters.x ?: 'default'`, `"default"`},
	{`parameters.empty ?: 'default'`, `"default"`},
	{`trigger['payload']['a']['b']`, `"pay"`},
	{`trigger['artifacts'][0]['reference']`, `"r0"`},
	{`#triggerResolvedArtifactByType('docker/image')['reference']`, `"web@sha256:1"`},
	{`#triggerResolvedArtifact('web')['reference']`, `"web@sha256:1"`},
	{`trigger['tag']`, `"v7"`},
	{`trigger.hash`, `"0a1b2c3d4e"`},
	{`trigger.user`, `"joe"`},
	{`#currentUser()`, `"joe"`},
	// Stages.
	{`#stage('A')['status'].toString() == 'SUCCEEDED'`, `true`},
	{`#stage('A').status == 'SUCCEEDED'`, `true`},
	{`#stage('A').status.name() == 'SUCCEEDED'`, `true`},
	{`#stage('A').hasSucceeded`, `true`},
	{`#stage('B').hasFailed`, `true`},
	{`#stage('A')['context']['k']`, `"ctx"`},
	{`#stage('A')['outputs']['k']`, `"out"`},
	{`#stageByRefId('2').outputs.n + 1`, `3`},
	{`#stageByRefId(2).outputs.n + 1`, `3`},
	{`'a-b-c'.split('-').length`, `3`},
	{`','.split(',').length`, `0`},
	{`''.split(',').length`, `1`},
	{`'abc'[1]`, `"b"`},
	{`#stageExists('Z')`, `false`},
	{`#currentStage().name`, `"Now"`},
	{`#judgment('Ask') == 'rollback'`, `true`},
	{`#judgment('Ask').equals('rollback')`, `true`},
	{`execution.stages.?[name == 'A'][0].outputs.k`, `"out"`},
	{`execution['stages'].?[type == 'bake'][0]['context']['k']`, `"ctx"`},
	{`trigger['parentExecution']['stages'].?[type=='bake'][0]['outputs']['ami']`, `"ami-1"`},
	{`execution.stages.?[status == 'SUCCEEDED'].![name]`, `["A","Ask"]`},
	{`execution.stages.?[type == 'bake'].size()`, `1`},
	{`execution.stages.?[type == 'nope'].isEmpty()`, `true`},
	{`execution.stages.^[status == 'SUCCEEDED'].name`, `"A"`},
	{`execution.stages.$[status == 'SUCCEEDED']['name']`, `"Ask"`},
	{`execution.stages.?[#this.refId.equals('2')][0].name`, `"B"`},
	{`execution.stages.?[name == #root.execution.stages[1].name].size()`, `1`},
	{`execution.stages.![name.toLowerCase()].?[length() > 1]`, `["ask","now"]`},
	{`{'A','bC'}.![toLowerCase()]`, `["a","bc"]`},
	{`{'1','2'}.![#toInt(#this)]`, `[1,2]`},
	{`execution.id`, `"01JD"`},
	{`execution.application`, `"storefront"`},
	{`deployedServerGroups[0].serverGroup`, `"storefront-v001"`},
	{`#deployedServerGroups('A')[0].region`, `"us-east-1"`},
	{`scmInfo.branch`, `"feature/x-1"`},
	{`#alphanumerical(scmInfo.branch)`, `"featurex1"`},
	// Conditions.
	{`parameters.env == 'prod'`, `true`},
	{`parameters.flag == 'true'`, `true`},
	{`#toBoolean(parameters.flag)`, `true`},
	{`parameters.env == 'prod' && parameters.flag == 'true'`, `true`},
	{`parameters.env == 'test' or parameters.flag == 'true'`, `true`},
	{`!#toBoolean(parameters.flag)`, `false`},
	{`not #toBoolean(parameters.flag)`, `false`},
	{`parameters.env == 'prod' ? 'a' : 'b'`, `"a"`},
	{`parameters.v matches '\d+\.\d+\.\d+'`, `true`},
	{`parameters.env eq 'prod'`, `true`},
	{`3 between {1, 5}`, `true`},
	{`parameters.v instanceof T(String)`, `true`},
	// Texts, numbers and lists.
	{`#toInt(parameters.replicas ?: 3)`, `4`},
	{`parameters.images.split(',')[0]`, `"a"`},
	{`scmInfo.branch.replaceAll('[^a-z]', '-')`, `"feature-x--"`},
	{`'ABC'.toLowerCase()`, `"abc"`},
	{`trigger.hash.substring(0,7)`, `"0a1b2c3"`},
	{`' x '.trim()`, `"x"`},
	{`parameters.images.contains('b')`, `true`},
	{`parameters.images.startsWith('a')`, `true`},
	{`{'a','b'}.contains(parameters.env)`, `false`},
	{`{key: 'v', 'other key': parameters.env}`, `{"key":"v","other key":"prod"}`},
	{`#readJson(parameters['cfg'])['ns']`, `"web"`},
	{`#toJson({a: 1})`, `"{\"a\":1}"`},
	{`version`, `"9"`},
	{`#root['version']`, `"9"`},
	{`account`, `"prod"`},
	{`'v' + trigger.buildInfo.number`, `"v42"`},
	{`1 + 2`, `3`},
	{`#stage('B').outputs.n * 2`, `4`},
	{`parameters?.v?.length()`, `5`},
	// Java.
	{`new java.text.SimpleDateFormat('yyyyMMdd-HHmmss').format(new java.util.Date())`, `"20260203-040506"`},
	{`T(java.time.LocalDate).now().plusDays(5)`, `"2026-02-08"`},
	{`T(java.time.LocalDate).now().toString()`, `"2026-02-03"`},
	{`T(java.time.Instant).now().toEpochMilli()`, `1770091506007`},
	{`T(java.util.UUID).randomUUID().toString()`, `"123e4567-e89b-12d3-a456-426614174000"`},
	{`T(java.lang.Math).max(2, 3)`, `3`},
	{`T(java.lang.Integer).parseInt(parameters.replicas) + 1`, `5`},
	{`T(java.net.URLEncoder).encode('a b', 'UTF-8')`, `"a+b"`},
	{`T(String).format('%s-%03d', 'a', 7)`, `"a-007"`},
	// What a URL has.
	{`#fromUrl('http://example.com')`, `"{\"x\": [1, 2]}"`},
	{`#jsonFromUrl('http://example.com').x[1]`, `2`},
	{`#yamlFromUrl('http://example.com')['x'][0]`, `1`},
	// Refused when the pipeline is saved.
	{`#manifestLabelValue('Deploy', 'deployment', 'app')`, ``},
}

func TestShapes(t *testing.T) {
	evaluated := 0
	for _, tt := range shapes {
		t.Run(tt.text, func(t *testing.T) {
			document, err := json.Marshal("${" + tt.text + "}")
			if err != nil {
				t.Fatal(err)
			}
			findings := Check(document)
			if tt.want == "" {
				if len(findings) == 0 {
					t.Error("is let through, and cannot be evaluated")
				}
				return
			}
			got, err := Evaluate(document, shapesEnv())
			if len(findings) > 0 || err != nil || string(got) != tt.want {
				t.Fatalf("got %s, %v, want %s; Check finds %v", got, err, tt.want, findings)
			}
			evaluated++
		})
	}
	t.Logf("%d of %d shapes are evaluated", evaluated, len(shapes))
}

func TestShapesThatFail(t *testing.T) {
	for text, want := range map[string]string{
		`#stage('Z').status`:                            "#stage: the execution has no stage with the name or id Z",
		`waitTime`:                                      "the stage's field waitTime is an expression itself",
		`parameters.v.size()`:                           "a string has no method size",
		`parameters.v.substring(9)`:                     "substring: 9 to 5 is not within a text of 5 characters",
		`parameters.v.split('(')`:                       "split: the pattern: error parsing regexp: missing closing ): `(`",
		`parameters.v.replaceAll('(?=x)', '')`:          "replaceAll: the pattern: error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
		`execution.stages.![missing.deeper]`:            "missing has no value, so deeper cannot be read",
		`{1,2}.![name]`:                                 "the element is a number, so name cannot be read; #root.name is the variable",
		`T(java.lang.Math)`:                             "is a class, which is no result",
		`T(String).format('%2000d', 1)`:                 "format: the width of %2000d is more than 1000",
		`T(java.time.LocalDate).now().plusDays('1')`:    "plusDays: 1 is no whole number up to 1000000",
		`parameters.none.trim()`:                        "parameters.none has no value, so trim() cannot be called",
		`new java.text.SimpleDateFormat('Q').format(1)`: "new java.text.SimpleDateFormat: Q of the pattern \"Q\" is not known",
	} {
		document, err := json.Marshal("${" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		if findings := Check(document); len(findings) > 0 {
			t.Errorf("%s: Check finds %v", text, findings)
		}
		if _, err := Evaluate(document, shapesEnv()); err == nil || !strings.Contains(err.Error(), "${"+text+"}: "+want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
