package calendar

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a cron expression in Quartz's syntax: seconds, minutes, hours, day of
// month, month, day of week, and the year, which may be left out. The zero value
// never comes about.
type Cron struct {
	seconds, minutes, hours, months uint64 // bit n is value n
	days                            days
	weekdays                        weekdays
	years                           map[int]bool // nil for every year
}

// days are the days of a month that are meant.
type days struct {
	any bool // * or ?
	// set has bit n for day n; last has bit n for n days before the month's last;
	// nearest has bit n for the weekday nearest to day n.
	set, last, nearest uint64
	// lastWeekday is LW: the month's last weekday.
	lastWeekday bool
}

// weekdays are the days of the week that are meant: bit 0 is Sunday.
type weekdays struct {
	any       bool
	set, last uint64
	nth       [6]uint64 // nth[k] has the weekdays whose k-th in the month is meant
}

// firstYear and lastYear bound the years that Quartz knows.
const (
	firstYear = 1970
	lastYear  = 2099
)

// field is one of an expression's fields.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
}

var (
	secondsField = field{name: "seconds", max: 59}
	minutesField = field{name: "minutes", max: 59}
	hoursField   = field{name: "hours", max: 23}
	daysField    = field{name: "day of month", min: 1, max: 31}
	monthsField  = field{name: "month", min: 1, max: 12,
		names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	// Quartz counts the days of the week from Sunday, which is 1.
	weekdaysField = field{name: "day of week", min: 1, max: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	yearsField    = field{name: "year", min: firstYear, max: lastYear}
)

// ParseCron reads an expression. H stands for a value that follows from seed, so
// that many triggers with the same expression do not come about at once. Errors
// name the field.
func ParseCron(expression, seed string) (Cron, error) {
	fields := strings.Fields(strings.ToUpper(expression))
	if len(fields) != 6 && len(fields) != 7 {
		return Cron{}, fmt.Errorf("has %d fields; a cron expression has 6 or 7: seconds, minutes, hours, day of month, month, day of week, and optionally the year", len(fields))
	}
	p := &parser{seed: seed}
	c := Cron{seconds: p.set(secondsField, fields[0]), minutes: p.set(minutesField, fields[1]), hours: p.set(hoursField, fields[2]),
		days: p.days(fields[3]), months: p.set(monthsField, fields[4]), weekdays: p.weekdays(fields[5])}
	if len(fields) == 7 {
		c.years = p.years(fields[6])
	}
	if p.err != nil {
		return Cron{}, p.err
	}
	if !c.days.any && !c.weekdays.any {
		return Cron{}, fmt.Errorf("names both a day of month and a day of week; one of them must be ? or *")
	}
	if _, ok := c.Next(time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC); !ok {
		return Cron{}, fmt.Errorf("never comes about between %d and %d", firstYear, lastYear)
	}
	return c, nil
}

// parser reads fields and keeps the first error.
type parser struct {
	seed string
	err  error
}

func (p *parser) refuse(f field, text, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s %q %s", f.name, text, fmt.Sprintf(format, args...))
	}
}

// number reads a value: a number or a name.
func (p *parser) number(f field, text string) int {
	for i, name := range f.names {
		if text == name {
			return f.min + i
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max {
		p.refuse(f, text, "is no value of %d to %d", f.min, f.max)
		return f.min
	}
	return n
}

// hashed is the value that H stands for between two others.
func (p *parser) hashed(f field, from, to int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.name + "\x00" + p.seed)) // never fails
	return from + int(h.Sum64()%uint64(to-from+1))
}

// each calls do for every value of a list of values, ranges and steps.
func (p *parser) each(f field, text string, do func(n int)) {
	for _, part := range strings.Split(text, ",") {
		p.part(f, part, do)
	}
}

func (p *parser) part(f field, part string, do func(n int)) {
	base, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > f.max {
			p.refuse(f, part, "has a step that is no number of 1 to %d", f.max)
			return
		}
		step = n
	}
	from, to := p.bounds(f, base, stepped)
	if strings.HasPrefix(base, "H") {
		if !stepped {
			do(p.hashed(f, from, to))
			return
		}
		from = p.hashed(f, from, min(to, from+step-1))
	}
	if from > to { // a range that goes over the end, as FRI-MON
		for n := from; n <= f.max; n += step {
			do(n)
		}
		from = f.min
	}
	for n := from; n <= to; n += step {
		do(n)
	}
}

