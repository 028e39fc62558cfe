package v1

import (
	"strconv"
	"time"
)

// Millis is a point in time in milliseconds since 1970 (UTC).
type Millis int64

// MillisOf returns nil for the zero time, which is null in JSON: not reached yet.
func MillisOf(t time.Time) *Millis {
	if t.IsZero() {
		return nil
	}
	m := Millis(t.UnixMilli())
	return &m
}

// Time returns the point in time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// TextOf returns the milliseconds as text, empty for the zero time: the form of
// createTs and updateTs.
func TextOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}
