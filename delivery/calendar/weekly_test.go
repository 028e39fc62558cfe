package calendar

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWeekly(t *testing.T) {
	office := Weekly{Days: []time.Weekday{time.Monday, time.Friday}, Spans: []Span{{9 * 60, 17 * 60}}}
	night := Weekly{Spans: []Span{{22 * 60, 2 * 60}}}
	for _, test := range []struct {
		name, zone, from, opens, closes string
		w                               Weekly
	}{
		{"open already", "Europe/Berlin", "2026-11-27T10:30:15+01:00", "2026-11-27T10:30:15+01:00", "2026-11-27T17:00:00+01:00", office},
		{"later today", "Europe/Berlin", "2026-11-27T08:59:59+01:00", "2026-11-27T09:00:00+01:00", "2026-11-27T17:00:00+01:00", office},
		{"the end is not in it", "Europe/Berlin", "2026-11-27T17:00:00+01:00", "2026-11-30T09:00:00+01:00", "2026-11-30T17:00:00+01:00", office},
		{"over midnight", "UTC", "2026-11-27T21:00:00Z", "2026-11-27T22:00:00Z", "2026-11-28T02:00:00Z", night},
		{"days without hours", "UTC", "2026-11-27T12:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", Weekly{Days: []time.Weekday{time.Saturday}}},
		{"in the gap of spring", "America/New_York", "2026-03-07T12:00:00-05:00", "2026-03-15T02:15:00-04:00", "2026-03-15T02:45:00-04:00",
			Weekly{Days: []time.Weekday{time.Sunday}, Spans: []Span{{2*60 + 15, 2*60 + 45}}}},
		{"across the gap of spring", "America/New_York", "2026-03-08T00:00:00-05:00", "2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00",
			Weekly{Spans: []Span{{90, 210}}}},
		{"the hour that autumn has twice", "America/New_York", "2026-11-01T01:45:00-04:00", "2026-11-01T01:15:00-05:00", "2026-11-01T01:30:00-05:00",
			Weekly{Spans: []Span{{75, 90}}}},
		{"a gap at midnight", "Asia/Beirut", "2026-03-28T12:00:00+02:00", "2026-03-29T01:00:00+03:00", "2026-03-29T02:00:00+03:00",
			Weekly{Spans: []Span{{0, 120}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			zone, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			at := func(text string) time.Time {
				parsed, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				return parsed
			}
			opens, closes, ok := test.w.Next(at(test.from), zone)
			if !ok || !opens.Equal(at(test.opens)) || !closes.Equal(at(test.closes)) {
				t.Errorf("opens %s, closes %s (%v); want %s, %s", opens.In(zone), closes.In(zone), ok, test.opens, test.closes)
			}
		})
	}
	if _, _, ok := (Weekly{Spans: []Span{{60, 60}}}).Next(time.Now(), time.UTC); ok {
		t.Error("an empty span opens")
	}
	if opens, closes, ok := (Weekly{}).Next(time.Unix(0, 0), time.UTC); !ok || !opens.Equal(time.Unix(0, 0)) || !closes.IsZero() {
		t.Error("what is always open is not")
	}
}

// TestWeeklyNextIsTheFirst: whatever the zone does to its clocks, it is open when Next
// says, was not before, stays open until it closes, and opens within two weeks and a day.
func TestWeeklyNextIsTheFirst(t *testing.T) {
	zones := []string{"America/Los_Angeles", "Europe/Berlin", "Asia/Beirut", "America/Asuncion", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC"}
	rapid.Check(t, func(rt *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(rt, "zone"))
		if err != nil {
			rt.Fatal(err)
		}
		var w Weekly
		for _, day := range rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 3, rapid.ID[int]).Draw(rt, "days") {
			w.Days = append(w.Days, time.Weekday(day))
		}
		for range rapid.IntRange(0, 2).Draw(rt, "spans") {
			from := rapid.IntRange(0, 1439).Draw(rt, "from")
			w.Spans = append(w.Spans, Span{From: from, To: (from + rapid.IntRange(1, 1439).Draw(rt, "minutes")) % 1440})
		}
		from := time.Unix(rapid.Int64Range(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC).Unix()).Draw(rt, "at"), 0)
		opens, closes, ok := w.Next(from, zone)
		if !ok || opens.Before(from) || opens.Sub(from) > 15*24*time.Hour || !w.Open(opens, zone) {
			rt.Fatalf("from %s it opens %s, %v", from.In(zone), opens.In(zone), ok)
		}
		if opens.After(from) {
			before := from.Add(time.Duration(rapid.Int64Range(0, int64(opens.Sub(from))-1).Draw(rt, "before")))
			if w.Open(before, zone) || w.Open(opens.Add(-time.Nanosecond), zone) {
				rt.Errorf("it was open before %s already: %s", opens.In(zone), before.In(zone))
			}
		}
		if !closes.IsZero() {
			within := opens.Add(time.Duration(rapid.Int64Range(0, int64(closes.Sub(opens))-1).Draw(rt, "within")))
			if !w.Open(within, zone) || w.Open(closes, zone) {
				rt.Errorf("open from %s until %s, but not at %s", opens.In(zone), closes.In(zone), within.In(zone))
			}
		}
	})
}
