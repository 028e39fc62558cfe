package v1

// Image is the images of one name in one account.
type Image struct {
	ImageName     string          `json:"imageName"`
	Account       string          `json:"account"`
	CloudProvider string          `json:"cloudProvider"`
	Attributes    ImageAttributes `json:"attributes"`
	// AMIs are the ids by region, the newest first. Compute Engine's images are the
	// same in every region.
	AMIs map[string][]string `json:"amis"`
	// Tags are those of the newest.
	Tags          map[string]string            `json:"tags"`
	TagsByImageID map[string]map[string]string `json:"tagsByImageId"`
}

// ImageAttributes is what else is known of the newest image.
type ImageAttributes struct {
	// CreationDate is RFC 3339 in UTC; absent when the cloud does not say.
	CreationDate string `json:"creationDate,omitempty"`
}
