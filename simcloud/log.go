package simcloud

import (
	"context"
	"sync"
)

// logLimit bounds the events kept: about 200 bytes each, so 200 MB at most.
const logLimit = 1_000_000

// Log is the append-only record of a world, in memory. The oldest tenth is dropped when it is full.
type Log struct {
	clock *Clock
	limit int

	mu      sync.Mutex
	events  []Event
	dropped int64         // events no longer kept; their Seq are 1..dropped
	changed chan struct{} // closed and replaced at each append that someone waits for
	waiters int
}

// NewLog returns an empty log that stamps events with the time of clock.
func NewLog(clock *Clock) *Log {
	return &Log{clock: clock, limit: logLimit, changed: make(chan struct{})}
}

// Append records e with the next sequence number and, unless e has one, the present time. It returns what was recorded.
// Maps and slices of e must not be changed afterwards.
func (l *Log) Append(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.At.IsZero() {
		e.At = l.clock.Now()
	}
	if len(l.events) >= l.limit {
		drop := max(l.limit/10, 1)
		l.events = append([]Event(nil), l.events[drop:]...)
		l.dropped += int64(drop)
	}
	e.Seq = l.dropped + int64(len(l.events)) + 1
	l.events = append(l.events, e)
	if l.waiters > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	return e
}

// After returns at most limit events with a Seq above after, oldest first. A limit of 0 or less means all.
func (l *Log) After(after int64, limit int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.after(after, limit)
}

func (l *Log) after(after int64, limit int) []Event {
	from := min(max(after-l.dropped, 0), int64(len(l.events)))
	events := l.events[from:]
	if limit > 0 && len(events) > limit {
		events = events[:limit]
	}
	return append([]Event(nil), events...)
}

// Events returns all events that are kept.
func (l *Log) Events() []Event { return l.After(0, 0) }

// Last is the Seq of the newest event, 0 when there is none.
func (l *Log) Last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped + int64(len(l.events))
}

// Dropped is the number of oldest events that are no longer kept.
func (l *Log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Wait returns events above after like [Log.After], waiting for the first until ctx ends.
func (l *Log) Wait(ctx context.Context, after int64, limit int) ([]Event, error) {
	l.mu.Lock()
	l.waiters++
	defer func() {
		l.waiters--
		l.mu.Unlock()
	}()
	for {
		if events := l.after(after, limit); len(events) > 0 {
			return events, nil
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
			l.mu.Lock()
		case <-ctx.Done():
			l.mu.Lock()
			return nil, ctx.Err()
		}
	}
}

// Await returns the first event above after for which match holds, waiting for it until ctx ends.
func (l *Log) Await(ctx context.Context, after int64, match func(Event) bool) (Event, error) {
	for {
		events, err := l.Wait(ctx, after, 0)
		if err != nil {
			return Event{}, err
		}
		for _, e := range events {
			if match(e) {
				return e, nil
			}
			after = e.Seq
		}
	}
}
