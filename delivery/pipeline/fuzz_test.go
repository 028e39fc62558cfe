package pipeline

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// FuzzParse: whatever the document, the error is Invalid, and each finding names
// a field that is there or is missing from an object that is there.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"stages":[{"refId":1,"type":"wait","waitTime":"${x}","requisiteStageRefIds":["1"]}]}`,
		`{"stages":[` + `{"type":"deploy","clusters":[` + goodCluster + `]}` + `],"parameterConfig":[{"name":"a","required":true}]}`,
		`{"stages":[{"type":"deploy","clusters":[{"capacity":{"min":"x"},"availabilityZones":{"a~/b":1},"strategy":{}}]}]}`,
		`{"stages":[{"type":"deploy","clusters":[{"strategy":"rolling","maxSurge":-1,"rollback":{"onFailure":3},"targetPercentages":["a"]}]}]}`,
		`{"stages":[{"type":"resizeServerGroup","credentials":"a","regions":["r"],"cluster":"a-b","target":"oldest","action":"scale_up","capacity":{"min":1}}]}`,
		`{"stages":{},"name":1}`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := Parse(document)
		if err == nil {
			if status, done := Final(d, NewStages(d, func() string { return "" })); done && len(d.Stages) > 0 {
				t.Errorf("a new execution of %s is over: %s", document, status)
			}
			return
		}
		if delivery.KindOf(err) != delivery.Invalid || len(delivery.FindingsOf(err)) == 0 {
			t.Errorf("Parse(%s): %v", document, err)
		}
		for _, finding := range delivery.FindingsOf(err) {
			if !pointsInto(document, finding.Pointer) {
				t.Errorf("Parse(%s): nothing is at %s (%s)", document, finding.Pointer, finding.Message)
			}
		}
	})
}

// pointsInto reports whether all but the last token of a JSON pointer lead
// through the document.
func pointsInto(document json.RawMessage, pointer string) bool {
	tokens := strings.Split(pointer, "/")
	if tokens[0] != "" {
		return false
	}
	for i, token := range tokens[1:] {
		if i == len(tokens)-2 {
			return true
		}
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		var list []json.RawMessage
		var fields map[string]json.RawMessage
		if json.Unmarshal(document, &list) == nil {
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(list) {
				return false
			}
			document = list[n]
			continue
		}
		if json.Unmarshal(document, &fields) != nil || fields[token] == nil {
			return false
		}
		document = fields[token]
	}
	return true
}
