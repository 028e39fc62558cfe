package expression

import (
	"encoding/json"
	"testing"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

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
