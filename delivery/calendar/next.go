package calendar

import (
	"math/bits"
	"time"
)

// Fire is one time at which a schedule comes about.
type Fire struct {
	// Nominal is the local date and time of day that the expression means, as
	// 2006-01-02T15:04:05. Of several that a gap puts at the same instant it is the first.
	Nominal string
	// At is the instant.
	At time.Time
}

// nominalLayout is how a nominal time is written.
const nominalLayout = "2006-01-02T15:04:05"

// Next returns the first fire after an instant; false when there is none until the
// year 2099.
func (c Cron) Next(after time.Time, zone *time.Location) (Fire, bool) {
	// Nominal times are walked in UTC, where no hour is missing or there twice. A
	// later one never comes about earlier, and none up to the clock's time is still
	// to come.
	nominal := clock(after.In(zone)).Truncate(time.Second)
	for {
		var ok bool
		if nominal, ok = c.nextNominal(nominal); !ok {
			return Fire{}, false
		}
		if at := instant(nominal, zone); at.After(after) {
			return Fire{Nominal: nominal.Format(nominalLayout), At: at}, true
		}
		nominal = nominal.Add(time.Second)
	}
}

// instant is when a nominal time comes about in a zone: the first time the clocks
// show it, or the end of the gap that leaves it out.
func instant(nominal time.Time, zone *time.Location) time.Time {
	t := time.Date(nominal.Year(), nominal.Month(), nominal.Day(), nominal.Hour(), nominal.Minute(), nominal.Second(), 0, zone)
	start, end := t.ZoneBounds()
	if shows(t, nominal) {
		// The same clock time may have been shown before the zone's last change.
		if !start.IsZero() {
			_, offset := start.Add(-time.Nanosecond).Zone()
			if earlier := nominal.Add(-time.Duration(offset) * time.Second); earlier.Before(start) && shows(earlier.In(zone), nominal) {
				return earlier.In(zone)
			}
		}
		return t
	}
	// Left out: time.Date chose one of the two offsets. The gap's end is the change
	// between them.
	if showsBefore := clock(t).Before(nominal); showsBefore {
		return end
	}
	return start
}

// clock is what the clocks of t's zone show, as a time in UTC.
func clock(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func shows(t, nominal time.Time) bool { return clock(t).Equal(nominal) }

// nextNominal returns the first nominal time at or after another.
func (c Cron) nextNominal(from time.Time) (time.Time, bool) {
	year, month, day := from.Date()
	second := from.Hour()*3600 + from.Minute()*60 + from.Second()
	for year <= lastYear {
		if c.means(year, month, day) {
			if at, ok := c.timeOfDay(second); ok {
				return time.Date(year, month, day, 0, 0, at, 0, time.UTC), true
			}
		}
		second = 0
		if c.months&(1<<month) == 0 || c.years != nil && !c.years[year] {
			day = monthLength(year, month)
		}
		if day++; day > monthLength(year, month) {
			day = 1
			if month++; month > time.December {
				month, year = time.January, year+1
			}
		}
	}
	return time.Time{}, false
}

// timeOfDay returns the first second of the day, at or after another, that is meant.
func (c Cron) timeOfDay(from int) (int, bool) {
	hour, minute, second := from/3600, from/60%60, from%60
	for h, ok := following(c.hours, hour); ok; h, ok = following(c.hours, h+1) {
		if h > hour {
			minute, second = 0, 0
		}
		for m, ok := following(c.minutes, minute); ok; m, ok = following(c.minutes, m+1) {
			if m > minute {
				second = 0
			}
			if s, ok := following(c.seconds, second); ok {
				return h*3600 + m*60 + s, true
			}
			second = 0
		}
		minute, second = 0, 0
	}
	return 0, false
}

// following returns the first bit at or after n.
func following(set uint64, n int) (int, bool) {
	if n >= 64 || set>>n == 0 {
		return 0, false
	}
	return n + bits.TrailingZeros64(set>>n), true
}
