package expression

import (
	"fmt"
	"strings"
	"time"
)

// date is a moment or a day of one of Java's classes, in UTC.
type date struct {
	class class
	at    time.Time
}

// layouts are how the classes write themselves.
var layouts = map[class]string{
	"Date": "Mon Jan 02 15:04:05 MST 2006", "Instant": "2006-01-02T15:04:05.999999999Z",
	"LocalDate": "2006-01-02", "LocalDateTime": "2006-01-02T15:04:05.999999999",
}

// String is Java's toString.
func (d date) String() string { return d.at.Format(layouts[d.class]) }

// dateFormat is a SimpleDateFormat or a DateTimeFormatter.
type dateFormat struct {
	pattern string
}

// unit is a ChronoUnit.
type unit string

// units are the fixed lengths; months and years are counted in the calendar.
var units = map[unit]time.Duration{
	"MILLIS": time.Millisecond, "SECONDS": time.Second, "MINUTES": time.Minute, "HOURS": time.Hour, "DAYS": 24 * time.Hour, "WEEKS": 7 * 24 * time.Hour,
}

var chronoUnitClass = classInfo{names: []string{"java.time.temporal.ChronoUnit"}, fields: record{
	"MILLIS": unit("MILLIS"), "SECONDS": unit("SECONDS"), "MINUTES": unit("MINUTES"), "HOURS": unit("HOURS"), "DAYS": unit("DAYS"), "WEEKS": unit("WEEKS"),
}}

var unitMethods = map[string]method{
	"between": {2, 2, func(_ *run, of value, args []value) (value, error) {
		from, ok := args[0].(date)
		to, ok2 := args[1].(date)
		if !ok || !ok2 {
			return nil, fmt.Errorf("takes two dates")
		}
		return int64(to.at.Sub(from.at) / units[of.(unit)]), nil
	}},
}

func (r *run) now(c class) (value, error) {
	at := r.scope.now
	if at.IsZero() {
		return nil, laterError("the time is known only when the stage begins")
	}
	if at = at.UTC(); c == "LocalDate" {
		at = at.Truncate(24 * time.Hour)
	}
	return date{c, at}, nil
}

func nowOf(c class) method {
	return method{0, 0, func(r *run, _ value, _ []value) (value, error) { return r.now(c) }}
}

func parseOf(c class, layouts ...string) method {
	return method{1, 1, func(_ *run, _ value, args []value) (value, error) {
		t, err := text(args[0])
		if err != nil {
			return nil, err
		}
		for _, layout := range layouts {
			if at, err := time.Parse(layout, t); err == nil {
				return date{c, at.UTC()}, nil
			}
		}
		return nil, fmt.Errorf("%q is not like %s", t, layouts[0])
	}}
}

var dateClass = classInfo{names: []string{"java.util.Date"}, instance: isOf("Date"), construct: func(r *run, args []value) (value, error) {
	switch {
	case len(args) == 0:
		return r.now("Date")
	case len(args) == 1:
		if ms, ok := args[0].(int64); ok {
			return date{"Date", time.UnixMilli(ms).UTC()}, nil
		}
	}
	return nil, fmt.Errorf("takes nothing, or milliseconds since 1970")
}}

var instantClass = classInfo{names: []string{"java.time.Instant"}, instance: isOf("Instant"), methods: map[string]method{
	"now": nowOf("Instant"), "parse": parseOf("Instant", time.RFC3339Nano),
	"ofEpochMilli": {1, 1, func(_ *run, _ value, args []value) (value, error) {
		ms, ok := args[0].(int64)
		if !ok {
			return nil, fmt.Errorf("%s is no whole number", kind(args[0]))
		}
		return date{"Instant", time.UnixMilli(ms).UTC()}, nil
	}},
}}

var localDateClass = classInfo{names: []string{"java.time.LocalDate"}, instance: isOf("LocalDate"),
	methods: map[string]method{"now": nowOf("LocalDate"), "parse": parseOf("LocalDate", "2006-01-02")}}

var localDateTimeClass = classInfo{names: []string{"java.time.LocalDateTime"}, instance: isOf("LocalDateTime"),
	methods: map[string]method{"now": nowOf("LocalDateTime"), "parse": parseOf("LocalDateTime", "2006-01-02T15:04:05", "2006-01-02T15:04")}}

var dateFormatClass = classInfo{names: []string{"java.text.SimpleDateFormat"}, construct: func(_ *run, args []value) (value, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("takes one pattern")
	}
	return readDateFormat(args[0])
}}

var dateTimeFormatterClass = classInfo{names: []string{"java.time.format.DateTimeFormatter"},
	methods: map[string]method{"ofPattern": static(readDateFormat)}}

func isOf(c class) func(value) bool {
	return func(v value) bool { d, ok := v.(date); return ok && d.class == c }
}

// javaLayouts are the runs of letters of Java's date patterns.
var javaLayouts = map[string]string{
	"yyyy": "2006", "uuuu": "2006", "yy": "06", "MMMM": "January", "MMM": "Jan", "MM": "01", "M": "1", "dd": "02", "d": "2",
	"HH": "15", "hh": "03", "h": "3", "mm": "04", "m": "4", "ss": "05", "s": "5", "SSS": "000", "a": "PM", "EEEE": "Monday", "EEE": "Mon", "E": "Mon",
	"z": "MST", "Z": "-0700", "X": "Z07", "XX": "Z0700", "XXX": "Z07:00",
}

// readDateFormat reads a pattern such as yyyyMMdd-HHmmss.
func readDateFormat(v value) (value, error) {
	source, err := text(v)
	if err != nil {
		return nil, err
	}
	if len(source) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	f := dateFormat{pattern: source}
	if _, err := f.format(time.Unix(0, 0).UTC()); err != nil {
		return nil, err
	}
	return f, nil
}

