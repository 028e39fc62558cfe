package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const findNewest = `"type":"findImage","cloudProvider":"aws","credentials":"acct","regions":["r1"],"cluster":"shop-prod"`

// findDocument deploys what a stage before finds. image is the image's field of the
// deploy stage, or nothing.
func findDocument(find, image string) string {
	cluster := strings.Replace(clusterObject("", "lb", rolling, 2), `"amiName":"",`, image, 1)
	return fmt.Sprintf(`{"name":"p","application":"shop","stages":[
		{"refId":"find","requisiteStageRefIds":[],%s},{"refId":"wait","requisiteStageRefIds":["find"],"type":"wait","waitTime":1},
		{"refId":"deploy","requisiteStageRefIds":["wait"],"type":"deploy","clusters":[%s]}]}`, find, cluster)
}

// TestFoundImageIsDeployed fills the cluster of a later stage, and is there for its
// expressions.
func TestFoundImageIsDeployed(t *testing.T) {
	older := v000(2)
	older.Image, older.Weight = "older", 0
	serving := fakecloud.Existing{Name: "shop-prod-v001", Image: "serving", Capacity: delivery.Capacity{Min: 1, Max: 4, Desired: 2}, Weight: 100}
	for _, test := range []struct{ find, image, want string }{
		{findNewest, "", "serving"},
		{findNewest + `,"selectionStrategy":"OLDEST","onlyEnabled":false`, "", "older"},
		{findNewest, `"amiName":"mine",`, "mine"},
		{findNewest, `"amiName":"${deploymentDetails[0].imageName}-again",`, "serving-again"},
		{findNewest, `"amiName":"${amiDetails[0].sourceServerGroup}",`, "shop-prod-v001"},
	} {
		w := newWorld(t, findDocument(test.find, test.image), calm(), older, serving)
		e := w.run(t)
		if e.Status != delivery.StatusSucceeded {
			t.Fatalf("%s: execution %s, %+v", test.find, e.Status, e.Stages)
		}
		if g := w.cloud.Truth().Group("shop-prod-v002"); g == nil || g.Image != test.want {
			t.Errorf("%s %s: deployed %+v", test.find, test.image, g)
		}
		var outputs pipeline.FoundImages
		if err := json.Unmarshal(e.Stage("find").Outputs, &outputs); err != nil || len(outputs.DeploymentDetails) != 1 || outputs.DeploymentDetails[0].RefID != "find" ||
			outputs.Artifacts[0].Type != "aws/image" {
			t.Errorf("outputs %s, %v", e.Stage("find").Outputs, err)
		}
	}
}

// TestNoImageIsFound ends the pipeline before anything is written.
func TestNoImageIsFound(t *testing.T) {
	standby := v000(2)
	standby.Weight = 0
	for _, test := range []struct {
		name, find string
		groups     []fakecloud.Existing
		stage      string
		kind       delivery.Kind
		reason     string
	}{
		{"no cluster", findNewest, nil, "find", delivery.NotFound, "find the image of cluster acct/r1/shop-prod"},
		{"none that serves", findNewest, []fakecloud.Existing{standby}, "find", delivery.NotFound, "shop-prod"},
		{"an account that is not there", strings.Replace(findNewest, "acct", "other", 1), []fakecloud.Existing{v000(2)}, "find", delivery.Invalid, "other"},
		{"a stage that may fail", findNewest + `,"failPipeline":false,"continuePipeline":true`, nil, "deploy", delivery.Invalid, "is required: the image"},
		{"a list that the cloud does not keep", `"type":"findImageFromTags","packageName":"shop","regions":["r1"]`, nil, "find", delivery.NotFound, "no image of package shop"},
	} {
		w := newWorld(t, findDocument(test.find, ""), calm(), test.groups...)
		e := w.run(t)
		stage := e.Stage(test.stage)
		if e.Status != delivery.StatusTerminal || stage.Failure == nil || stage.Failure.Kind != test.kind.String() {
			t.Errorf("%s: execution %s, stage %s: %+v", test.name, e.Status, stage.Status, stage.Failure)
			continue
		}
		text := stage.Failure.Message
		for _, f := range stage.Failure.Findings {
			text += " " + f.Message
		}
		if !strings.Contains(text, test.reason) || len(w.cloud.Writes()) > 0 || len(w.store.deployments) > 0 {
			t.Errorf("%s: %q, %d writes, %d deployments", test.name, text, len(w.cloud.Writes()), len(w.store.deployments))
		}
	}
}

// withImages keeps a list of images beside the cluster.
type withImages struct {
	*fakecloud.Cloud
	images  []delivery.Image
	failing int
}

func (w *withImages) Target(delivery.Cluster) (delivery.Target, error) { return w, nil }

func (w *withImages) Images(_ context.Context, pattern string) ([]delivery.Image, error) {
	if w.failing--; w.failing >= 0 {
		return nil, delivery.Errorf(delivery.Throttled, "slower")
	}
	var out []delivery.Image
	for _, image := range w.images {
		if ok, err := path.Match(pattern, image.Name); ok && err == nil {
			out = append(out, image)
		}
	}
	return out, nil
}

// TestImageOfAPackageIsDeployed sits trouble out, and takes the newest that has the tags.
func TestImageOfAPackageIsDeployed(t *testing.T) {
	w := newWorld(t, findDocument(`"type":"findImageFromTags","packageName":"shop","regions":["r1"],"tags":{"stage":"prod"}`, ""), calm(), v000(2))
	w.activities.deps.Targets = &withImages{Cloud: w.cloud, failing: 3, images: []delivery.Image{{ID: "ami-3", Name: "shop-3"}, {ID: "ami-2", Name: "shop-2", Tags: map[string]string{"stage": "prod"}}}}
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, %+v", e.Status, e.Stages)
	}
	if g := w.cloud.Truth().Group("shop-prod-v001"); g == nil || g.Image != "ami-2" {
		t.Errorf("deployed %+v", g)
	}
}

// TestCanceledFind is over at once although the cloud does not answer.
func TestCanceledFind(t *testing.T) {
	w := newWorld(t, findDocument(`"type":"findImageFromTags","packageName":"shop","regions":["r1"]`, ""), calm(), v000(2))
	w.activities.deps.Targets = &withImages{Cloud: w.cloud, failing: 1_000_000}
	cancel := w.send(updateCancel, 20*time.Second)
	e := w.run(t)
	if took := e.EndTime.Sub(cancel.sent); e.Status != delivery.StatusCanceled || took > 5*time.Second || len(w.cloud.Writes()) > 0 {
		t.Errorf("execution %s %s after the cancel", e.Status, took)
	}
}

// TestCreateServerGroupStage deploys the cluster that the stage itself describes.
func TestCreateServerGroupStage(t *testing.T) {
	object := clusterObject("good", "lb", rolling, 2)
	w := newWorld(t, `{"name":"p","application":"shop","stages":[{"refId":"1","type":"createServerGroup",`+object[1:]+`]}`, calm(), v000(2))
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, %+v", e.Status, e.Stages)
	}
	if diff := cmp.Diff("{Min:2 Max:4 Desired:2} complete=true weight=100", settled(w.cloud.Truth())["shop-prod-v001"]); diff != "" {
		t.Error(diff)
	}
}
