package expression

import (
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
