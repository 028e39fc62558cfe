package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// validatePipeline says everything that a save would refuse. Nothing is saved.
func (s *Server) validatePipeline(c *gin.Context) error {
	out := v1.PipelineCheck{Errors: []v1.FieldError{}}
	doc, err := bindDocument(c)
	if err != nil {
		out.Errors = fieldErrors(findingsOf(err))
		return render(c, http.StatusOK, out)
	}
	p, findings, err := s.checkPipeline(c.Request.Context(), doc)
	if err != nil {
		return err
	}
	if p.Name != "" && p.Application != "" {
		other, err := s.store.Pipeline(c.Request.Context(), p.Application, p.Name)
		switch {
		case err == nil && other.ID != p.ID && other.ID != p.Name:
			findings = append(findings, delivery.Finding{Pointer: "/name", Message: "is the name of another pipeline of the application, which has the id " + other.ID})
		case err != nil && delivery.KindOf(err) != delivery.NotFound:
			return err
		}
	}
	if len(findings) > 0 {
		out.Errors = fieldErrors(inOrder(findings))
	}
	out.Valid = len(findings) == 0
	return render(c, http.StatusOK, out)
}

var applicationName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_. -]{0,98}[a-zA-Z0-9_])?$`)

// checkPipeline reads a pipeline document and checks all of it, together with the
// template that it is made from.
func (s *Server) checkPipeline(ctx context.Context, doc object) (delivery.Pipeline, []delivery.Finding, error) {
	p, findings := readPipeline(doc)
	planned, wrong, err := s.plan(ctx, p.Document)
	if err != nil {
		return p, nil, err
	}
	if len(wrong) == 0 {
		if wrong = delivery.FindingsOf(checkDefinition(planned.Document)); len(wrong) == 0 {
			wrong = delivery.FindingsOf(s.checkSuited(planned.Document))
		}
		wrong = planned.Findings(wrong)
		p.Document = planned.WithTriggers(p.Document)
	}
	return p, inOrder(append(findings, wrong...)), nil
}

// readPipeline reads the fields of a pipeline that the server itself looks at.
func readPipeline(doc object) (delivery.Pipeline, []delivery.Finding) {
	var p delivery.Pipeline
	var findings []delivery.Finding
	var err error
	keep := func(err error) { findings = append(findings, delivery.FindingsOf(err)...) }
	for key, into := range map[string]*string{"id": &p.ID, "name": &p.Name, "application": &p.Application} {
		if *into, err = doc.text(key); err != nil && key == "id" {
			keep(err) // of name and application Parse complains later
		}
	}
	if p.Name = strings.TrimSpace(p.Name); p.Name == "" && absentOrText(doc["name"]) {
		findings = append(findings, delivery.Finding{Pointer: "/name", Message: "is required: a pipeline has a name"})
	}
	for key, text := range map[string]string{"id": p.ID, "name": p.Name} {
		if message := unfit(text); message != "" {
			findings = append(findings, delivery.Finding{Pointer: "/" + key, Message: message})
		}
	}
	if !applicationName.MatchString(p.Application) && absentOrText(doc["application"]) {
		findings = append(findings, delivery.Finding{Pointer: "/application", Message: fmt.Sprintf("%q is not the name of an application", p.Application)})
	}
	if raw, ok := doc["index"]; ok && json.Unmarshal(raw, &p.Index) != nil {
		findings = append(findings, delivery.Finding{Pointer: "/index", Message: "must be a whole number, not " + typeOf(raw)})
	}
	if p.Disabled, err = doc.flag("disabled"); err != nil {
		keep(err)
	}
	nameTriggers(doc)
	p.Document = doc.raw()
	return p, findings
}

// nameTriggers gives each cron trigger that has no id one, as Gate does when a
// pipeline is saved. What is no trigger is left to the check of the whole.
func nameTriggers(doc object) {
	var triggers []json.RawMessage
	if json.Unmarshal(doc["triggers"], &triggers) != nil {
		return
	}
	for i, raw := range triggers {
		var fields object
		if json.Unmarshal(raw, &fields) != nil || fields == nil || string(fields["type"]) != `"`+pipeline.CronType+`"` {
			continue
		}
		if id := string(fields["id"]); id == "" || id == "null" || id == `""` {
			fields.set("id", ulid.Make().String())
			triggers[i] = fields.raw()
		}
	}
	doc.set("triggers", triggers)
}

// maxName is the longest name or id of a pipeline in bytes: both stand in paths.
const maxName = 255

// unfit says why a path could not name what has this name, or nothing.
func unfit(name string) string {
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("has %d bytes; %d are allowed", len(name), maxName)
	case strings.ContainsFunc(name, isControl):
		return "holds control characters"
	default:
		return ""
	}
}

// absentOrText is false for a value whose type alone is wrong, which is said once.
func absentOrText(raw json.RawMessage) bool {
	kind := typeOf(raw)
	return kind == "nothing" || kind == "null" || kind == "a string"
}

func stagePointer(index int) string { return "/stages/" + strconv.Itoa(index) }

// under puts a prefix before the findings' pointers.
func under(prefix string, findings []delivery.Finding) []delivery.Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Pointer = prefix + out[i].Pointer
	}
	return out
}

// inOrder sorts findings by field and drops repetitions.
func inOrder(findings []delivery.Finding) []delivery.Finding {
	slices.SortStableFunc(findings, func(a, b delivery.Finding) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}
