package expression

import (
	"encoding/json"
	"testing"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// TestName: a name is evaluated, and stays as it is written where that gives no name.
func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"Deploy":                         "Deploy",
		"Deploy ${parameters.image}":     "Deploy storefront-1.1",
		"${parameters.n}":                "3",
		"${parameters.big}":              "12345678901234",
		"${parameters.n > 2}":            "true",
		" ${parameters.image} ":          "storefront-1.1",
		"${#currentStage()['refId']}":    "${#currentStage()['refId']}",
		"${parameters.empty}":            "${parameters.empty}",
		"${parameters.none}":             "${parameters.none}",
		"${parameters.map}":              "${parameters.map}",
		"${parameters.list}":             "${parameters.list}",
		"Deploy ${1 / 0}":                "Deploy ${1 / 0}",
		"Deploy ${parameters.image} ${}": "Deploy ${parameters.image} ${}",
		"${parameters.n} of ${none}":     "3 of ${none}",
		"${alias}":                       "here",
		"${'x'.repeat(2000)}":            "${'x'.repeat(2000)}",
	} {
		spec := pipeline.StageSpec{RefID: "1", Name: name, Raw: []byte(`{"refId":"1","alias":"here"}`)}
		if got := Name(spec, testEnv()); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// TestStageLeavesOtherPipelinesAlone: the expressions of a pipeline that a stage saves
// are that pipeline's; all others are the stage's.
func TestStageLeavesOtherPipelinesAlone(t *testing.T) {
	for _, test := range []struct{ kind, stage, want string }{
		{"savePipeline", `{"pipeline":{"name":"${1+1}","x":["${nobody}"]},"comments":"${1+1}"}`, `{"comments":2,"pipeline":{"name":"${1+1}","x":["${nobody}"]}}`},
		{"updatePipeline", `{"pipeline":{"name":"${1+1}"}}`, `{"pipeline":{"name":"${1+1}"}}`},
		{"savePipeline", `{"pipeline":"${'a' + 'b'}","staleCheck":"${1 == 1}"}`, `{"pipeline":"ab","staleCheck":true}`},
		{"deletePipeline", `{"pipeline":{"name":"${1+1}"}}`, `{"pipeline":{"name":2}}`},
		{"pipeline", `{"pipeline":{"name":"${1+1}"}}`, `{"pipeline":{"name":2}}`},
	} {
		d, err := json.Marshal(map[string]string{"type": test.kind, "refId": "1"})
		if err != nil {
			t.Fatal(err)
		}
		raw := string(d[:len(d)-1]) + "," + test.stage[1:]
		got, err := Stage(pipeline.StageSpec{Type: test.kind, RefID: "1", Raw: json.RawMessage(raw)}, Env{})
		if err != nil || string(got) != test.want {
			t.Errorf("%s %s: %s, %v", test.kind, test.stage, got, err)
		}
	}
}
