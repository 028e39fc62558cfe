package pipeline

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

var notOfTemplateID = regexp.MustCompile(`[^A-Za-z0-9_.]+`)

// ToTemplate returns a template without variables that stands for the pipeline: what
// is to vary is for its author to say. Invalid for a pipeline that is made from a
// template itself.
func ToTemplate(p delivery.Pipeline) (json.RawMessage, error) {
	if IsTemplated(p.Document) {
		return nil, delivery.Errorf(delivery.Invalid, "pipeline %s is made from a template already", p.Name)
	}
	r := &reader{}
	doc, ok := r.document(p.Document)
	if !ok {
		return nil, delivery.InvalidError("pipeline is not valid", r.findings)
	}
	inner := map[string]json.RawMessage{}
	for name, value := range doc.fields {
		switch name {
		case "id", "application", "name", "index", "updateTs", "createTs", "lastModifiedBy", "lastModified", "revision", "disabled", "schema", "type":
		default:
			inner[name] = value
		}
	}
	id := strings.Trim(notOfTemplateID.ReplaceAllString(strings.ToLower(p.Application+"-"+p.Name), "-"), "-_.")
	return encoded(map[string]any{
		"schema": "v2", "id": id[:min(len(id), 200)], "protect": false, "variables": []string{}, "pipeline": inner,
		"metadata": map[string]any{"name": p.Name, "description": "Made from pipeline " + p.Name + " of " + p.Application, "owner": p.LastModifiedBy,
			"scopes": []string{p.Application}},
	}), nil
}
