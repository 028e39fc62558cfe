package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// knownTypes is how a finding lists the stage types.
func knownTypes() string {
	var names []string
	for _, t := range stageTypes() {
		names = append(names, t.name)
	}
	return "(known: " + strings.Join(names, ", ") + ")"
}

// stages wraps stage objects into a pipeline document.
func stages(list ...string) json.RawMessage {
	return json.RawMessage(`{"name":"p","application":"storefront","stages":[` + strings.Join(list, ",") + `]}`)
}

func wait(refID string, requisites ...string) string {
	quoted, _ := json.Marshal(append([]string{}, requisites...))
	return `{"refId":"` + refID + `","type":"wait","waitTime":1,"requisiteStageRefIds":` + string(quoted) + `}`
}

func TestParseFindings(t *testing.T) {
	tests := map[string]struct {
		document string
		want     []delivery.Finding
	}{
		"malformed": {
			document: "{\n  \"stages\": [}\n}",
			want:     []delivery.Finding{{Message: "is not JSON: line 2, column 14: invalid character '}' looking for beginning of value"}},
		},
		"cut off":       {document: `{"stages":`, want: []delivery.Finding{{Message: "is not JSON: line 1, column 10: unexpected end of JSON input"}}},
		"empty":         {document: ``, want: []delivery.Finding{{Message: "is not JSON: line 1, column 0: unexpected end of JSON input"}}},
		"not an object": {document: `[]`, want: []delivery.Finding{{Message: "must be an object, not a list"}}},
		"wrong types": {
			document: `{"name":1,"application":[],"stages":{},"parameterConfig":"x"}`,
			want: []delivery.Finding{
				{Pointer: "/name", Message: "must be a string, not a number"},
				{Pointer: "/application", Message: "must be a string, not a list"},
				{Pointer: "/parameterConfig", Message: "must be a list, not a string"},
				{Pointer: "/stages", Message: "must be a list, not an object"},
			},
		},
		"variables of a template that are no object": {
			document: `{"templateVariables":[1]}`,
			want:     []delivery.Finding{{Pointer: "/templateVariables", Message: "must be an object, not a list"}},
		},
		"stage of wrong type": {
			document: string(stages(`1`, wait("a"))),
			want:     []delivery.Finding{{Pointer: "/stages/0", Message: "must be an object, not a number"}},
		},
		"type missing": {
			document: string(stages(`{}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/type", Message: "is required"}},
		},
		"type misspelt": {
			document: string(stages(`{"type":"Deplyo"}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/type", Message: `"Deplyo" is not a known stage type; did you mean deploy? ` + knownTypes()}},
		},
		"type far off": {
			document: string(stages(`{"type":"interstellarDrive"}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/type", Message: `"interstellarDrive" is not a known stage type ` + knownTypes()}},
		},
		"type an expression": {
			document: string(stages(`{"type":"${parameters.type}"}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/type", Message: "must not be an expression"}},
		},
		"refId of some": {
			document: string(stages(wait("a"), `{"type":"wait","waitTime":1}`)),
			want:     []delivery.Finding{{Pointer: "/stages/1/refId", Message: "is required: another stage has one"}},
		},
		"refIds required, but none given": {
			document: string(stages(`{"type":"wait","waitTime":1}`, `{"type":"wait","waitTime":1,"requisiteStageRefIds":["7"]}`)),
			want:     []delivery.Finding{{Pointer: "/stages/1/requisiteStageRefIds", Message: "names stages, but no stage has a refId"}},
		},
		"too many stages": {
			document: `{"stages":[` + strings.Repeat("{},", maxStages) + `{}]}`,
			want:     []delivery.Finding{{Pointer: "/stages", Message: "has 501 stages; 500 are allowed. A stage of type pipeline can run a part of them"}},
		},
		"a long refId": {
			document: string(stages(`{"refId":"` + strings.Repeat("x", 101) + `","type":"wait","waitTime":1}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/refId", Message: "has 101 bytes; 100 are allowed"}},
		},
		"a long number for a refId": {
			document: string(stages(`{"refId":` + strings.Repeat("1", 101) + `,"type":"wait","waitTime":1}`)),
			want:     []delivery.Finding{{Pointer: "/stages/0/refId", Message: "has 101 bytes; 100 are allowed"}},
		},
		"bad refIds": {
			document: string(stages(`{"refId":"a/b","type":"wait","waitTime":1}`, `{"refId":true,"type":"wait","waitTime":1}`,
				`{"refId":"${x}","type":"wait","waitTime":1}`, `{"refId":"","type":"wait","waitTime":1}`)),
			want: []delivery.Finding{
				{Pointer: "/stages/0/refId", Message: "must not contain '/', '<' or '~'"},
				{Pointer: "/stages/1/refId", Message: "must be a string or a number, not a boolean"},
				{Pointer: "/stages/2/refId", Message: "must not be an expression"},
				{Pointer: "/stages/3/refId", Message: "must not be empty"},
			},
		},
		"duplicate refId, number and string": {
			document: string(stages(`{"refId":1,"type":"wait","waitTime":1}`, wait("1"))),
			want:     []delivery.Finding{{Pointer: "/stages/1/refId", Message: `"1" is the refId of /stages/0 already`}},
		},
		"unknown requisite and self": {
			document: string(stages(wait("a", "b", "a"))),
			want: []delivery.Finding{
				{Pointer: "/stages/0/requisiteStageRefIds/0", Message: `no stage has the refId "b"`},
				{Pointer: "/stages/0/requisiteStageRefIds/1", Message: `stage "a" requires itself`},
			},
		},
		"cycle": {
			document: string(stages(wait("start"), wait("c", "b"), wait("a", "c", "start"), wait("b", "a"))),
			want:     []delivery.Finding{{Pointer: "/stages/1/requisiteStageRefIds", Message: "the stages wait for each other in a cycle: c -> b -> a -> c"}},
		},
		"two cycles": {
			document: string(stages(wait("a", "b"), wait("b", "a"), wait("c", "d"), wait("d", "c"))),
			want: []delivery.Finding{
				{Pointer: "/stages/0/requisiteStageRefIds", Message: "the stages wait for each other in a cycle: a -> b -> a"},
				{Pointer: "/stages/2/requisiteStageRefIds", Message: "the stages wait for each other in a cycle: c -> d -> c"},
			},
		},
		"options that change when a stage runs": {
			document: string(stages(`{"type":"wait","waitTime":1,"stageEnabled":{"type":"expression","expression":"1 == 2"},"restrictExecutionDuringTimeWindow":true,"stageTimeoutMs":1}`)),
			want: []delivery.Finding{
				{Pointer: "/stages/0/restrictedExecutionWindow", Message: "is required"},
			},
		},
		"failure flags": {
			document: string(stages(`{"type":"wait","waitTime":1,"failPipeline":"maybe","continuePipeline":"${x}"}`)),
			want: []delivery.Finding{
				{Pointer: "/stages/0/failPipeline", Message: "must be a boolean, not a string"},
				{Pointer: "/stages/0/continuePipeline", Message: "must not be an expression"},
			},
		},
		"parameters": {
			document: `{"parameterConfig":[{"name":"a"},{"name":"a"},{"required":"no"},7]}`,
			want: []delivery.Finding{
				{Pointer: "/parameterConfig/3", Message: "must be an object, not a number"},
				{Pointer: "/parameterConfig/1/name", Message: `"a" is the name of /parameterConfig/0 already`},
				{Pointer: "/parameterConfig/2/name", Message: "is required"},
				{Pointer: "/parameterConfig/2/required", Message: "must be a boolean, not a string"},
			},
		},
		"findings of a stage type": {
			document: string(stages(wait("a"), `{"refId":"b","type":"wait","waitTime":-1}`)),
			want:     []delivery.Finding{{Pointer: "/stages/1/waitTime", Message: "is -1; must not be negative"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(json.RawMessage(tt.document))
			if delivery.KindOf(err) != delivery.Invalid {
				t.Fatalf("error %v has kind %s, want invalid", err, delivery.KindOf(err))
			}
			if diff := cmp.Diff(tt.want, delivery.FindingsOf(err)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReadsStages(t *testing.T) {
	document := stages(
		`{"refId":1,"type":"wait","waitTime":1,"comments":"kept"}`,
		`{"refId":"2","requisiteStageRefIds":[1,"1"],"type":"wait","name":"Then","waitTime":"${parameters.seconds}","failPipeline":false}`,
		`{"refId":"3","requisiteStageRefIds":["1"],"type":"wait","waitTime":1,"failPipeline":false,"completeOtherBranchesThenFail":true,"stageEnabled":{"type":"expression","expression":""},"restrictExecutionDuringTimeWindow":false}`,
		`{"refId":"4","requisiteStageRefIds":["2","3"],"type":"wait","waitTime":1,"failPipeline":"true","continuePipeline":true,"stageTimeoutMs":null}`)
	d, err := Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	var raw struct{ Stages []json.RawMessage }
	if err := json.Unmarshal(document, &raw); err != nil {
		t.Fatal(err)
	}
	want := []StageSpec{
		{RefID: "1", Type: "wait", Name: "wait", OnFailure: HaltPipeline, Raw: raw.Stages[0]},
		{RefID: "2", Type: "wait", Name: "Then", Requisites: []string{"1"}, OnFailure: HaltBranch, Raw: raw.Stages[1]},
		{RefID: "3", Type: "wait", Name: "wait", Requisites: []string{"1"}, OnFailure: HaltBranchThenFail, Raw: raw.Stages[2]},
		{RefID: "4", Type: "wait", Name: "wait", Requisites: []string{"2", "3"}, OnFailure: Ignore, Raw: raw.Stages[3]},
	}
	if diff := cmp.Diff(want, d.Stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if got := string(d.Stages[0].Context()); got != `{"comments":"kept","waitTime":1}` {
		t.Errorf("context of stage 1 is %s", got)
	}
}

func TestParseWithoutRefIDsIsLinear(t *testing.T) {
	d, err := Parse(stages(`{"type":"wait","waitTime":1}`, `{"type":"wait","waitTime":1,"refId":null}`, `{"type":"wait","waitTime":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, s := range d.Stages {
		got = append(got, append([]string{s.RefID}, s.Requisites...))
	}
	if diff := cmp.Diff([][]string{{"0"}, {"1", "0"}, {"2", "1"}}, got); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
}

func TestParseAcceptsAPipelineWithoutStages(t *testing.T) {
	for _, document := range []string{`{}`, `{"stages":null}`, `{"stages":[]}`} {
		d, err := Parse(json.RawMessage(document))
		if err != nil || len(d.Stages) != 0 {
			t.Errorf("Parse(%s) = %v, %v", document, d, err)
		}
	}
}

func TestResolveParameters(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"parameterConfig":[
		{"name":"image","required":true},
		{"name":"env","default":"prod","required":true},
		{"name":"blank","default":"","required":true},
		{"name":"note"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		given, want string
		missing     []delivery.Finding
	}{
		"defaults fill in": {given: `{"image":"i","blank":"b"}`, want: `{"blank":"b","env":"prod","image":"i"}`},
		"given wins":       {given: `{"image":"i","blank":"","env":"dev","other":[1]}`, want: `{"blank":"","env":"dev","image":"i","other":[1]}`},
		"null is absent":   {given: `{"image":"i","blank":"b","env":null}`, want: `{"blank":"b","env":"prod","image":"i"}`},
		"missing": {given: ``, missing: []delivery.Finding{
			{Pointer: "/image", Message: "Required parameter image is missing"},
			{Pointer: "/blank", Message: "Required parameter blank is missing"}}},
		"null": {given: `null`, missing: []delivery.Finding{
			{Pointer: "/image", Message: "Required parameter image is missing"},
			{Pointer: "/blank", Message: "Required parameter blank is missing"}}},
		"not an object": {given: `[]`, missing: []delivery.Finding{{Message: "must be an object, not a list"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := d.ResolveParameters(json.RawMessage(tt.given))
			if string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.missing, delivery.FindingsOf(err)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
