package pipeline

import (
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery/calendar"
)

// CronType is the type of triggers that the clock fires.
const CronType = "cron"

// DefaultZone is where a cron trigger's clock stands when it names no zone, as in
// Spinnaker (echo, scheduler.cron.timezone).
const DefaultZone = "America/Los_Angeles"

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
