package pipeline

import (
	"encoding/base64"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
)

// EvaluateArtifactsType is the stage type that makes artifacts of texts, whose
// expressions are evaluated.
const EvaluateArtifactsType = "evaluateArtifacts"

// The type and the account of an artifact that holds its content itself, in
// Spinnaker's words.
const (
	embeddedType    = "embedded/base64"
	embeddedAccount = "embedded-artifact"
)

// EmbeddedArtifact is an artifact whose reference is its content in base64.
type EmbeddedArtifact struct {
	Type            string `json:"type"`
	ArtifactAccount string `json:"artifactAccount"`
	Name            string `json:"name"`
	Reference       string `json:"reference"`
}

// EmbeddedArtifacts are the outputs of a stage of EvaluateArtifactsType.
type EmbeddedArtifacts struct {
	Artifacts []EmbeddedArtifact `json:"artifacts"`
}

// readContents reads the artifacts of a stage. One without content is left out.
func readContents(o object) EmbeddedArtifacts {
	out := EmbeddedArtifacts{Artifacts: []EmbeddedArtifact{}}
	o.require("artifactContents")
	for _, content := range o.objects("artifactContents") {
		name, raw := content.requiredText("name"), content.fields["contents"]
		text := []byte(raw)
		switch delivery.JSONKind(raw) {
		case "string":
			text = []byte(unquote(raw))
		case "null":
			text = nil
		}
		if len(text) > 0 {
			out.Artifacts = append(out.Artifacts, EmbeddedArtifact{embeddedType, embeddedAccount, name, base64.StdEncoding.EncodeToString(text)})
		}
	}
	if len(out.Artifacts) > maxArtifacts {
		o.refuse("artifactContents", "has %d artifacts; %d are allowed", len(out.Artifacts), maxArtifacts)
	}
	return out
}

// ParseContents returns the artifacts that an evaluated stage makes. An Invalid error
// carries findings with pointers relative to the stage.
func ParseContents(context json.RawMessage) (EmbeddedArtifacts, error) {
	r := &reader{}
	var out EmbeddedArtifacts
	if o, ok := r.document(context); ok {
		out = readContents(o)
	}
	return out, delivery.InvalidError("evaluateArtifacts stage is not valid", r.findings)
}
