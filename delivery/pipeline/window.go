package pipeline

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/calendar"
)

// WindowType is the type of the stage that waits, before another one, until the other
// one's window is open.
const WindowType = "restrictExecutionDuringTimeWindow"

// windowName is what Spinnaker calls stages of WindowType.
const windowName = "Restrict Execution During Time Window"

// BeforeRef is the refId of what runs before a stage, as Spinnaker counts.
func BeforeRef(refID string) string { return refID + "<1" }

// Window is when a stage may begin.
type Window struct {
	Weekly calendar.Weekly
	Zone   *time.Location
	jitter jitter
}

// jitter is a delay after a window has opened, so that many stages do not begin at once.
type jitter struct {
	min, max int // seconds
	// skipManual leaves it out of executions that a person started.
	skipManual bool
}

// ParseWindow reads the window of an evaluated stage; nil when it has none. zone is that
// of the pipeline; empty for Spinnaker's. The error is Invalid.
func ParseWindow(context json.RawMessage, zone string) (*Window, error) {
	r := &reader{}
	var w *Window
	if o, ok := r.document(context); ok {
		w = readWindow(o, zone)
	}
	return w, delivery.InvalidError("execution window is not valid", r.findings)
}

func readWindow(o object, zone string) *Window {
	if o.dynamic(WindowType) {
		o.refuse(WindowType, "must not be an expression")
	}
	if !o.flag(WindowType, false) {
		return nil
	}
	o.require("restrictedExecutionWindow")
	window, ok := o.child("restrictedExecutionWindow")
	if !ok {
		return nil
	}
	w := &Window{Zone: readZone(window, zone)}
	w.Weekly.Days = readDays(window)
	for _, span := range window.objects("whitelist") {
		w.Weekly.Spans = append(w.Weekly.Spans, readSpan(span))
	}
	if child, ok := window.child("jitter"); ok && child.flag("enabled", false) {
		w.jitter = readJitter(child)
	}
	return w
}

func readZone(o object, otherwise string) *time.Location {
	name := o.text("timezone")
	if name == "" {
		name = otherwise
	}
	if name == "" {
		name = DefaultZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		o.refuse("timezone", "%q is no time zone of the tz database, such as Europe/Berlin", name)
		return time.UTC
	}
	return zone
}

// readDays reads Spinnaker's days: 1 is Sunday and 7 is Saturday.
func readDays(o object) []time.Weekday {
	var days []time.Weekday
	for i, raw := range o.list("days") {
		if o.r.deferred && isExpression(raw) {
			continue
		}
		text, _ := scalar(raw)
		day, err := strconv.Atoi(text)
		if err != nil || day < 1 || day > 7 {
			o.r.refuse(o.pointer("days")+fmt.Sprintf("/%d", i), "must be a day from 1 (Sunday) to 7 (Saturday)")
			continue
		}
		days = append(days, time.Weekday(day-1))
	}
	return days
}

func readSpan(o object) calendar.Span {
	minute := func(hours, minutes string) int {
		h, _ := o.whole(hours)
		m, _ := o.whole(minutes)
		if h < 0 || h > 24 || h == 24 && (m != 0 || hours == "startHour") {
			o.refuse(hours, "is %d; must be an hour of the day", h)
		}
		if m < 0 || m > 59 {
			o.refuse(minutes, "is %d; must be from 0 to 59", m)
		}
		return 60*h + m
	}
	o.require("startHour")
	o.require("endHour")
	s := calendar.Span{From: minute("startHour", "startMin"), To: minute("endHour", "endMin")}
	known := !o.dynamic("startHour") && !o.dynamic("startMin") && !o.dynamic("endHour") && !o.dynamic("endMin")
	if s.From == s.To && known && o.given("startHour") && o.given("endHour") {
		o.r.refuse(o.at, "never opens: it ends where it begins; leave the whitelist out for whole days")
	}
	return s
}

func readJitter(o object) jitter {
	var j jitter
	j.min, _ = o.whole("minDelay")
	j.max, _ = o.whole("maxDelay")
	j.skipManual = o.flag("skipManual", false)
	switch {
	case j.min < 0:
		o.refuse("minDelay", "is %d; must not be negative", j.min)
	case j.max < j.min && !o.dynamic("maxDelay"):
		o.refuse("maxDelay", "is %d; must not be below minDelay, %d", j.max, j.min)
	}
	return j
}

// String says for people when the stage may begin, for example "Mon, Tue, 09:00 to
// 17:30, Europe/Berlin".
func (w Window) String() string {
	days, spans := []string{}, []string{}
	for _, day := range w.Weekly.Days {
		days = append(days, day.String()[:3])
	}
	for _, s := range w.Weekly.Spans {
		spans = append(spans, fmt.Sprintf("%02d:%02d to %02d:%02d", s.From/60, s.From%60, s.To/60, s.To%60))
	}
	if len(days) == 0 {
		days = append(days, "every day")
	}
	if len(spans) == 0 {
		spans = append(spans, "all day")
	}
	text := strings.Join(days, ", ") + ", " + strings.Join(spans, " or ") + ", " + w.Zone.String()
	if w.jitter.max > 0 {
		text += fmt.Sprintf(", %d s to %d s later", w.jitter.min, w.jitter.max)
	}
	if w.jitter.max > 0 && w.jitter.skipManual {
		text += " unless started by hand"
	}
	return text
}

// delay follows from a text, so that asking again gives the same.
func (j jitter) delay(of string, t delivery.Trigger) time.Duration {
	if j.max <= 0 || j.skipManual && t.Type == "manual" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(of)) // never fails
	return time.Duration(j.min+int(h.Sum64()%uint64(j.max-j.min+1))) * time.Second
}

// Begin is when a stage that could begin now may: once the window is open, and after
// the jitter, which never leads out of the window. again leaves the jitter out, for a
// stage that had it and missed its time.
func (w Window) Begin(now time.Time, e delivery.Execution, refID string, again bool) (time.Time, error) {
	opens, closes, ok := w.Weekly.Next(now, w.Zone)
	if !ok {
		return now, delivery.Errorf(delivery.Invalid, "the execution window does not open within three weeks")
	}
	if again {
		return opens, nil
	}
	begin := opens.Add(w.jitter.delay(string(e.ID)+"/"+refID, e.Trigger))
	if !closes.IsZero() && !begin.Before(closes) {
		begin = closes.Add(-time.Second)
	}
	if begin.Before(opens) {
		begin = opens
	}
	return begin, nil
}
