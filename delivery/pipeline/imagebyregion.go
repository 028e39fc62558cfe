package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// imageByRegion is the field of a cluster object with an image for each of its
// regions, which images by id need. What earlier stages found is written there.
const imageByRegion = "imageByRegion"

// missingImage is a region of a cluster object that names no image for it.
type missingImage struct {
	finding delivery.Finding
	// provider and region are empty where only the run tells.
	provider, region string
	// after is the number of findings before the place of this one.
	after int
}

// readImageByRegion returns the images by region, and refuses one that goes nowhere.
func readImageByRegion(o object, image string, regions []string) map[string]string {
	images, ok := o.child(imageByRegion)
	if !ok {
		return nil
	}
	if image != "" {
		o.refuse(imageByRegion, "is given together with the image %q; only one of them can say which", image)
	}
	out := map[string]string{}
	for _, region := range images.names() {
		if !slices.Contains(regions, region) {
			images.refuse(region, "is no region of the cluster")
		}
		out[region] = images.requiredText(region)
	}
	return out
}

// imageField is the field for the image of a cluster object.
func imageField(provider string) string {
	if provider == "aws" {
		return "amiName"
	}
	return "image"
}

// MissingImage is the finding about a cluster whose image no earlier stage finds,
// with a pointer relative to its object.
func (c DeployCluster) MissingImage() delivery.Finding {
	return delivery.Finding{Pointer: "/" + imageField(c.Cluster.Provider), Message: "is required: the image to deploy, a name or an id"}
}

// missingIn is the missing image of a cluster of the object.
func (c DeployCluster) missingIn(o object, after int) missingImage {
	m := missingImage{finding: c.MissingImage(), provider: c.Cluster.Provider, region: c.Cluster.Region, after: after}
	if o.dynamic("cloudProvider") || o.dynamic("provider") {
		m.provider = ""
	}
	m.finding.Pointer = o.at + m.finding.Pointer
	return m
}

// FindsImage reports whether a stage that comes before the stage of this refId
// finds an image of the provider in the region, as far as that is known. Empty
// words stand for any.
func (d Definition) FindsImage(refID, provider, region string) bool {
	for _, before := range d.Before(refID) {
		read := findTypes()[before.Type]
		if read == nil {
			continue
		}
		r := &reader{deferred: true}
		o, ok := r.document(before.Context())
		if !ok {
			continue
		}
		places := read(o).Places
		if o.dynamic("cloudProvider") || len(places) == 0 { // only its run can tell
			return true
		}
		for _, place := range places {
			if (provider == "" || place.Cluster.Provider == provider) && (region == "" || place.Cluster.Region == region) {
				return true
			}
		}
		if o.dynamic("regions") || len(o.list("regions")) > len(places) {
			return true
		}
	}
	return false
}

// Before returns the stages that must be over before the stage of this refId, the
// nearest first.
func (d Definition) Before(refID string) []StageSpec {
	var out []StageSpec
	seen := map[string]bool{refID: true}
	for near := []string{refID}; len(near) > 0; {
		var next []string
		for _, id := range near {
			stage := d.Stage(id)
			if stage == nil {
				continue
			}
			for _, before := range stage.Requisites {
				if s := d.Stage(before); !seen[before] && s != nil {
					seen[before] = true
					next, out = append(next, before), append(out, *s)
				}
			}
		}
		near = next
	}
	return out
}

// refuseMissing refuses the images that stages lack and no earlier stage finds.
func (d Definition) refuseMissing(r *reader, doc object) {
	r.refuseMissing(func(m missingImage) bool {
		for i, stage := range d.Stages {
			if strings.HasPrefix(m.finding.Pointer, fmt.Sprintf("%s/%d/", doc.pointer("stages"), i)) {
				return !d.FindsImage(stage.RefID, m.provider, m.region)
			}
		}
		return true
	})
}

// refuseMissing refuses the missing images for which refused is true, each once
// and in its place.
func (r *reader) refuseMissing(refused func(missingImage) bool) {
	for _, m := range slices.Backward(r.missing) {
		if refused(m) && !slices.Contains(r.findings, m.finding) {
			r.findings = slices.Insert(r.findings, m.after, m.finding)
		}
	}
}

// WithImages returns an evaluated stage that deploys with the images that stages
// before it found, the nearest first, where its cluster objects name none. What
// was found for another provider or region is left out.
func WithImages(stageType string, context json.RawMessage, found []FoundImage) (json.RawMessage, error) {
	if len(found) == 0 || !Deploys(stageType) {
		return context, nil
	}
	r := &reader{}
	o, ok := r.document(context)
	if !ok {
		return context, nil // its reader says what is wrong
	}
	images := map[string]json.RawMessage{} // by the pointer of the cluster object
	for _, c := range deployTypes()[stageType](o).Clusters {
		if c.Spec.Image != "" || c.Clones() {
			continue
		}
		for _, image := range found {
			if image.CloudProvider == c.Cluster.Provider && image.Region == c.Cluster.Region {
				images[c.Pointer] = withImage(images[c.Pointer], image)
				break
			}
		}
	}
	return rewritten(context, images)
}

// withImage adds an image to an object of images by region.
func withImage(to json.RawMessage, image FoundImage) json.RawMessage {
	all := map[string]string{}
	if len(to) > 0 && json.Unmarshal(to, &all) != nil {
		return to
	}
	all[image.Region] = image.ImageID
	out, err := json.Marshal(all)
	if err != nil {
		return to
	}
	return out
}

// rewritten puts images into the cluster objects of a stage, by their pointers.
func rewritten(context json.RawMessage, images map[string]json.RawMessage) (json.RawMessage, error) {
	if len(images) == 0 {
		return context, nil
	}
	var stage map[string]json.RawMessage
	if err := json.Unmarshal(context, &stage); err != nil {
		return nil, fmt.Errorf("read the stage: %w", err)
	}
	if own, ok := images[""]; ok {
		stage[imageByRegion] = own
		return json.Marshal(stage)
	}
	var clusters []map[string]json.RawMessage
	if err := json.Unmarshal(stage["clusters"], &clusters); err != nil {
		return nil, fmt.Errorf("read the clusters of the stage: %w", err)
	}
	for i := range clusters {
		if own, ok := images[fmt.Sprintf("/clusters/%d", i)]; ok {
			clusters[i][imageByRegion] = own
		}
	}
	var err error
	if stage["clusters"], err = json.Marshal(clusters); err != nil {
		return nil, fmt.Errorf("write the clusters of the stage: %w", err)
	}
	return json.Marshal(stage)
}
