package calendar

import "time"

// Weekly is when in a week something may happen, by the clocks of a zone. It is open
// at the instants whose local day and time it names: a time that a zone leaves out in
// spring does not come, and one that is there twice in autumn is open twice. The zero
// value is open always.
type Weekly struct {
	// Days has those that are meant, by time.Weekday; none for every day.
	Days []time.Weekday
	// Spans are parts of each of these days; none for all of it.
	Spans []Span
}

// Span is a part of a day in minutes after midnight: From is in it, To is not. Where To
// is before From it is two parts of the same day: from midnight until To, and from From
// until midnight. Nothing is in a span whose ends are the same.
type Span struct{ From, To int }

func (s Span) has(minute int) bool {
	if s.To < s.From {
		return minute >= s.From || minute < s.To
	}
	return s.From <= minute && minute < s.To
}

// weeklySearch is how far Next looks ahead: a weekly span that falls into the gap of a
// spring night comes the week after.
const weeklySearch = 22 * 24 * time.Hour

// Open reports whether it is open at an instant of a zone.
func (w Weekly) Open(t time.Time, zone *time.Location) bool {
	local := t.In(zone)
	return w.openOn(local.Weekday()) && w.openAt(60*local.Hour()+local.Minute())
}

func (w Weekly) openOn(day time.Weekday) bool {
	for _, d := range w.Days {
		if d == day {
			return true
		}
	}
	return len(w.Days) == 0
}

func (w Weekly) openAt(minute int) bool {
	for _, s := range w.Spans {
		if s.has(minute) {
			return true
		}
	}
	return len(w.Spans) == 0
}

// Next returns the first instant from t on at which it is open, which is t itself or
// the beginning of a minute, and the first one after that at which it is not: zero
// when that is more than three weeks away. ok is false when it does not open within
// three weeks, as a span without a minute never does.
func (w Weekly) Next(t time.Time, zone *time.Location) (opens, closes time.Time, ok bool) {
	opens, ok = w.seek(t, zone, true)
	if !ok {
		return time.Time{}, time.Time{}, false
	}
	closes, _ = w.seek(opens, zone, false)
	return opens, closes, true
}

// seek finds the first instant from t on that is open or is not. Zones change their
// clocks at whole minutes.
func (w Weekly) seek(t time.Time, zone *time.Location, open bool) (time.Time, bool) {
	for end := t.Add(weeklySearch); t.Before(end); t = t.Truncate(time.Minute).Add(time.Minute) {
		if w.Open(t, zone) == open {
			return t, true
		}
	}
	return time.Time{}, false
}
