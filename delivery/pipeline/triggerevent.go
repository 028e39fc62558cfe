package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// WebhookType is the type of triggers that any POST with their source fires.
const WebhookType = "webhook"

// Event is something that happened elsewhere and may start pipelines.
type Event struct {
	// Type is that of the triggers that it may fire, and Source is where it comes from:
	// the last two parts of the path that it was sent to.
	Type, Source string
	// Payload is the whole body; JSON.
	Payload json.RawMessage
	// Parameters and Artifacts are those of the payload; nil for none.
	Parameters json.RawMessage
	Artifacts  []Artifact

	document any
	proof    proof
	// commits, images and build are what the payload tells, by the event's type.
	commits []commit
	images  []image
	build   *build
	// ended is the execution that has ended, of type pipeline.
	ended *delivery.Execution
}

// eventReaders are the types of events, with what reads the payloads of each. The
// types without a reader start nothing.
func eventReaders() map[string]func(*Event, func(string) string) {
	return map[string]func(*Event, func(string) string){
		WebhookType: func(*Event, func(string) string) {}, GitType: (*Event).readCommits, DockerType: (*Event).readImages,
		"jenkins": (*Event).readBuild, "travis": (*Event).readBuild, "concourse": (*Event).readBuild,
		"artifacts": nil, "cdevents": nil, "pubsub": nil,
	}
}

// ReadEvent reads what was sent to the path of a type and a source. header returns
// the first value of a request header. A payload of another shape than the senders
// of the type use is no error: it fires nothing. NotFound for an unknown type,
// Invalid for a body that is not JSON or has wrong parameters or artifacts.
func ReadEvent(kind, source string, header func(name string) string, body []byte) (Event, error) {
	readers := eventReaders()
	read, known := readers[kind]
	if !known {
		return Event{}, unknownEvent(kind, readers)
	}
	e := Event{Type: kind, Source: source, Payload: bytes.TrimSpace(body), proof: proofOf(header, body)}
	if len(e.Payload) == 0 {
		e.Payload = json.RawMessage(`{}`)
	}
	var err error
	if e.document, err = decode(e.Payload); err != nil {
		return Event{}, delivery.InvalidError("webhook is not valid", []delivery.Finding{{Message: err.Error()}})
	}
	if err := e.readStart(); err != nil {
		return Event{}, err
	}
	if read != nil {
		read(&e, header)
	}
	return e, nil
}

func unknownEvent[T any](kind string, readers map[string]T) error {
	var names []string
	for name := range readers {
		names = append(names, name)
	}
	slices.Sort(names)
	message := fmt.Sprintf("%q is not a known type of webhook", kind)
	if near := nearest(kind, names); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return delivery.Errorf(delivery.NotFound, "%s (known: %s)", message, strings.Join(names, ", "))
}

// readStart reads what every payload may say of the executions that it starts. Only
// a sender of type webhook writes for Slipway; what others have under these names is
// their own, and counts where it has the right shape.
func (e *Event) readStart() error {
	if delivery.JSONKind(e.Payload) != "object" {
		return nil
	}
	r := &reader{}
	o, ok := r.document(e.Payload)
	if !ok {
		return delivery.InvalidError("webhook is not valid", r.findings)
	}
	if p, ok := o.child("parameters"); ok && len(p.fields) > 0 {
		e.Parameters = o.fields["parameters"]
	}
	e.Artifacts = readArtifacts(o, "artifacts")
	if len(r.findings) > 0 && e.Type != WebhookType {
		e.Parameters, e.Artifacts = nil, nil
		return nil
	}
	return delivery.InvalidError("webhook is not valid", r.findings)
}

// Fire returns the trigger of the execution that an event starts, by the first of the
// pipeline's triggers that it fires; ok is false for none. The parameters of the
// payload go over those of the trigger.
func (d Definition) Fire(e Event, eventID string) (fired delivery.Trigger, ok bool) {
	for _, t := range d.Triggers {
		if !t.Enabled || t.on == nil || t.Type != e.Type || !t.trusts(e) {
			continue
		}
		told, matches := t.on.match(e)
		if !matches || slices.ContainsFunc(t.Constraints, func(c Constraint) bool { return !c.met(e.document) }) {
			continue
		}
		artifacts := slices.Concat(e.Artifacts, told.artifacts())
		if !d.bring(t.Artifacts, artifacts) {
			continue
		}
		told["eventId"], told["artifacts"] = eventID, append([]Artifact{}, artifacts...)
		if e.ended == nil {
			told["payload"] = e.Payload
		}
		out := delivery.Trigger{Type: t.Type, User: delivery.System.Name}
		if e.ended != nil {
			out = ChildTrigger(*e.ended)
		}
		out.Parameters, out.Document = merged(t.Parameters, e.Parameters), t.document(told)
		return out, true
	}
	return delivery.Trigger{}, false
}

// merged returns the fields of two objects; those of the second count.
func merged(first, second json.RawMessage) json.RawMessage {
	fields := map[string]json.RawMessage{}
	for _, raw := range []json.RawMessage{first, second} {
		if len(raw) > 0 && json.Unmarshal(raw, &fields) != nil {
			return second // both were read as objects before
		}
	}
	if len(fields) == 0 {
		return nil
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return second
	}
	return out
}

// trusts reports whether the event proves what the trigger asks for. As in
// Spinnaker a signed push fires no trigger that cannot check the signature.
func (t Trigger) trusts(e Event) bool {
	if t.Secret == "" {
		return t.Type != GitType || !e.proof.given()
	}
	return e.proof.knows(t.Secret)
}

// document is the trigger of an execution: that of the pipeline without its secret,
// with facts set over it.
func (t Trigger) document(told facts) json.RawMessage {
	fields := map[string]any{}
	var saved map[string]json.RawMessage
	if json.Unmarshal(t.Raw, &saved) == nil {
		for name, value := range saved {
			fields[name] = value
		}
	}
	for name, value := range told {
		fields[name] = value
	}
	delete(fields, "secret")
	out, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage(`{}`) // every field came from JSON or is text
	}
	return out
}

// artifacts are those among the facts; the facts keep the plain list.
func (f facts) artifacts() []Artifact {
	found, _ := f["artifacts"].([]Artifact)
	return found
}

// webhookTrigger waits for a POST of its source.
type webhookTrigger struct{ source string }

func readWebhookTrigger(o object, t *Trigger) {
	t.Secret, t.Constraints = o.text("secret"), readConstraints(o)
	t.on = webhookTrigger{t.needed(o, "source")}
}

func (w webhookTrigger) match(e Event) (facts, bool) { return facts{}, e.Source == w.source }
