package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// fires are the first nominal times after an instant.
func fires(t *testing.T, expression, from, in string, n int) string {
	t.Helper()
	c, err := ParseCron(expression, "seed")
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	z := zone(t, in)
	at, err := time.ParseInLocation("2006-01-02 15:04", from, z)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for range n {
		f, ok := c.Next(at, z)
		if !ok {
			out = append(out, "never")
			break
		}
		at = f.At
		out = append(out, f.At.Format("2006-01-02 15:04:05"))
	}
	return strings.Join(out, ", ")
}

func TestCron(t *testing.T) {
	for _, tt := range []struct{ expression, from, want string }{
		{"0 0 10 ? * MON-FRI", "2026-11-27 10:00", "2026-11-30 10:00:00, 2026-12-01 10:00:00"}, // a Friday
		{"0 0 10 ? * 2-6", "2026-11-27 10:00", "2026-11-30 10:00:00, 2026-12-01 10:00:00"},
		{"0 0 10 ? * FRI-MON", "2026-11-27 10:00", "2026-11-28 10:00:00, 2026-11-29 10:00:00"},
		{"0 0/20 * * * ?", "2026-01-01 00:00", "2026-01-01 00:20:00, 2026-01-01 00:40:00"},
		{"5,35 59 23 31 12 ?", "2026-01-01 00:00", "2026-12-31 23:59:05, 2026-12-31 23:59:35"},
		{"0 0 0 L * ?", "2024-02-01 00:00", "2024-02-29 00:00:00, 2024-03-31 00:00:00"},
		{"0 0 0 L-3 * ?", "2026-02-01 00:00", "2026-02-25 00:00:00, 2026-03-28 00:00:00"},
		{"0 0 0 LW * ?", "2026-01-01 00:00", "2026-01-30 00:00:00, 2026-02-27 00:00:00"},
		{"0 0 0 15W * ?", "2026-02-01 00:00", "2026-02-16 00:00:00, 2026-03-16 00:00:00"}, // both 15ths are Sundays
		{"0 0 0 1W * ?", "2026-07-31 12:00", "2026-08-03 00:00:00, 2026-09-01 00:00:00"},  // August 1st is a Saturday
		{"0 0 0 31W * ?", "2026-05-01 00:00", "2026-05-29 00:00:00, 2026-07-31 00:00:00"}, // May 31st is a Sunday
		{"0 0 0 ? * 6#3", "2026-01-01 00:00", "2026-01-16 00:00:00, 2026-02-20 00:00:00"},
		{"0 0 0 ? * MON#5", "2026-01-01 00:00", "2026-03-30 00:00:00, 2026-06-29 00:00:00"},
		{"0 0 0 ? * 6L", "2026-01-01 00:00", "2026-01-30 00:00:00, 2026-02-27 00:00:00"},
		{"0 0 0 ? * L", "2026-01-01 00:00", "2026-01-03 00:00:00, 2026-01-10 00:00:00"},
		{"0 0 0 29 2 ? 2027-2032", "2026-01-01 00:00", "2028-02-29 00:00:00, 2032-02-29 00:00:00"},
		{"0 0 0 1 1 ? 2027", "2026-01-01 00:00", "2027-01-01 00:00:00, never"},
		{"0 0 22-2 * * ?", "2026-01-01 00:30", "2026-01-01 01:00:00, 2026-01-01 02:00:00"},
		{"* * * ? * *", "2026-01-01 00:00", "2026-01-01 00:00:01, 2026-01-01 00:00:02"},
	} {
		if got := fires(t, tt.expression, tt.from, "UTC", 2); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.expression, got, tt.want)
		}
	}
}

