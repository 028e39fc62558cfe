package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// ChildType is the stage type that starts another pipeline.
const ChildType = "pipeline"

// ChildPipeline is the input of a stage of ChildType.
type ChildPipeline struct {
	// Application is empty for the application of the execution.
	Application string
	// Pipeline is the id or the name of a saved pipeline.
	Pipeline string
	// Parameters is a JSON object; nil for none.
	Parameters json.RawMessage
	// Wait lets the stage end as the other pipeline does; else it ends when that has
	// been started.
	Wait bool
	// SkipOutputs keeps what the other pipeline's stages put out from this one.
	SkipOutputs bool
	// Expected are artifacts that the other pipeline's stages have to put out.
	Expected []ExpectedArtifact
}

func readChild(o object) ChildPipeline {
	c := ChildPipeline{
		Application: readEither(o, "application", "pipelineApplication"), Pipeline: readEither(o, "pipeline", "pipelineId"),
		Wait: o.flag("waitForCompletion", true), SkipOutputs: o.flag("skipDownstreamOutput", false),
	}
	if c.Pipeline == "" && !o.dynamic("pipeline") && !o.dynamic("pipelineId") {
		o.refuse("pipeline", "is required: the id or the name of a pipeline")
	}
	if o.flag("isStrategy", false) {
		o.refuse("isStrategy", "is not supported: a strategy is chosen by the cluster that it deploys to")
	}
	c.Expected = readExpected(o)
	if !c.Wait && (len(c.Expected) > 0 || o.r.deferredIn(o.fields["expectedArtifacts"])) {
		o.refuse("expectedArtifacts", "cannot be combined with waitForCompletion false: what the other pipeline made is known when it has ended")
	}
	if parameters, ok := o.child("pipelineParameters"); ok && len(parameters.fields) > 0 {
		c.Parameters = o.fields["pipelineParameters"]
	}
	return c
}

// ParseChild reads an evaluated stage. An Invalid error carries findings with
// pointers relative to the stage.
func ParseChild(context json.RawMessage) (ChildPipeline, error) {
	r := &reader{}
	var out ChildPipeline
	if o, ok := r.document(context); ok {
		out = readChild(o)
	}
	return out, delivery.InvalidError("pipeline stage is not valid", r.findings)
}

// Trigger is what the execution of the other pipeline is started by. It has the
// artifacts of its parent, those that stages put out among them. The stage and the
// time of its beginning are the correlation id.
func (c ChildPipeline) Trigger(parent delivery.Execution, stage delivery.Stage) (delivery.Trigger, error) {
	t := ChildTrigger(parent)
	t.User, t.Parameters = parent.Trigger.User, c.Parameters
	t.CorrelationID = fmt.Sprintf("%s/%s/%d", parent.ID, stage.RefID, stage.StartTime.UnixMilli())
	fields := map[string]any{"parentPipelineStageId": stage.ID}
	if given := EndEvent(parent).Artifacts; len(given) > 0 {
		fields["artifacts"] = given
	}
	for name, value := range parentFacts(parent) {
		fields[name] = value
	}
	document, err := json.Marshal(fields)
	if err != nil {
		return t, fmt.Errorf("encode trigger: %w", err)
	}
	t.Document = document
	return t, nil
}

// Refused is why the other pipeline could not be started, with the pointers of the
// stage.
func (c ChildPipeline) Refused(err error) error {
	findings := delivery.FindingsOf(err)
	if len(findings) == 0 {
		return err
	}
	out := make([]delivery.Finding, len(findings))
	for i, f := range findings {
		if rest, ok := strings.CutPrefix(f.Pointer, "/parameters"); ok {
			f.Pointer = "/pipelineParameters" + rest
		} else {
			f.Message, f.Pointer = strings.TrimSpace(f.Pointer+" "+f.Message), "/pipeline"
		}
		out[i] = f
	}
	return delivery.InvalidError("pipeline "+c.Pipeline+" cannot be started", out)
}

