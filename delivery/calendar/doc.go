// Package calendar decides when clocks start things: cron expressions in Quartz's
// syntax, in a zone, with one answer for the hours that daylight saving time leaves
// out or has twice.
//
//	cron, err := calendar.ParseCron("0 0 10 ? * MON-FRI", "trigger-1")
//	fire, ok := cron.Next(now, zone)
//
// A nominal time is a local date and time of day, as the expression means it. Each
// comes about exactly once: one that a zone leaves out at the first instant after
// the gap, one that a zone has twice at its first occurrence.
//
// It is pure: the clock and the zone are arguments.
package calendar