func TestHashed(t *testing.T) {
	seen := map[string]bool{}
	for i := range 50 {
		c, err := ParseCron("H H(0-29)/10 H(1-3) ? * *", fmt.Sprint("trigger-", i))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCron("H H(0-29)/10 H(1-3) ? * *", fmt.Sprint("trigger-", i))
		if err != nil || again.seconds != c.seconds || again.minutes != c.minutes {
			t.Fatalf("the same seed gives another time: %v", err)
		}
		f, _ := c.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC)
		if h := f.At.Hour(); h < 1 || h > 3 || f.At.Minute() > 9 {
			t.Errorf("%s is outside of what was asked for", f.Nominal)
		}
		seen[f.Nominal] = true
	}
	if len(seen) < 40 {
		t.Errorf("50 triggers come about at %d times", len(seen))
	}
}

func TestParseCronRefuses(t *testing.T) {
	for expression, want := range map[string]string{
		"":                     "has 0 fields; a cron expression has 6 or 7",
		"0 0 * * *":            "has 5 fields",
		"60 0 0 ? * *":         `seconds "60" is no value of 0 to 59`,
		"0 x 0 ? * *":          `minutes "X" is no value of 0 to 59`,
		"0 0 0 ? * *  1969":    `year "1969" is no value of 1970 to 2099`,
		"0 0 0 32 * ?":         `day of month "32" is no value of 1 to 31`,
		"0 0 0 ? FOO *":        `month "FOO" is no value of 1 to 12`,
		"0 0 0 ? * 8":          `day of week "8" is no value of 1 to 7`,
		"0 0 0 ? * MON#6":      `day of week "MON#6" has no number of 1 to 5 after #`,
		"0 0 0 1 * MON":        "names both a day of month and a day of week",
		"0 0 0 30 2 ?":         "never comes about",
		"0 0/0 0 ? * *":        `minutes "0/0" has a step that is no number of 1 to 59`,
		"? 0 0 ? * *":          `seconds "?" is for the day of month and the day of week only`,
		"0 H(9-5) 0 ? * *":     `minutes "H(9-5)" goes backwards`,
		"0 0 0 L-31 * ?":       `day of month "L-31" is no L- and a number of 0 to 30`,
		"0 0 0 1,,2 * ?":       `day of month "" is no value`,
		"0 0 0 99999999999W *": "has 5 fields",
	} {
		if _, err := ParseCron(expression, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", expression, err, want)
		}
	}
}

func TestDaylightSaving(t *testing.T) {
	for _, tt := range []struct{ name, expression, from, zone, want string }{
		{"left out: at the end of the gap", "0 33 2 * * ?", "2026-03-07 12:00", "America/New_York", "2026-03-08 03:00:00, 2026-03-09 02:33:00"},
		{"twice: the first", "0 33 1 * * ?", "2026-10-31 12:00", "America/New_York", "2026-11-01 01:33:00, 2026-11-02 01:33:00"},
		{"many in a gap: once", "0 0/10 2 * * ?", "2026-03-07 12:00", "America/New_York", "2026-03-08 03:00:00, 2026-03-09 02:00:00"},
		{"a gap of half an hour", "0 15 2 * * ?", "2026-10-03 12:00", "Australia/Lord_Howe", "2026-10-04 02:30:00, 2026-10-05 02:15:00"},
		{"a gap at midnight", "0 0 0 * * ?", "2024-04-25 12:00", "Africa/Cairo", "2024-04-26 01:00:00, 2024-04-27 00:00:00"},
		{"a day left out", "0 0 12 * * ?", "2011-12-29 11:00", "Pacific/Apia", "2011-12-29 12:00:00, 2011-12-31 00:00:00"},
	} {
		if got := fires(t, tt.expression, tt.from, tt.zone, 2); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestFirstOccurrence: of the two passes over the repeated hour, the first counts.
func TestFirstOccurrence(t *testing.T) {
	c, err := ParseCron("0 30 1 * * ?", "")
	if err != nil {
		t.Fatal(err)
	}
	f, _ := c.Next(time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), zone(t, "Europe/London"))
	if want := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC); !f.At.Equal(want) || f.Nominal != "2026-10-25T01:30:00" {
		t.Errorf("%s at %s, want %s", f.Nominal, f.At.UTC(), want)
	}
}

