package cloudrun

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// settings is the part of a deploy stage's cluster object that this kind reads.
// schema.json describes it for people.
type settings struct {
	Image            string            `json:"image"`
	Manifest         *manifest         `json:"manifest"`
	Manifests        []manifest        `json:"manifests"`
	Port             int32             `json:"port"`
	Env              map[string]string `json:"env"`
	CPU              string            `json:"cpu"`
	Memory           string            `json:"memory"`
	ServiceAccount   string            `json:"serviceAccount"`
	Concurrency      int32             `json:"concurrency"`
	TimeoutSeconds   int32             `json:"timeoutSeconds"`
	StartupProbePath string            `json:"startupProbePath"`
	Labels           map[string]string `json:"labels"`
	LoadBalancers    []string          `json:"loadBalancers"`
	ScaleDown        bool              `json:"scaleDown"`

	// capacity is the spec's.
	capacity delivery.Capacity
	// at is the JSON pointer of the manifest: a stage that deploys a manifest has
	// a list of them, a cluster object of a deploy stage has one.
	at string
	// from is the spec's: the server group whose template holds where these are
	// absent, and source that template, once it was read.
	from   string
	source *runpb.RevisionTemplate
}

// parseSettings reads the cluster object of a spec, or the stage that deploys a
// manifest. What the spec says itself (image, load balancer) wins. A value of the
// wrong type is a finding, and so is every field of the manifest that is not
// understood: leaving it out would run something else than the manifest says.
func parseSettings(spec delivery.GroupSpec) (settings, []delivery.Finding) {
	s := settings{capacity: spec.Capacity, at: "/manifest", from: spec.From}
	var raw struct {
		Manifest  json.RawMessage `json:"manifest"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if len(spec.Settings) > 0 {
		for _, into := range []any{&s, &raw} {
			if err := json.Unmarshal(spec.Settings, into); err != nil {
				return s, []delivery.Finding{delivery.JSONFinding(err)}
			}
		}
	}
	unknown := unknownFields(raw.Manifest, reflect.TypeFor[manifest](), "/manifest")
	unknown = append(unknown, unknownFields(raw.Manifests, reflect.TypeFor[[]manifest](), "/manifests")...)
	if len(unknown) > 0 {
		return s, unknown
	}
	if s.Manifest == nil && len(s.Manifests) > 0 {
		s.Manifest, s.at = &s.Manifests[0], "/manifests/0"
	}
	if !s.Manifest.names(spec.Image) {
		s.Image = cmp.Or(spec.Image, s.Image)
	}
	if spec.LoadBalancer != "" && len(s.LoadBalancers) == 0 {
		s.LoadBalancers = []string{spec.LoadBalancer}
	}
	return s, nil
}

// unknownFields returns a finding for each field of the document that the type has
// no place for. null and values of the wrong kind are not its business.
func unknownFields(document json.RawMessage, t reflect.Type, pointer string) []delivery.Finding {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []delivery.Finding
	switch {
	case t.Kind() == reflect.Struct:
		var fields map[string]json.RawMessage
		if json.Unmarshal(document, &fields) != nil {
			return nil
		}
		for _, name := range sortedKeys(fields) {
			at := pointer + "/" + delivery.PointerToken(name)
			if place, known := fieldOf(t, name); known {
				out = append(out, unknownFields(fields[name], place, at)...)
			} else {
				out = append(out, delivery.Finding{Pointer: at, Message: refusal(at)})
			}
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		var items []json.RawMessage
		if json.Unmarshal(document, &items) != nil {
			return nil
		}
		for i, item := range items {
			out = append(out, unknownFields(item, t.Elem(), fmt.Sprintf("%s/%d", pointer, i))...)
		}
	}
	return out
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("json") == name {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

// refusal says why a field of a manifest is not taken, and where that is set.
func refusal(pointer string) string {
	switch {
	case strings.HasSuffix(pointer, "/spec/traffic"):
		return "cannot be used: the deployment's strategy decides on traffic"
	case strings.HasSuffix(pointer, "/template/metadata/name"):
		return "cannot be used: the revision is named after the server group"
	case strings.HasSuffix(pointer, "/metadata/annotations"):
		return "cannot be used: the service belongs to whoever made it; what is in spec/template/metadata goes to the revision"
	case strings.HasSuffix(pointer, "/status"):
		return "cannot be used: it is what Cloud Run answers"
	default:
		return "is not understood, and leaving it out would run something else"
	}
}

// balancer is the load balancer's name; empty for none.
func (s settings) balancer() string {
	if len(s.LoadBalancers) == 0 {
		return ""
	}
	return s.LoadBalancers[0]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