// ChildOf tells which execution a stage started.
func ChildOf(child delivery.Execution) map[string]json.RawMessage {
	return map[string]json.RawMessage{"executionId": quoted(string(child.ID)), "executionName": quoted(child.Name), "status": quoted(string(child.Status))}
}

// Outputs are what later stages may read of the other execution: its id, name and
// status and, once it has ended, what its stages put out, and the artifacts that are
// expected of it. Where that is too much for one stage, it is left out and said so. The
// error, which comes with outputs, is why the stage fails: Conflict when the stage
// waits and the other execution did not succeed, Invalid when artifacts are missing.
func (c ChildPipeline) Outputs(child delivery.Execution) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if child.Status.Complete() && !c.SkipOutputs {
		out = stageOutputs(child)
	}
	maps.Copy(out, ChildOf(child))
	switch {
	case !c.Wait:
		return out, nil
	case child.Status != delivery.StatusSucceeded:
		return out, Ended(child)
	case len(c.Expected) == 0:
		return out, nil
	}
	found, err := bindAll(Definition{Artifacts: c.Expected}, putOut(child))
	if err != nil {
		return out, err
	}
	out["artifacts"], out["resolvedExpectedArtifacts"] = encoded(found.Artifacts), encoded(found.Resolved)
	return out, nil
}

// ChildID is the id of the execution that a stage starts, known before it is there. It
// sorts by the time of the stage's beginning, and is another one for another attempt.
func ChildID(parent delivery.ExecutionID, stage delivery.Stage) delivery.ExecutionID {
	sum := sha256.Sum256([]byte(stage.Key(parent)))
	id := sum[:ulidBytes]
	if ms := stage.StartTime.UnixMilli(); ms >= 0 && ms < 1<<48 { // else no clock of ours shows it
		id = append(binary.BigEndian.AppendUint64(nil, uint64(ms))[2:], sum[:ulidBytes-6]...)
	}
	return delivery.ExecutionID(ulidText(id))
}

// ulidBytes is the length of a ULID: 48 bits of time and 80 that tell ids apart.
const ulidBytes = 16

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

// ulidText writes a ULID: 26 digits of 5 bits, the first with two leading zero bits.
func ulidText(id []byte) string {
	padded := crockford.EncodeToString(append(make([]byte, 4), id...))
	return padded[len(padded)-26:]
}

// maxTaken bounds what one execution takes over of another one's outputs, in bytes.
const maxTaken = 32 << 10

// stageOutputs are what the stages of an execution put out, those of later stages
// over those of earlier ones.
func stageOutputs(e delivery.Execution) map[string]json.RawMessage {
	out, size := map[string]json.RawMessage{}, 0
	for _, s := range e.Stages {
		var fields map[string]json.RawMessage
		if len(s.Outputs) == 0 || json.Unmarshal(s.Outputs, &fields) != nil {
			continue
		}
		for name, value := range fields {
			out[name] = value
		}
		size += len(s.Outputs)
	}
	if size > maxTaken {
		return map[string]json.RawMessage{"outputsLeftOut": quoted(fmt.Sprintf("the stages put out %d bytes; %d are taken over at most", size, maxTaken))}
	}
	return out
}

func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return raw
}

// Ended returns why an execution did not succeed, Conflict; nil for one that did or
// that has not ended.
func Ended(e delivery.Execution) error {
	if !e.Status.Complete() || e.Status == delivery.StatusSucceeded {
		return nil
	}
	what := fmt.Sprintf("pipeline %s (execution %s) ended %s", cmp.Or(e.Name, e.Description), e.ID, e.Status)
	if why := whyEnded(e); why != "" {
		what += ": " + why
	}
	return delivery.Errorf(delivery.Conflict, "%s", what)
}

func whyEnded(e delivery.Execution) string {
	var reasons []string
	for _, s := range e.Stages {
		if s.Failure != nil && s.Status.Halting() {
			reasons = append(reasons, fmt.Sprintf("stage %s: %s", cmp.Or(s.Name, s.Type), s.Failure.Error()))
		}
	}
	if len(reasons) == 0 && e.CancellationReason != "" {
		reasons = append(reasons, e.CancellationReason)
	}
	return strings.Join(reasons, "; ")
}
