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

// CronType is the type of triggers that the clock fires.
const CronType = "cron"

// DefaultZone is where a cron trigger's clock stands when it names no zone, as in
// Spinnaker (echo, scheduler.cron.timezone).
const DefaultZone = "America/Los_Angeles"

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

	// Expression, Cron, Zone and CatchUp are those of a trigger of CronType.
	Expression string
	Cron       calendar.Cron
	Zone       *time.Location
	CatchUp    calendar.CatchUp
}

// Trigger returns the trigger with that id, or nil.
func (d Definition) Trigger(id string) *Trigger {
	for i := range d.Triggers {
		if d.Triggers[i].ID == id {
			return &d.Triggers[i]
		}
	}
	return nil
}

func parseTriggers(doc object) []Trigger {
	var out []Trigger
	ids := map[string]string{}
	elements := doc.list("triggers")
	for i, raw := range elements {
		o, ok := doc.r.object(fmt.Sprintf("%s/%d", doc.pointer("triggers"), i), raw)
		if !ok {
			continue
		}
		t := Trigger{ID: o.text("id"), Type: o.requiredText("type"), Enabled: o.flag("enabled", true), Raw: raw}
		if p, ok := o.child("parameters"); ok && len(p.fields) > 0 {
			t.Parameters = o.fields["parameters"]
		}
		if t.Type == CronType {
			readCron(o, &t)
		}
		if at, taken := ids[t.ID]; taken && t.ID != "" {
			o.refuse("id", "%q is the id of %s already", t.ID, at)
		}
		ids[t.ID] = o.at
		out = append(out, t)
	}
	return out
}

// readCron reads what the clock needs to know.
func readCron(o object, t *Trigger) {
	if t.Expression = o.requiredText("cronExpression"); t.Expression != "" {
		var err error
		if t.Cron, err = calendar.ParseCron(t.Expression, t.ID); err != nil {
			o.refuse("cronExpression", "%v", err)
		}
	}
	name := o.text("timezone")
	if name == "" {
		name = DefaultZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		o.refuse("timezone", "%q is no time zone of the tz database, such as Europe/Berlin", name)
	}
	t.Zone = zone
	t.CatchUp = readCatchUp(o)
}

func readCatchUp(o object) calendar.CatchUp {
	out := calendar.CatchUp{Policy: calendar.Latest, Window: calendar.DefaultWindow, Max: 10}
	c, ok := o.child("catchUp")
	if !ok {
		return out
	}
	if policy := calendar.Policy(c.text("policy")); policy != "" {
		out.Policy = policy
		if !slices.Contains(calendar.Policies(), policy) {
			c.refuse("policy", "is %q; must be skip, latest or all", policy)
		}
	}
	if seconds, ok := c.whole("windowSec"); ok {
		out.Window = time.Duration(seconds) * time.Second
		if out.Window < 0 || out.Window > calendar.MaxWindow {
			c.refuse("windowSec", "is %d; must be 0 to %d", seconds, int(calendar.MaxWindow/time.Second))
		}
	}
	if n, ok := c.whole("max"); ok {
		out.Max = n
		if n < 1 || n > calendar.MaxCatchUp {
			c.refuse("max", "is %d; must be 1 to %d", n, calendar.MaxCatchUp)
		}
	}
	return out
}

// checkTriggers refuses triggers of the clock that could never start the pipeline:
// nobody is there to give a parameter that is missing.
func (d Definition) checkTriggers() []delivery.Finding {
	var out []delivery.Finding
	for i, t := range d.Triggers {
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
