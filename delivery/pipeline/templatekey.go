package pipeline

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// TemplatedType is the type of a pipeline that is made from a template.
const TemplatedType = "templatedPipeline"

// LatestTag is the tag of the version of a template that was saved last.
const LatestTag = "latest"

// TemplateTags are the tags that a version of a template can have.
var TemplateTags = []string{LatestTag, "stable", "unstable", "experimental", "test", "canary"}

// TemplateKey names one version of a template.
type TemplateKey struct {
	ID string
	// Tag is empty when Digest says which version.
	Tag string
	// Digest is the SHA-256 of the version in hexadecimal digits.
	Digest string
}

// String returns the key as it stands in references, for example "rollout:stable".
func (k TemplateKey) String() string {
	if k.Digest != "" {
		return k.ID + "@sha256:" + k.Digest
	}
	return k.ID + ":" + k.Tag
}

var templateID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$`)

// ParseTemplateKey reads "id", which is the latest version, "id:tag" and
// "id@sha256:digest", each also with "spinnaker://" before it.
func ParseTemplateKey(reference string) (TemplateKey, error) {
	text := strings.TrimPrefix(reference, "spinnaker://")
	k := TemplateKey{ID: text, Tag: LatestTag}
	if id, digest, ok := strings.Cut(text, "@sha256:"); ok {
		k = TemplateKey{ID: id, Digest: digest}
		if digest == "" {
			return k, delivery.Errorf(delivery.Invalid, "%q has an empty digest", reference)
		}
	} else if id, tag, ok := strings.Cut(text, ":"); ok {
		k = TemplateKey{ID: id, Tag: tag}
		if !slices.Contains(TemplateTags, tag) {
			return k, delivery.Errorf(delivery.Invalid, "%q has the tag %q; tags are %s", reference, tag, strings.Join(TemplateTags, ", "))
		}
	}
	if !templateID.MatchString(k.ID) {
		return k, delivery.Errorf(delivery.Invalid, "%q is no reference to a template such as spinnaker://rollout:stable", reference)
	}
	return k, nil
}

// IsTemplated reports whether a pipeline document is of TemplatedType.
func IsTemplated(document json.RawMessage) bool {
	var fields map[string]json.RawMessage
	return json.Unmarshal(document, &fields) == nil && unquote(fields["type"]) == TemplatedType
}

// TemplateOf returns which template a document of TemplatedType is made from.
func TemplateOf(document json.RawMessage) (TemplateKey, error) {
	r := &reader{}
	var key TemplateKey
	if doc, ok := r.document(document); ok {
		key = readTemplateKey(doc)
	}
	return key, delivery.InvalidError("pipeline is not valid", r.findings)
}

func readTemplateKey(doc object) TemplateKey {
	doc.require("template")
	template, ok := doc.child("template")
	if !ok {
		return TemplateKey{}
	}
	if kind := template.text("type"); kind != "" && kind != "front50/pipelineTemplate" {
		template.refuse("type", "is %q; templates are stored here, which is front50/pipelineTemplate", kind)
	}
	reference := template.requiredText("reference")
	if reference == "" {
		return TemplateKey{}
	}
	key, err := ParseTemplateKey(reference)
	if err != nil {
		template.refuse("reference", "%v", err)
	}
	return key
}
