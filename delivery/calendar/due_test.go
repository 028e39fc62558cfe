package calendar

import (
	"strings"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	c, err := ParseCron("0 0/10 * * * ?", "")
	if err != nil {
		t.Fatal(err)
	}
	at := func(clock string) time.Time {
		out, err := time.Parse("15:04:05", clock)
		if err != nil {
			t.Fatal(err)
		}
		return out.AddDate(2026, 0, 0)
	}
	hour := CatchUp{Policy: Latest, Window: time.Hour, Max: 2}
	policy := func(p Policy) CatchUp { out := hour; out.Policy = p; return out }
	for _, tt := range []struct {
		name, after, now string
		catchUp          CatchUp
		want             string
		missed           int
		next             string
	}{
		{"nothing yet", "10:00:00", "10:05:00", hour, "", 0, "10:10"},
		{"on time", "10:00:00", "10:10:00", hour, "10:10", 0, "10:20"},
		{"a little late", "10:00:00", "10:10:59", policy(Skip), "10:10", 0, "10:20"},
		{"missed, the latest", "10:00:00", "10:35:00", hour, "10:30", 2, "10:40"},
		{"missed, skipped", "10:00:00", "10:35:00", policy(Skip), "", 3, "10:40"},
		{"missed, all up to two", "10:00:00", "10:35:00", policy(All), "10:20 10:30", 1, "10:40"},
		{"one is on time: nothing to make up for", "10:00:00", "10:30:05", hour, "10:30", 2, "10:40"},
		{"all, and one on time", "10:00:00", "10:30:05", policy(All), "10:10 10:20 10:30", 0, "10:40"},
		{"beyond the window", "08:00:00", "10:35:00", policy(All), "10:20 10:30", 5, "10:40"},
		{"no window", "08:00:00", "10:35:00", CatchUp{Policy: All, Max: 9}, "", 1, "10:40"},
	} {
		due := c.Due(at(tt.after), at(tt.now), time.UTC, tt.catchUp)
		var got []string
		for _, f := range due.Fires {
			got = append(got, f.At.Format("15:04"))
		}
		if strings.Join(got, " ") != tt.want || due.Missed != tt.missed || due.Next.At.Format("15:04") != tt.next {
			t.Errorf("%s: %s, %d missed, next %s; want %s, %d, %s", tt.name, got, due.Missed, due.Next.At.Format("15:04"), tt.want, tt.missed, tt.next)
		}
	}
}