// bounds are the first and the last value of a part without its step.
func (p *parser) bounds(f field, base string, stepped bool) (from, to int) {
	switch {
	case base == "*" || base == "?" && f.name == daysField.name || base == "?" && f.name == weekdaysField.name:
		return f.min, f.max
	case base == "H":
		if f.name == daysField.name {
			return f.min, 28 // every month has it
		}
		return f.min, f.max
	case strings.HasPrefix(base, "H(") && strings.HasSuffix(base, ")"):
		from, to = p.span(f, base[2:len(base)-1])
		if from > to {
			p.refuse(f, base, "goes backwards")
			return f.min, f.min
		}
		return from, to
	case strings.Contains(base, "-"):
		return p.span(f, base)
	}
	from = p.number(f, base)
	if stepped {
		return from, f.max
	}
	return from, from
}

func (p *parser) span(f field, text string) (from, to int) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		p.refuse(f, text, "is no range")
		return f.min, f.min
	}
	return p.number(f, first), p.number(f, last)
}

func (p *parser) set(f field, text string) uint64 {
	var out uint64
	if text == "?" {
		p.refuse(f, text, "is for the day of month and the day of week only")
	}
	p.each(f, text, func(n int) { out |= 1 << n })
	return out
}

func (p *parser) years(text string) map[int]bool {
	if text == "*" {
		return nil
	}
	out := map[int]bool{}
	p.each(yearsField, text, func(n int) { out[n] = true })
	return out
}

// days reads the day of month: also L, L-n, nW and LW.
func (p *parser) days(text string) days {
	if text == "?" || text == "*" {
		return days{any: true}
	}
	var out days
	for _, part := range strings.Split(text, ",") {
		switch {
		case part == "L":
			out.last |= 1
		case part == "LW" || part == "WL":
			out.lastWeekday = true
		case strings.HasPrefix(part, "L-"):
			n, err := strconv.Atoi(part[2:])
			if err != nil || n < 0 || n > 30 {
				p.refuse(daysField, part, "is no L- and a number of 0 to 30")
			} else {
				out.last |= 1 << n
			}
		case strings.HasSuffix(part, "W"):
			out.nearest |= 1 << p.number(daysField, strings.TrimSuffix(part, "W"))
		default:
			p.part(daysField, part, func(n int) { out.set |= 1 << n })
		}
	}
	return out
}

// weekdays reads the day of week: also L, nL and n#k.
func (p *parser) weekdays(text string) weekdays {
	if text == "?" || text == "*" {
		return weekdays{any: true}
	}
	var out weekdays
	for _, part := range strings.Split(text, ",") {
		day, nth, isNth := strings.Cut(part, "#")
		switch {
		case isNth:
			k, err := strconv.Atoi(nth)
			if err != nil || k < 1 || k > 5 {
				p.refuse(weekdaysField, part, "has no number of 1 to 5 after #")
				continue
			}
			out.nth[k] |= 1 << (p.number(weekdaysField, day) - 1)
		case part == "L":
			out.set |= 1 << time.Saturday
		case strings.HasSuffix(part, "L") && !strings.Contains(part, "-"):
			out.last |= 1 << (p.number(weekdaysField, strings.TrimSuffix(part, "L")) - 1)
		default:
			p.part(weekdaysField, part, func(n int) { out.set |= 1 << (n - 1) })
		}
	}
	return out
}

// means reports whether a date is meant.
func (c Cron) means(year int, month time.Month, day int) bool {
	if c.years != nil && !c.years[year] || c.months&(1<<month) == 0 {
		return false
	}
	length := monthLength(year, month)
	weekday := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()
	return c.days.mean(day, length, weekday) && c.weekdays.mean(day, length, weekday)
}

func (d days) mean(day, length int, weekday time.Weekday) bool {
	if d.any || d.set&(1<<day) != 0 || d.last&(1<<(length-day)) != 0 {
		return true
	}
	if weekday == time.Saturday || weekday == time.Sunday {
		return false
	}
	if d.lastWeekday && (day == length || weekday == time.Friday && length-day <= 2) {
		return true
	}
	for rest := d.nearest; rest != 0; rest &= rest - 1 {
		if n := bits.TrailingZeros64(rest); n <= length && nearestWeekday(n, length, day, weekday) == day {
			return true
		}
	}
	return false
}

// nearestWeekday is the weekday of the month that is nearest to day n, found from
// one day whose day of week is known.
func nearestWeekday(n, length, day int, weekday time.Weekday) int {
	switch time.Weekday(((int(weekday)+n-day)%7 + 7) % 7) {
	case time.Saturday:
		if n == 1 {
			return 3
		}
		return n - 1
	case time.Sunday:
		if n == length {
			return n - 2
		}
		return n + 1
	default:
		return n
	}
}

func (w weekdays) mean(day, length int, weekday time.Weekday) bool {
	return w.any || w.set&(1<<weekday) != 0 || w.last&(1<<weekday) != 0 && length-day < 7 || w.nth[(day-1)/7+1]&(1<<weekday) != 0
}

func monthLength(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
