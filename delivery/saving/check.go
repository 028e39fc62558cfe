package saving

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Lookups find what a save has to know. All are needed.
type Lookups struct {
	// Template returns the content of a template version; NotFound when there is none.
	Template func(key pipeline.TemplateKey) (json.RawMessage, error)
	// Stored returns the pipeline with an id; NotFound when there is none.
	Stored func(id string) (delivery.Pipeline, error)
	// Named returns the pipeline of an application that has a name, ignoring case, or that
	// id; NotFound when there is none.
	Named func(application, name string) (delivery.Pipeline, error)
	// Target returns the target of a cluster; Invalid when its account is not configured.
	Target func(cluster delivery.Cluster) (delivery.Target, error)
	// NewID makes the ids of triggers that have none.
	NewID func() string
}

// Records are what is stored; the store's errors are those of Lookups.
type Records interface {
	Document(ctx context.Context, kind delivery.DocumentKind, id string) (delivery.Document, error)
	PipelineByID(ctx context.Context, id string) (delivery.Pipeline, error)
	Pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error)
}

// LookupsIn look into the records for as long as ctx is not done, and at the targets.
func LookupsIn(ctx context.Context, records Records, targets delivery.Targets, newID func() string) Lookups {
	return Lookups{
		Template: func(key pipeline.TemplateKey) (json.RawMessage, error) {
			template, err := records.Document(ctx, delivery.TemplateDocument, key.String())
			return template.Content, err
		},
		Stored: func(id string) (delivery.Pipeline, error) { return records.PipelineByID(ctx, id) },
		Named: func(application, name string) (delivery.Pipeline, error) {
			return records.Pipeline(ctx, application, name)
		},
		Target: targets.Target,
		NewID:  newID,
	}
}

// Check reads a pipeline document and checks all of it, together with the template that
// it is made from. The findings, in order, say what a save refuses; the error is for
// what could not be found out.
func Check(document json.RawMessage, look Lookups) (delivery.Pipeline, []delivery.Finding, error) {
	p, findings := pipeline.ReadSaved(document, look.NewID)
	planned, wrong, err := Plan(p.Document, look)
	if err != nil {
		return p, nil, err
	}
	if len(wrong) == 0 {
		if wrong = delivery.FindingsOf(CheckDefinition(planned.Document)); len(wrong) == 0 {
			wrong = checkCircle(p, planned.Document)
		}
		if len(wrong) == 0 {
			wrong = delivery.FindingsOf(CheckSuited(planned.Document, look))
		}
		wrong = planned.Findings(wrong)
		p.Document = planned.WithTriggers(p.Document)
	}
	return p, delivery.InOrder(append(findings, wrong...)), nil
}

// checkCircle refuses stages that would start the pipeline itself and wait for it.
func checkCircle(p delivery.Pipeline, document json.RawMessage) []delivery.Finding {
	d, err := pipeline.Parse(document)
	if err != nil {
		return delivery.FindingsOf(err)
	}
	return d.WaitsForItself(p)
}

// Plan returns the pipeline that a document stands for: itself, or what its template
// makes of it. The findings say why there is none; the error is for what could not be
// found out.
func Plan(document json.RawMessage, look Lookups) (pipeline.Planned, []delivery.Finding, error) {
	if !pipeline.IsTemplated(document) {
		return pipeline.Planned{Document: document}, nil, nil
	}
	key, err := pipeline.TemplateOf(document)
	if err != nil {
		return pipeline.Planned{}, delivery.FindingsOf(err), nil
	}
	template, err := look.Template(key)
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return pipeline.Planned{}, []delivery.Finding{{Pointer: "/template/reference", Message: fmt.Sprintf("there is no template %s", key)}}, nil
	case err != nil:
		return pipeline.Planned{}, nil, err
	}
	planned, err := pipeline.PlanTemplate(document, template)
	return planned, delivery.FindingsOf(err), nil
}

// CheckSuited refuses a pipeline with a strategy that the target kind of a cluster
// cannot carry out. Of accounts that are not configured nothing is known yet.
func CheckSuited(document json.RawMessage, look Lookups) error {
	d, err := pipeline.Parse(document)
	if err != nil {
		return err
	}
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		for _, one := range pipeline.Intended(stage).Clusters {
			target, err := look.Target(one.Cluster)
			if err != nil {
				continue
			}
			routed := one.Spec.LoadBalancer != "" || one.MayBeRouted
			findings = append(findings, delivery.Under(stagePointer(i)+one.Pointer, one.Strategy.Unsuited(target.Describe().Capabilities, routed))...)
		}
		for _, one := range pipeline.IntendedOperations(stage).Clusters {
			target, err := look.Target(one.Cluster)
			if err == nil && one.Promotion != nil {
				findings = append(findings, delivery.Under(stagePointer(i), one.Strategy.Unsuited(target.Describe().Capabilities, true))...)
			}
		}
	}
	return delivery.InvalidError("pipeline is not valid", delivery.InOrder(findings))
}

func stagePointer(index int) string { return fmt.Sprintf("/stages/%d", index) }
