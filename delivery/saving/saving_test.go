package saving

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// known is a world with two pipelines and one template, and no accounts.
func known() Lookups {
	stored := []delivery.Pipeline{{ID: "D", Name: "Deploy", Application: "shop", Revision: 3}, {ID: "B", Name: "build", Application: "other", Revision: 1}}
	find := func(fits func(delivery.Pipeline) bool) (delivery.Pipeline, error) {
		for _, p := range stored {
			if fits(p) {
				return p, nil
			}
		}
		return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "pipeline")
	}
	return Lookups{
		Template: func(key pipeline.TemplateKey) (json.RawMessage, error) {
			switch key.ID {
			case "waits":
				return json.RawMessage(`{"schema":"v2","id":"waits","pipeline":{"triggers":[{"type":"cron","id":"T","cronExpression":"0 0 10 * * ?"}],"stages":[{"refId":"1","type":"wait","waitTime":1}]}}`), nil
			case "silent":
				return nil, delivery.Errorf(delivery.Unavailable, "no answer")
			}
			return nil, delivery.Errorf(delivery.NotFound, "template")
		},
		Stored: func(id string) (delivery.Pipeline, error) {
			return find(func(p delivery.Pipeline) bool { return p.ID == id })
		},
		Named: func(application, name string) (delivery.Pipeline, error) {
			return find(func(p delivery.Pipeline) bool {
				return p.Application == application && (p.Name == name || p.ID == name)
			})
		},
		Target: func(delivery.Cluster) (delivery.Target, error) {
			return nil, delivery.Errorf(delivery.Invalid, "no account")
		},
		NewID: func() string { return "new" },
	}
}

func TestDecide(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	templated := func(id string) string {
		return `{"application":"shop","name":"x","schema":"v2","type":"templatedPipeline","template":{"reference":"spinnaker://` + id + `:stable"}}`
	}
	saved := func(id, name, application, document string) delivery.PipelineSave {
		return delivery.PipelineSave{Pipeline: delivery.Pipeline{ID: id, Name: name, Application: application, Document: json.RawMessage(document), UpdatedAt: now, LastModifiedBy: "joe"}}
	}
	stale := saved("D", "x", "shop", `{"application":"shop","id":"D","name":"x","updateTs":"1700000000000"}`)
	stale.Expect.UpdatedAt = time.UnixMilli(1_700_000_000_000)
	unseen := saved("D", "x", "shop", `{"application":"shop","id":"D","name":"x"}`)
	unseen.Expect.UpdatedAt = time.UnixMilli(1)
	for _, test := range []struct {
		name, kind, document string
		staleCheck           bool
		want                 Order
		kindOf               delivery.Kind
		pointers             []string
	}{
		{"a new one", "savePipeline", `{"application":"shop","name":" x ","triggers":[{"type":"cron","cronExpression":"0 0 10 * * ?"}]}`, true,
			Order{PipelineSave: saved("", "x", "shop", `{"application":"shop","name":" x ","triggers":[{"cronExpression":"0 0 10 * * ?","id":"new","type":"cron"}]}`)}, 0, nil},
		{"one moved from another application", "savePipeline", `{"application":"shop","name":"x","id":"B"}`, false, Order{PipelineSave: saved("B", "x", "shop", `{"application":"shop","id":"B","name":"x"}`), Replaces: "other"}, 0, nil},
		{"what was seen", "updatePipeline", `{"application":"shop","name":"x","id":"D","updateTs":"1700000000000"}`, true, Order{PipelineSave: stale, Replaces: "shop"}, 0, nil},
		{"what was never seen", "updatePipeline", `{"application":"shop","name":"x","id":"D"}`, true, Order{PipelineSave: unseen, Replaces: "shop"}, 0, nil},
		{"nothing to update", "updatePipeline", `{"application":"shop","name":"x","id":"C"}`, false, Order{}, delivery.NotFound, nil},
		{"all that is wrong", "savePipeline", `{"application":"sh/op","index":"first","stages":[{"refId":"1","type":"wait","waitTime":-1,"name":"${1 +}","stageEnabled":{"type":"expression","expression":"1 +"}}]}`, false, Order{}, delivery.Invalid,
			[]string{"/pipeline/application", "/pipeline/index", "/pipeline/name", "/pipeline/stages/0/name", "/pipeline/stages/0/stageEnabled/expression", "/pipeline/stages/0/waitTime"}},
		{"a stage that waits for the pipeline itself", "savePipeline", `{"application":"shop","name":"x","id":"D","stages":[{"refId":"1","type":"wait","waitTime":1},{"refId":"2","type":"pipeline","pipeline":"D"}]}`, false, Order{}, delivery.Invalid, []string{"/pipeline/stages/1/pipeline"}},
		{"a template that is gone", "savePipeline", templated("gone"), false, Order{}, delivery.Invalid, []string{"/pipeline/template/reference"}},
		{"a template that nobody knows", "savePipeline", templated("silent"), false, Order{}, delivery.Unavailable, nil},
		{"a template with a trigger", "savePipeline", templated("waits"), false, Order{PipelineSave: saved("", "x", "shop",
			`{"application":"shop","name":"x","schema":"v2","template":{"reference":"spinnaker://waits:stable"},"triggers":[{"cronExpression":"0 0 10 * * ?","id":"T","inherited":true,"type":"cron"}],"type":"templatedPipeline"}`)}, 0, nil},
	} {
		want := pipeline.SavePipeline{Document: json.RawMessage(test.document), StaleCheck: test.staleCheck}
		got, err := Decide(test.kind, want, delivery.Principal{Name: "joe"}, now, known())
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		var pointers []string
		for _, f := range delivery.FindingsOf(err) {
			pointers = append(pointers, f.Pointer)
		}
		if diff := cmp.Diff(test.pointers, pointers); diff != "" || delivery.KindOf(err) != test.kindOf {
			t.Errorf("%s: %v: %s", test.name, err, diff)
		}
	}
}

func TestDoomed(t *testing.T) {
	for _, test := range []struct {
		name, application string
		want              pipeline.DeletePipeline
		id                string
		kindOf            delivery.Kind
	}{
		{"by its name", "shop", pipeline.DeletePipeline{Name: "Deploy"}, "D", 0},
		{"by its id", "Shop", pipeline.DeletePipeline{Name: "deploy", ID: "D"}, "D", 0},
		{"gone", "shop", pipeline.DeletePipeline{Name: "build"}, "", delivery.NotFound},
		{"the id of another one in place of a name", "shop", pipeline.DeletePipeline{Name: "D"}, "", delivery.NotFound},
		{"gone, and there is another of the name", "shop", pipeline.DeletePipeline{Name: "Deploy", ID: "C"}, "", delivery.NotFound},
		{"renamed", "shop", pipeline.DeletePipeline{Name: "release", ID: "D"}, "D", delivery.Conflict},
		{"of another application", "shop", pipeline.DeletePipeline{Name: "build", ID: "B"}, "B", delivery.Conflict},
	} {
		if got, err := Doomed(test.want, test.application, known()); got.ID != test.id || delivery.KindOf(err) != test.kindOf {
			t.Errorf("%s: %q, %v", test.name, got.ID, err)
		}
	}
}
