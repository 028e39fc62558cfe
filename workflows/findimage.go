package workflows

import (
	"context"
	"encoding/json"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// FoundOutputs are the outputs of a stage that found images. They become JSON where
// they are recorded.
type FoundOutputs struct {
	RefID string
	pipeline.FoundImages
}

// find is a stage that finds images: one activity that reads.
func (x *execution) find(ctx workflow.Context, refID string) stageResult {
	var found []pipeline.FoundImage
	var a *Activities
	actx, stop := workflow.WithCancel(workflow.WithActivityOptions(ctx, prepareOptions))
	defer stop()
	future := workflow.ExecuteActivity(actx, a.FindImages, FindRequest{Execution: x.ID, Stage: refID})
	if err := workflow.Await(ctx, func() bool { return future.IsReady() || x.stopping() }); err != nil || !future.IsReady() {
		return stageResult{canceled: true}
	}
	if err := future.Get(ctx, &found); err != nil {
		failure := failureOf("find the image", err)
		return stageResult{failure: &failure}
	}
	x.Found = append(x.Found, FoundOutputs{RefID: refID, FoundImages: pipeline.NewFoundImages(refID, found)})
	return stageResult{}
}

// FindRequest asks for the images that a stored stage looks for.
type FindRequest struct {
	Execution delivery.ExecutionID `json:"execution"`
	Stage     string               `json:"stage"`
}

// FindImages returns one image for each region of the stage, in its order. NotFound
// when a region has none. It only reads.
func (a *Activities) FindImages(ctx context.Context, in FindRequest) ([]pipeline.FoundImage, error) {
	found, err := a.findImages(ctx, in)
	return found, applicationError(err)
}

func (a *Activities) findImages(ctx context.Context, in FindRequest) ([]pipeline.FoundImage, error) {
	e, err := a.deps.Store.Execution(ctx, in.Execution)
	if err != nil {
		return nil, err
	}
	stage := e.Stage(in.Stage)
	if stage == nil {
		return nil, delivery.Errorf(delivery.NotFound, "stage %s of execution %s", in.Stage, in.Execution)
	}
	wanted, err := pipeline.ParseFind(stage.Type, stage.Context)
	if err != nil {
		return nil, err
	}
	var out []pipeline.FoundImage
	for _, place := range wanted.Places {
		if place, err = place.In(a.deps.Targets.Accounts()); err != nil {
			return nil, err
		}
		image, err := a.findImage(ctx, place)
		if err != nil {
			return nil, err
		}
		out = append(out, image)
	}
	return out, nil
}

func (a *Activities) findImage(ctx context.Context, place pipeline.FindImage) (image pipeline.FoundImage, err error) {
	if place.FromCluster() {
		var seen delivery.Snapshot
		err := a.call(ctx, "observe", place.Cluster, func(ctx context.Context, t delivery.Target) error {
			seen, err = t.Observe(ctx, place.Cluster, place.LoadBalancer())
			return err
		})
		if err != nil {
			return image, err
		}
		return place.From(seen)
	}
	var images []delivery.Image
	err = a.call(ctx, "images", place.Cluster, func(ctx context.Context, t delivery.Target) error {
		if finder, ok := t.(delivery.ImageFinder); ok {
			images, err = finder.Images(ctx, place.Pattern())
		}
		return err
	})
	if err != nil {
		return image, err
	}
	return place.Among(images)
}

// foundBefore returns the images that earlier stages put out, the nearest first.
func foundBefore(outputs []json.RawMessage) []pipeline.FoundImage {
	var found []pipeline.FoundImage
	for _, raw := range outputs {
		var one pipeline.FoundImages
		if json.Unmarshal(raw, &one) == nil {
			found = append(found, one.AMIDetails...)
		}
	}
	return found
}