var zones = []string{"UTC", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "America/Asuncion", "America/Havana", "America/St_Johns", "Europe/London", "Europe/Berlin",
	"Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Gaza", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia",
	"Pacific/Chatham", "Pacific/Kiritimati", "Antarctica/Troll"}

// TestOncePerDay: a daily time comes about once for each date of ten years, in order,
// whatever the zone does to its clocks.
func TestOncePerDay(t *testing.T) {
	for _, name := range zones {
		z := zone(t, name)
		for _, daily := range []string{"0 0 0 * * ?", "0 30 1 * * ?", "0 33 2 * * ?", "59 59 23 * * ?"} {
			c, err := ParseCron(daily, "")
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2020, 1, 1, 12, 0, 0, 0, z)
			day := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
			if daily == "59 59 23 * * ?" {
				day = day.AddDate(0, 0, -1)
			}
			for ; day.Year() < 2030; day = day.AddDate(0, 0, 1) {
				f, ok := c.Next(at, z)
				if !ok || !strings.HasPrefix(f.Nominal, day.Format(time.DateOnly)) || !f.At.After(at) {
					t.Fatalf("%s in %s: after %s comes %s, want one on %s", daily, name, at, f.Nominal, day.Format(time.DateOnly))
				}
				at = f.At
			}
		}
	}
}

// TestNextAgainstEveryMinute compares with what a look at the clocks each minute
// finds: a nominal time counts when the clocks show it for the first time, or jump
// over it.
func TestNextAgainstEveryMinute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		z := zone(rt, rapid.SampledFrom(zones).Draw(rt, "zone"))
		expression := fmt.Sprintf("0 %s %s * * ?", rapid.SampledFrom([]string{"0", "30", "0/15", "7,52", "*"}).Draw(rt, "minutes"), rapid.SampledFrom([]string{"*", "0-3", "1", "2", "23"}).Draw(rt, "hours"))
		c, err := ParseCron(expression, "")
		if err != nil {
			rt.Fatal(err)
		}
		from := time.Date(rapid.IntRange(2000, 2030).Draw(rt, "year"), time.Month(rapid.IntRange(1, 12).Draw(rt, "month")), rapid.IntRange(1, 28).Draw(rt, "day"), 0, 0, 0, 0, time.UTC)
		to := from.Add(72 * time.Hour)
		var want []string
		reached := clock(from.In(z)) // the latest time that the clocks have shown
		for at := from.Add(-30 * time.Hour); at.Before(from); at = at.Add(time.Minute) {
			if now := clock(at.In(z)); now.After(reached) {
				reached = now
			}
		}
		for at := from.Add(time.Minute); !at.After(to); at = at.Add(time.Minute) {
			now := clock(at.In(z))
			for nominal := reached.Add(time.Minute); !nominal.After(now); nominal = nominal.Add(time.Minute) {
				if c.hours&(1<<nominal.Hour()) != 0 && c.minutes&(1<<nominal.Minute()) != 0 {
					if n := len(want); n == 0 || want[n-1] != at.Format(time.RFC3339) {
						want = append(want, at.Format(time.RFC3339))
					}
				}
			}
			if now.After(reached) {
				reached = now
			}
		}
		var got []string
		for at := from; ; {
			f, ok := c.Next(at, z)
			if at = f.At; !ok || at.After(to) {
				break
			}
			got = append(got, at.UTC().Format(time.RFC3339))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Errorf("%s in %s from %s:\n got %s\nwant %s", expression, z, from, got, want)
		}
	})
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 0 10 ? * MON-FRI", "H H/2 H(1-3) LW 1,2/3 ?", "* * * L-3 * ? 2030/2", "0 0 0 ? * 6#3,2L"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		c, err := ParseCron(expression, "seed")
		if err != nil {
			return
		}
		at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		if f, ok := c.Next(at, time.UTC); ok && !f.At.After(at) {
			t.Errorf("%q comes about at %s, not after %s", expression, f.At, at)
		}
	})
}
