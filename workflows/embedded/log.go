package embedded

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// serverLog passes the server's log on. What it calls debug and info is debug
// here: it reports every shard and every poller. So are its warnings while it
// starts and stops, which say that one part of it does not reach another.
type serverLog struct {
	to      *slog.Logger
	serving *atomic.Bool
}

func newServerLog(to *slog.Logger) *serverLog {
	return &serverLog{to: to.With(slog.String("source", "temporal")), serving: &atomic.Bool{}}
}

var (
	_ log.Logger     = (*serverLog)(nil)
	_ log.WithLogger = (*serverLog)(nil)
)

// fatalError is thrown where the server would end the process.
type fatalError struct{ message string }

func (e *fatalError) Error() string { return e.message }

func (l *serverLog) Debug(msg string, tags ...tag.Tag)  { l.log(slog.LevelDebug, msg, tags) }
func (l *serverLog) Info(msg string, tags ...tag.Tag)   { l.log(slog.LevelDebug, msg, tags) }
func (l *serverLog) Error(msg string, tags ...tag.Tag)  { l.log(slog.LevelError, msg, tags) }
func (l *serverLog) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

func (l *serverLog) Warn(msg string, tags ...tag.Tag) {
	level := slog.LevelDebug
	if l.serving.Load() {
		level = slog.LevelWarn
	}
	l.log(level, msg, tags)
}

func (l *serverLog) Panic(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(&fatalError{message: msg})
}

func (l *serverLog) Fatal(msg string, tags ...tag.Tag) {
	l.log(slog.LevelError, msg, tags)
	panic(&fatalError{message: msg})
}

// With implements log.WithLogger.
func (l *serverLog) With(tags ...tag.Tag) log.Logger {
	attrs := make([]any, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	return &serverLog{to: l.to.With(attrs...), serving: l.serving}
}

func (l *serverLog) log(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if !l.to.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	l.to.LogAttrs(ctx, level, msg, attrs...)
}
