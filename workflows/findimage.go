package workflows

import (
	"context"
	"encoding/json"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// findKind is a stage that finds images: one activity that reads.
func findKind() stageKind {
	return stageKind{
		read: func(kind string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseFind(kind, evaluated)
			return BegunStage{}, err
		},
		run: (*execution).find,
	}
}

func (x *execution) find(ctx workflow.Context, refID string, _ BegunStage) stageResult {
	var found []pipeline.FoundImage
	var a *Activities
	failure, canceled := x.await(ctx, "find the image", prepareOptions, &found, a.FindImages, StageRequest{Execution: x.ID, Stage: refID})
	if canceled || failure != nil {
		return stageResult{canceled: canceled, failure: failure}
	}
	return stageResult{outputs: pipeline.NewFoundImages(refID, found)}
}

// FindImages returns one image for each region of the stage, in its order. NotFound
// when a region has none. It only reads.
func (a *Activities) FindImages(ctx context.Context, in StageRequest) ([]pipeline.FoundImage, error) {
	found, err := a.findImages(ctx, in)
	return found, applicationError(err)
}

func (a *Activities) findImages(ctx context.Context, in StageRequest) ([]pipeline.FoundImage, error) {
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
