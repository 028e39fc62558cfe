package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/calendar"
)

// Trigger is one of a pipeline's triggers.
type Trigger struct {
	// ID is empty until the pipeline is saved.
	ID   string
	Type string
	// Enabled triggers fire; so do those that do not say.
	Enabled bool
	// Raw is the trigger object as it stands in the document.
	Raw json.RawMessage
	// Parameters are given to the executions that the trigger starts; nil for none.
	Parameters json.RawMessage
	// Artifacts are the ids of the expected artifacts without which it does not fire.
	Artifacts []string
	// Secret is what the sender of an event has to know; empty for nothing.
	Secret string
	// Constraints are what the payload of an event has to meet.
	Constraints []Constraint

	// Expression, Cron, Zone and CatchUp are those of a trigger of CronType.
	Expression string
	Cron       calendar.Cron
	Zone       *time.Location
	CatchUp    calendar.CatchUp

	// on tells the events that fire the trigger; nil when none does.
	on matcher
}

// matcher tells the events that a trigger waits for.
type matcher interface {
	// match returns what the event tells the execution's trigger.
	match(e Event) (facts, bool)
}

// facts are fields of an execution's trigger.
type facts map[string]any

// Trigger returns the trigger with that id, or nil.
func (d Definition) Trigger(id string) *Trigger {
	for i := range d.Triggers {
		if d.Triggers[i].ID == id {
			return &d.Triggers[i]
		}
	}
	return nil
}

// triggerReaders are the types of triggers that start pipelines, with what reads
// the fields of their own.
func triggerReaders() map[string]func(object, *Trigger) {
	return map[string]func(object, *Trigger){
		CronType: readCron, WebhookType: readWebhookTrigger, GitType: readGitTrigger, DockerType: readDockerTrigger, PipelineType: readPipelineTrigger,
		"jenkins": readBuildTrigger, "travis": readBuildTrigger, "concourse": readBuildTrigger,
	}
}

// keptTriggers are Spinnaker's types of triggers that can be saved and start nothing.
var keptTriggers = []string{"artifactory", "cdevents", "helm", "nexus", "plugin", "pubsub"}

func parseTriggers(doc object) []Trigger {
	var out []Trigger
	ids := map[string]string{}
	deferred := doc.r.deferred
	doc.r.deferred = false // no trigger is evaluated: "${" is a text like others
	defer func() { doc.r.deferred = deferred }()
	for i, raw := range doc.list("triggers") {
		o, ok := doc.r.object(fmt.Sprintf("%s/%d", doc.pointer("triggers"), i), raw)
		if !ok {
			continue
		}
		t := Trigger{ID: o.text("id"), Type: o.requiredText("type"), Enabled: o.flag("enabled", true), Raw: raw, Artifacts: o.texts("expectedArtifactIds")}
		if p, ok := o.child("parameters"); ok && len(p.fields) > 0 {
			t.Parameters = o.fields["parameters"]
		}
		readTriggerType(o, &t)
		if at, taken := ids[t.ID]; taken && t.ID != "" {
			o.refuse("id", "%q is the id of %s already", t.ID, at)
		}
		ids[t.ID] = o.at
		out = append(out, t)
	}
	return out
}

// readTriggerType reads the fields of the trigger's type, or refuses an unknown type.
func readTriggerType(o object, t *Trigger) {
	readers := triggerReaders()
	if read, ok := readers[t.Type]; ok {
		read(o, t)
		return
	}
	if t.Type == "" || slices.Contains(keptTriggers, t.Type) {
		return
	}
	names := slices.Clone(keptTriggers)
	for name := range readers {
		names = append(names, name)
	}
	slices.Sort(names)
	message := fmt.Sprintf("%q is not a known type of trigger", t.Type)
	if near := nearest(t.Type, names); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	o.refuse("type", "%s (known: %s)", message, strings.Join(names, ", "))
}

// needed reads a field without which an enabled trigger would never fire.
func (t *Trigger) needed(o object, name string) string {
	if t.Enabled {
		return o.requiredText(name)
	}
	return o.text(name)
}

// checkTriggers refuses triggers that could never start the pipeline: nobody is
// there to give a parameter that is missing, and an artifact that the pipeline does
// not expect never comes.
func (d Definition) checkTriggers() []delivery.Finding {
	var out []delivery.Finding
	for i, t := range d.Triggers {
		for n, id := range t.Artifacts {
			if d.expected(id) == nil {
				out = append(out, delivery.Finding{Pointer: fmt.Sprintf("/triggers/%d/expectedArtifactIds/%d", i, n), Message: fmt.Sprintf("no expected artifact of the pipeline has the id %q", id)})
			}
		}
		if t.Type != CronType || !t.Enabled {
			continue
		}
		_, err := d.ResolveParameters(t.Parameters)
		for _, f := range delivery.FindingsOf(err) {
			f.Pointer = fmt.Sprintf("/triggers/%d/parameters%s", i, f.Pointer)
			out = append(out, f)
		}
	}
	return out
}
