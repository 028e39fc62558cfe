package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// PreconditionsType is the stage type that fails unless what it names holds.
const PreconditionsType = "checkPreconditions"

// The types of preconditions.
const (
	// ExpressionPrecondition asks whether an expression is true.
	ExpressionPrecondition = "expression"
	// StagePrecondition asks for the status of a stage of the same execution.
	StagePrecondition = "stageStatus"
	// SizePrecondition asks how many server groups a cluster has.
	SizePrecondition = "clusterSize"
)

// Precondition is one entry of a stage of PreconditionsType.
type Precondition struct {
	Type string
	// FailPipeline is false for one that ends its branch alone when it does not hold.
	FailPipeline bool
	// FailureMessage is the author's own word for what is wrong; empty for none.
	FailureMessage string

	// Expression and Result are the text of an expression, with or without ${}, and
	// what it yielded; the result is nil when it did not evaluate, for the reason Problem.
	Expression string
	Result     json.RawMessage
	Problem    string

	// StageName and StageStatus are what the stage has to be.
	StageName   string
	StageStatus delivery.Status

	// Clusters are the cluster in each of its regions, each of which has to compare
	// with Expected. OnlyEnabled leaves out server groups that take no traffic.
	Clusters    []delivery.Cluster
	Comparison  string
	Expected    int
	OnlyEnabled bool
}

// comparisons are what a size can be compared by.
var comparisons = map[string]func(actual, expected int) bool{
	"==": func(a, b int) bool { return a == b },
	"<":  func(a, b int) bool { return a < b },
	"<=": func(a, b int) bool { return a <= b },
	">":  func(a, b int) bool { return a > b },
	">=": func(a, b int) bool { return a >= b },
}

func readPreconditions(o object) []Precondition {
	var out []Precondition
	summary := readSummary(o)
	for _, entry := range o.objects("preconditions") {
		p := Precondition{Type: entry.requiredText("type"), FailPipeline: entry.flag("failPipeline", true)}
		if !entry.given("context") {
			entry.refuse("context", "is required: what the precondition is about")
			continue
		}
		context, ok := entry.child("context")
		if !ok {
			continue
		}
		p.FailureMessage = context.text("failureMessage")
		switch {
		case p.Type == ExpressionPrecondition:
			readConditionExpression(context, &p, summary)
		case p.Type == StagePrecondition:
			readStageStatus(context, &p)
		case p.Type == SizePrecondition:
			readClusterSize(context, &p)
		case p.Type != "":
			entry.refuse("type", "is %q; must be %s, %s or %s", p.Type, ExpressionPrecondition, StagePrecondition, SizePrecondition)
		}
		out = append(out, p)
	}
	return out
}

func readConditionExpression(o object, p *Precondition, summary EvaluationSummary) {
	raw := o.fields["expression"]
	switch delivery.JSONKind(raw) {
	case "null":
		o.refuse("expression", "is required")
	case "string":
		if p.Expression = unquote(raw); strings.TrimSpace(p.Expression) == "" {
			o.refuse("expression", "is required")
		}
	case "boolean":
		p.Expression = string(raw)
	default:
		o.refuse("expression", "must be a string, not %s", delivery.WithArticle(delivery.JSONKind(raw)))
	}
	p.Result, p.Problem = o.fields["expressionResult"], summary.of(raw)
}

func readStageStatus(o object, p *Precondition) {
	p.StageName = o.requiredText("stageName")
	word := o.requiredText("stageStatus")
	if word == "" {
		return
	}
	var err error
	if p.StageStatus, err = delivery.ParseStatus(word); err != nil {
		o.refuse("stageStatus", "%q is not a status", word)
	}
}

func readClusterSize(o object, p *Precondition) {
	one := delivery.Cluster{Provider: readProvider(o), Account: readCredentials(o), Moniker: readOperated(o, "")}
	for _, region := range readOperateRegions(o) {
		in := one
		in.Region = region
		p.Clusters = append(p.Clusters, in)
	}
	p.Comparison = cmp.Or(o.text("comparison"), "==")
	if comparisons[p.Comparison] == nil {
		o.refuse("comparison", "is %q; must be ==, <, <=, > or >=", p.Comparison)
	}
	o.require("expected")
	if p.Expected, _ = o.whole("expected"); p.Expected < 0 {
		o.refuse("expected", "is %d; must not be negative", p.Expected)
	}
	p.OnlyEnabled = o.flag("onlyEnabledServerGroups", false)
}

// ParsePreconditions reads an evaluated stage. An Invalid error carries findings with
// pointers relative to the stage.
func ParsePreconditions(context json.RawMessage) ([]Precondition, error) {
	r := &reader{}
	var out []Precondition
	if o, ok := r.document(context); ok {
		out = readPreconditions(o)
	}
	return out, delivery.InvalidError("checkPreconditions stage is not valid", r.findings)
}

// EvaluatePreconditions evaluates a stage. The expression of a precondition is
// evaluated by itself: its text stays and what it yields stands beside it as
// expressionResult. One that cannot be evaluated is told in the summary, at that time.
func EvaluatePreconditions(context json.RawMessage, at time.Time, evaluate Evaluator) (json.RawMessage, error) {
	r := &reader{deferred: true}
	o, ok := r.document(context)
	if !ok {
		return nil, delivery.InvalidError("checkPreconditions stage is not valid", r.findings)
	}
	if o.dynamic("preconditions") || delivery.JSONKind(o.fields["preconditions"]) != "list" {
		return evaluate(context)
	}
	summary, list := EvaluationSummary{}, o.list("preconditions")
	for i, raw := range list {
		var err error
		if list[i], err = evaluatePrecondition(raw, at, summary, evaluate); err != nil {
			return nil, err
		}
	}
	return evaluateApart(maps.Clone(o.fields), "preconditions", list, summary, evaluate)
}

func evaluatePrecondition(raw json.RawMessage, at time.Time, summary EvaluationSummary, evaluate Evaluator) (json.RawMessage, error) {
	var entry, context map[string]json.RawMessage
	if json.Unmarshal(raw, &entry) != nil || json.Unmarshal(entry["context"], &context) != nil || unquote(entry["type"]) != ExpressionPrecondition {
		return evaluate(raw)
	}
	text := context["expression"]
	delete(context, "expression")
	delete(context, "expressionResult")
	rest, err := json.Marshal(context)
	if err != nil {
		return nil, fmt.Errorf("encode the precondition: %w", err)
	}
	if rest, err = evaluate(rest); err != nil {
		return nil, err
	}
	context = nil
	if err := json.Unmarshal(rest, &context); err != nil {
		return nil, fmt.Errorf("read the precondition: %w", err)
	}
	context["expression"] = text
	if result, failed := evaluate(asExpression(text)); failed != nil {
		summary.add(text, failed, at)
	} else {
		context["expressionResult"] = result
	}
	if entry["context"], err = json.Marshal(context); err != nil {
		return nil, fmt.Errorf("encode the precondition: %w", err)
	}
	return json.Marshal(entry)
}

// asExpression writes a condition as a template: people leave the ${} out.
func asExpression(text json.RawMessage) json.RawMessage {
	if delivery.JSONKind(text) != "string" || isExpression(text) {
		return text
	}
	out, err := json.Marshal("${" + unquote(text) + "}")
	if err != nil {
		return text
	}
	return out
}
