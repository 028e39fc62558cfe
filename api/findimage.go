package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// checkFinds refuses stages that look for images where nothing is configured.
func (s *Server) checkFinds(by delivery.Principal, d pipeline.Definition, env expression.Env) ([]delivery.Finding, error) {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if !pipeline.Finds(stage.Type) {
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		find, err := pipeline.ParseFind(stage.Type, evaluated)
		findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
		for _, place := range find.Places {
			if place, err = place.In(s.targets.Accounts()); err != nil {
				findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
				continue
			}
			if err := s.authorize(by, read, resource{place.Cluster.Moniker.App}); err != nil {
				return nil, err
			}
			where := intendedOperation{OperateCluster: pipeline.OperateCluster{Cluster: place.Cluster}, stage: objectOf(stage.Raw)}
			findings = append(findings, under(stagePointer(i), s.checkOperation(where))...)
		}
	}
	return findings, nil
}

// withEvaluatedFinds is the definition with the expressions of its stages that find
// images evaluated, where that is possible.
func withEvaluatedFinds(d pipeline.Definition, env expression.Env) pipeline.Definition {
	d.Stages = slices.Clone(d.Stages)
	for i, stage := range d.Stages {
		if !pipeline.Finds(stage.Type) {
			continue
		}
		if evaluated, err := evaluateStage(stage, env); err == nil {
			d.Stages[i].Raw = evaluated
		}
	}
	return d
}

// outputsBefore are the images that the stages before this one will find, and what
// their outputs will be, the nearest first.
func (p *planner) outputsBefore(refID string) (found []pipeline.FoundImage, outputs []json.RawMessage, err error) {
	for _, before := range p.definition.Before(refID) {
		images := p.found[before.RefID]
		if len(images) == 0 {
			continue
		}
		raw, err := json.Marshal(pipeline.NewFoundImages(before.RefID, images))
		if err != nil {
			return nil, nil, fmt.Errorf("encode outputs of stage %s: %w", before.RefID, err)
		}
		found, outputs = append(found, images...), append(outputs, raw)
	}
	return found, outputs, nil
}

// finds plans a stage that finds images, by finding them.
func (p *planner) finds(ctx context.Context, stage pipeline.StageSpec, evaluated json.RawMessage, out v1.PlannedStage) (v1.PlannedStage, error) {
	wanted, err := pipeline.ParseFind(stage.Type, evaluated)
	if err != nil {
		return out, err
	}
	for _, place := range wanted.Places {
		image, err := p.image(ctx, place)
		switch kind := delivery.KindOf(err); {
		case err != nil && (kind == delivery.NotFound || kind == delivery.NotReady):
			out.Unplanned = "it finds no image: " + messageOf(err)
			p.hash.add(stage.RefID, out.Unplanned)
			return out, nil
		case err != nil:
			return out, err
		}
		p.hash.add(stage.RefID, image.Region, image.ImageID)
		p.found[stage.RefID] = append(p.found[stage.RefID], image)
		out.Images = append(out.Images, v1.PlannedImage{CloudProvider: image.CloudProvider, Account: image.Account, Region: image.Region,
			ImageID: image.ImageID, ImageName: image.ImageName})
	}
	return out, nil
}

func (p *planner) image(ctx context.Context, place pipeline.FindImage) (pipeline.FoundImage, error) {
	place, err := place.In(p.targets.Accounts())
	if err != nil {
		return pipeline.FoundImage{}, err
	}
	target, err := p.targets.Target(place.Cluster)
	if err != nil {
		return pipeline.FoundImage{}, err
	}
	if place.FromCluster() {
		seen, err := p.observe(ctx, target, place.Cluster, place.LoadBalancer())
		if err != nil {
			return pipeline.FoundImage{}, err
		}
		return place.From(seen)
	}
	var images []delivery.Image
	if finder, ok := target.(delivery.ImageFinder); ok {
		if images, err = finder.Images(ctx, place.Pattern()); err != nil {
			return pipeline.FoundImage{}, fmt.Errorf("find images in %s of account %s: %w", place.Cluster.Region, place.Cluster.Account, err)
		}
	}
	return place.Among(images)
}