// format writes piece by piece: in one layout, letters between two runs could be
// taken for part of them.
func (f dateFormat) format(at time.Time) (string, error) {
	var out strings.Builder
	for rest := f.pattern; rest != ""; {
		switch c := rest[0]; {
		case c == '\'':
			literal, length := unquote([]rune(rest))
			if length == 0 {
				return "", fmt.Errorf("the text in the pattern %q is not closed", f.pattern)
			}
			if literal == "" {
				literal = "'"
			}
			out.WriteString(literal)
			rest = string([]rune(rest)[length:])
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			run := rest[:len(rest)-len(strings.TrimLeft(rest, string(c)))]
			layout, ok := javaLayouts[run]
			if !ok {
				return "", fmt.Errorf("%s of the pattern %q is not known", run, f.pattern)
			}
			if run == "SSS" {
				fmt.Fprintf(&out, "%03d", at.Nanosecond()/int(time.Millisecond))
			} else {
				out.WriteString(at.Format(layout))
			}
			rest = rest[len(run):]
		default:
			out.WriteByte(c)
			rest = rest[1:]
		}
	}
	return out.String(), nil
}

var formatMethods = map[string]method{
	"format": {1, 1, func(_ *run, of value, args []value) (value, error) {
		d, ok := args[0].(date)
		if !ok {
			return nil, fmt.Errorf("%s is no date", kind(args[0]))
		}
		return of.(dateFormat).format(d.at)
	}},
}

// dateMethods are those that the classes of dates share.
var dateMethods = map[string]method{
	"format": {1, 1, func(_ *run, of value, args []value) (value, error) {
		f, ok := args[0].(dateFormat)
		if !ok {
			return nil, fmt.Errorf("%s is no DateTimeFormatter", kind(args[0]))
		}
		return f.format(of.(date).at)
	}},
	"getTime":        fromDate(func(at time.Time) value { return at.UnixMilli() }),
	"toEpochMilli":   fromDate(func(at time.Time) value { return at.UnixMilli() }),
	"getEpochSecond": fromDate(func(at time.Time) value { return at.Unix() }),
	"toEpochDay":     fromDate(func(at time.Time) value { return at.Unix() / (24 * 3600) }),
	"getYear":        fromDate(func(at time.Time) value { return int64(at.Year()) }),
	"getMonthValue":  fromDate(func(at time.Time) value { return int64(at.Month()) }),
	"getDayOfMonth":  fromDate(func(at time.Time) value { return int64(at.Day()) }),
	"getHour":        fromDate(func(at time.Time) value { return int64(at.Hour()) }),
	"getMinute":      fromDate(func(at time.Time) value { return int64(at.Minute()) }),
	"getDayOfWeek":   fromDate(func(at time.Time) value { return strings.ToUpper(at.Weekday().String()) }),
	"isBefore":       comparing(func(a, b time.Time) bool { return a.Before(b) }),
	"isAfter":        comparing(func(a, b time.Time) bool { return a.After(b) }),
	"toInstant":      {0, 0, func(_ *run, of value, _ []value) (value, error) { return date{"Instant", of.(date).at}, nil }},
	"plusYears":      moving(func(at time.Time, n int) time.Time { return at.AddDate(n, 0, 0) }, 1),
	"minusYears":     moving(func(at time.Time, n int) time.Time { return at.AddDate(n, 0, 0) }, -1),
	"plusMonths":     moving(func(at time.Time, n int) time.Time { return at.AddDate(0, n, 0) }, 1),
	"minusMonths":    moving(func(at time.Time, n int) time.Time { return at.AddDate(0, n, 0) }, -1),
	"plusWeeks":      moving(func(at time.Time, n int) time.Time { return at.AddDate(0, 0, 7*n) }, 1),
	"minusWeeks":     moving(func(at time.Time, n int) time.Time { return at.AddDate(0, 0, 7*n) }, -1),
	"plusDays":       moving(func(at time.Time, n int) time.Time { return at.AddDate(0, 0, n) }, 1),
	"minusDays":      moving(func(at time.Time, n int) time.Time { return at.AddDate(0, 0, n) }, -1),
	"plusHours":      moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }, 1),
	"minusHours":     moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }, -1),
	"plusMinutes":    moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }, 1),
	"minusMinutes":   moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }, -1),
	"plusSeconds":    moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Second) }, 1),
	"minusSeconds":   moving(func(at time.Time, n int) time.Time { return at.Add(time.Duration(n) * time.Second) }, -1),
}

func fromDate(f func(time.Time) value) method {
	return method{0, 0, func(_ *run, of value, _ []value) (value, error) { return f(of.(date).at), nil }}
}

func comparing(f func(a, b time.Time) bool) method {
	return method{1, 1, func(_ *run, of value, args []value) (value, error) {
		other, ok := args[0].(date)
		if !ok {
			return nil, fmt.Errorf("%s is no date", kind(args[0]))
		}
		return f(of.(date).at, other.at), nil
	}}
}

// maxShift bounds how far a date is moved, in any unit.
const maxShift = 1_000_000

func moving(f func(time.Time, int) time.Time, sign int) method {
	return method{1, 1, func(_ *run, of value, args []value) (value, error) {
		n, ok := args[0].(int64)
		if !ok || n > maxShift || n < -maxShift {
			return nil, fmt.Errorf("%v is no whole number up to %d", args[0], maxShift)
		}
		return date{of.(date).class, f(of.(date).at, sign*int(n))}, nil
	}}
}
