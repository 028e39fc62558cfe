package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// The stage types that find images. They only read.
const (
	// FindImageType takes the image of a server group of a cluster.
	FindImageType = "findImage"
	// FindImageFromClusterType is Spinnaker's other name of FindImageType.
	FindImageFromClusterType = "findImageFromCluster"
	// FindImageFromTagsType looks among the images of an account.
	FindImageFromTagsType = "findImageFromTags"
)

// FindStage is the input of a stage that finds images.
type FindStage struct {
	// Places has one entry per region, in the document's order.
	Places []FindImage
}

// FindImage asks for the one image of one region.
type FindImage struct {
	// Cluster is where to look. The account may be empty when an image is found by
	// its name: then it is the only one that has the region. So is the moniker.
	Cluster delivery.Cluster
	// Select says whose image it is, among the server groups of the cluster;
	// empty when an image is found by its name.
	Select      delivery.Selection
	OnlyEnabled bool
	// Package is what the image's name begins with, and Tags are among its tags.
	Package string
	Tags    map[string]string
}

// FoundImage is an image as stages put it out, with Spinnaker's names.
type FoundImage struct {
	// AMI is an older name of ImageID, on AWS.
	AMI       string `json:"ami,omitempty"`
	ImageID   string `json:"imageId"`
	ImageName string `json:"imageName"`
	// CloudProvider, Account and Region are where it was found.
	CloudProvider string `json:"cloudProvider"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	// SourceServerGroup is the server group whose image it is; empty for none.
	SourceServerGroup string `json:"sourceServerGroup,omitempty"`
	RefID             string `json:"refId,omitempty"`
}

// FoundImages are the outputs of a stage that finds images, under Spinnaker's names.
type FoundImages struct {
	AMIDetails        []FoundImage    `json:"amiDetails"`
	DeploymentDetails []FoundImage    `json:"deploymentDetails"`
	Artifacts         []ImageArtifact `json:"artifacts"`
}

// ImageArtifact is a found image in the form of Spinnaker's artifacts.
type ImageArtifact struct {
	// Type is, for example, "aws/image".
	Type     string `json:"type"`
	Name     string `json:"name"`
	Location string `json:"location"`
	// Reference is the image's id.
	Reference string `json:"reference"`
}

// NewFoundImages returns the outputs of the stage of this refId.
func NewFoundImages(refID string, found []FoundImage) FoundImages {
	out := FoundImages{Artifacts: make([]ImageArtifact, len(found))}
	details := slices.Clone(found)
	for i, image := range found {
		details[i].RefID = refID
		out.Artifacts[i] = ImageArtifact{Type: image.CloudProvider + "/image", Name: image.ImageName, Location: image.Region, Reference: image.ImageID}
	}
	out.AMIDetails, out.DeploymentDetails = details, details
	return out
}

// findTypes are the stage types that find images, with their readers.
func findTypes() map[string]func(object) FindStage {
	return map[string]func(object) FindStage{FindImageType: readFindImage, FindImageFromClusterType: readFindImage, FindImageFromTagsType: readFindFromTags}
}

// Finds reports whether stages of the type find images: ParseFind reads them.
func Finds(stageType string) bool { return findTypes()[stageType] != nil }

// ParseFind reads an evaluated stage of a type that finds images. An Invalid error
// carries findings with pointers relative to the stage.
func ParseFind(stageType string, context json.RawMessage) (FindStage, error) {
	read := findTypes()[stageType]
	if read == nil {
		return FindStage{}, delivery.Errorf(delivery.Invalid, "stage type %q finds no image", stageType)
	}
	r := &reader{}
	var stage FindStage
	if o, ok := r.document(context); ok {
		stage = read(o)
	}
	if err := delivery.InvalidError(stageType+" stage is not valid", r.findings); err != nil {
		return FindStage{}, err
	}
	return stage, nil
}

// readFindImage reads a stage that takes the image of a cluster.
func readFindImage(o object) FindStage {
	one := FindImage{
		Cluster: delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o), Moniker: readOperated(o, "")},
		Select:  readSelectionStrategy(o), OnlyEnabled: o.flag("onlyEnabled", true),
	}
	if o.given("imageNamePattern") {
		o.refuse("imageNamePattern", "is not supported: the server group says which image it is")
	}
	return one.inRegions(o)
}

// selectionStrategies are Spinnaker's words for whose image it is.
var selectionStrategies = map[string]delivery.Selection{
	"NEWEST": delivery.SelectCurrent, "OLDEST": delivery.SelectOldest, "LARGEST": delivery.SelectLargest, "FAIL": delivery.SelectOnly,
}

func readSelectionStrategy(o object) delivery.Selection {
	word := cmp.Or(o.text("selectionStrategy"), "NEWEST")
	which, ok := selectionStrategies[word]
	if !ok {
		o.refuse("selectionStrategy", "is %q; must be NEWEST, OLDEST, LARGEST or FAIL", word)
	}
	return which
}

// readFindFromTags reads a stage that looks for the newest image of a package.
func readFindFromTags(o object) FindStage {
	one := FindImage{Cluster: delivery.Cluster{Provider: readProvider(o), Account: readEither(o, "credentials", "account")}, Package: o.requiredText("packageName")}
	if strings.ContainsAny(one.Package, "*?") {
		o.refuse("packageName", "is %q; a package's name has no wildcards", one.Package)
	}
	if one.Cluster.Provider == cloudRun {
		o.refuse("cloudProvider", "is %q, which keeps no list of images", cloudRun)
	}
	if tags, ok := o.child("tags"); ok {
		one.Tags = map[string]string{}
		for _, name := range tags.names() {
			one.Tags[name] = tags.text(name)
		}
	}
	return one.inRegions(o)
}

// inRegions is the question for each of the stage's regions.
func (f FindImage) inRegions(o object) FindStage {
	var stage FindStage
	for _, region := range readOperateRegions(o) {
		in := f
		in.Cluster.Region = region
		stage.Places = append(stage.Places, in)
	}
	return stage
}

// FromCluster reports whether the image is one of a server group; else it is found
// by its name.
func (f FindImage) FromCluster() bool { return f.Select != "" }

// LoadBalancer returns the name to observe the cluster with.
func (f FindImage) LoadBalancer() string { return OperateCluster{Cluster: f.Cluster}.LoadBalancer() }

// Pattern is the pattern of the names among which an image is found by its name.
func (f FindImage) Pattern() string { return f.Package + "*" }

// In returns the question with the account in which to look. Invalid with the
// pointer /credentials when that is not clear.
func (f FindImage) In(accounts []delivery.Account) (FindImage, error) {
	if f.Cluster.Account != "" {
		return f, nil
	}
	var names []string
	for _, a := range accounts {
		if a.Has(f.Cluster.Provider) && a.HasRegion(f.Cluster.Region) {
			names = append(names, a.Name)
		}
	}
	if len(names) != 1 {
		message := fmt.Sprintf("is required: no account of provider %q has region %q", f.Cluster.Provider, f.Cluster.Region)
		if len(names) > 1 {
			message = fmt.Sprintf("is required: region %q is one of the accounts %s", f.Cluster.Region, strings.Join(names, ", "))
		}
		return f, delivery.InvalidError("the account is not clear", []delivery.Finding{{Pointer: "/credentials", Message: message}})
	}
	f.Cluster.Account = names[0]
	return f, nil
}

// From returns the image of the server group that is meant, NotFound when there is
// none, and NotReady while the cloud does not tell its image.
func (f FindImage) From(seen delivery.Snapshot) (FoundImage, error) {
	g, err := seen.Select(f.Select, delivery.SelectOptions{OnlyEnabled: f.OnlyEnabled, LoneOldest: true})
	if err != nil {
		return FoundImage{}, fmt.Errorf("find the image of cluster %s: %w", f.Cluster.Key(), err)
	}
	if g.Image == "" && g.ImageID == "" {
		return FoundImage{}, delivery.Errorf(delivery.NotReady, "the image of server group %s in %s is not known", g.Name, f.Cluster.Region)
	}
	out := f.found(delivery.Image{ID: cmp.Or(g.ImageID, g.Image), Name: cmp.Or(g.Image, g.ImageID)})
	out.SourceServerGroup = g.Name
	return out, nil
}

// Among returns the newest of the images that belongs to the package and has the
// tags; NotFound when there is none. The images are in order, the newest first.
func (f FindImage) Among(images []delivery.Image) (FoundImage, error) {
	for _, image := range images {
		rest, ok := strings.CutPrefix(image.Name, f.Package)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], "-_.")) && f.tagged(image) {
			return f.found(image), nil
		}
	}
	return FoundImage{}, delivery.Errorf(delivery.NotFound, "no image of package %s%s in %s of account %s", f.Package, f.wanted(), f.Cluster.Region, f.Cluster.Account)
}

func (f FindImage) tagged(image delivery.Image) bool {
	for name, want := range f.Tags {
		if has, ok := image.Tags[name]; !ok || has != want {
			return false
		}
	}
	return true
}

// wanted says for people which tags are wanted.
func (f FindImage) wanted() string {
	if len(f.Tags) == 0 {
		return ""
	}
	parts := make([]string, 0, len(f.Tags))
	for name, value := range f.Tags {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return " with the tags " + strings.Join(parts, ", ")
}

func (f FindImage) found(image delivery.Image) FoundImage {
	out := FoundImage{ImageID: image.ID, ImageName: image.Name, CloudProvider: f.Cluster.Provider, Account: f.Cluster.Account, Region: f.Cluster.Region}
	if f.Cluster.Provider == "aws" {
		out.AMI = image.ID
	}
	return out
}
