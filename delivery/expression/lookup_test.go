package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// lookupEnv knows one pipeline in each of two applications, and counts the questions.
func lookupEnv(asked *int) Env {
	env := shapesEnv()
	env.Lookups = Lookups{
		PipelineID: func(application, name string) (string, error) {
			*asked++
			if name == "deploy prod" {
				return "id-in-" + application, nil
			}
			return "", delivery.Errorf(delivery.NotFound, "pipeline %s", name)
		},
		Application: func(name string) (json.RawMessage, error) {
			*asked++
			if name != "storefront" {
				return nil, delivery.Errorf(delivery.NotFound, "application %s", name)
			}
			return json.RawMessage(`{"email":"team@example.com"}`), nil
		},
	}
	return env
}

func TestLookups(t *testing.T) {
	for text, want := range map[string]string{
		`#pipelineId('deploy prod')`:                         `"id-in-storefront"`,
		`#pipelineIdOrNull('deploy prod')`:                   `"id-in-storefront"`,
		`#pipelineIdOrNull('nothing') ?: 'none'`:             `"none"`,
		`#pipelineIdInApplication('deploy prod', 'billing')`: `"id-in-billing"`,
		`#applicationMetadata('storefront').email`:           `"team@example.com"`,
		`#applicationMetadata()['email']`:                    `"team@example.com"`,
		`#resolvedArtifacts().![name]`:                       `["web"]`,
		`#resolvedArtifacts('other').size()`:                 `0`,
		`#pipelineId('nothing')`:                             `#pipelineId: application storefront has no pipeline nothing`,
		`#applicationMetadata('nothing')`:                    `#applicationMetadata: there is no application nothing`,
		`#pipelineId(1)`:                                     `#pipelineId: the name of the pipeline: a number is no string`,
	} {
		var asked int
		document, err := json.Marshal("${" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Evaluate(document, lookupEnv(&asked))
		switch {
		case err == nil && string(got) != want:
			t.Errorf("%s: %s, want %s", text, got, want)
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestLookupsAreBounded(t *testing.T) {
	var asked int
	names := make([]string, maxLookups+5)
	for i := range names {
		names[i] = fmt.Sprintf("'%d'", i)
	}
	document := fmt.Sprintf(`["${#pipelineId('deploy prod') + #pipelineId('deploy prod')}","${{%s}.![#pipelineIdOrNull(#this)]}"]`, strings.Join(names, ","))
	_, err := Evaluate(json.RawMessage(document), lookupEnv(&asked))
	if err == nil || !strings.Contains(err.Error(), "more than 20 pipelines and applications are looked up") || asked != maxLookups {
		t.Errorf("%d questions, %v", asked, err)
	}
	if _, err := Evaluate(json.RawMessage(`"${#pipelineId('x')}"`), shapesEnv()); err == nil || !strings.Contains(err.Error(), "known only when the stage begins") {
		t.Errorf("without a store: %v", err)
	}
}
