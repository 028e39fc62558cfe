package simcloud

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Clock is simulated time. It runs at scale times the speed of real time, starts at the real time of its creation
// unless [WorldOptions] say otherwise, and
// can be moved forward by [Clock.Advance]. Scale 0 is a manual clock: only Advance moves it.
//
// The zero value is not usable; call [NewClock].
type Clock struct {
	scale float64

	mu      sync.Mutex
	origin  time.Time     // simulated time at realOrigin
	started time.Time     // real time, with its monotonic reading
	jumped  time.Duration // sum of all Advance calls
	waiting waitQueue
	wake    *time.Timer // real timer of the earliest waiter; nil when none or when the clock is manual
	serial  uint64
	closed  bool
}

// NewClock returns a clock that runs at scale simulated seconds per real second. A negative scale is taken as 0.
func NewClock(scale float64) *Clock { return newClockAt(scale, time.Now()) }

// newClockAt is NewClock for a clock that shows another time at first.
func newClockAt(scale float64, at time.Time) *Clock {
	return &Clock{scale: max(scale, 0), origin: at.UTC().Round(0), started: time.Now()}
}

// Scale is the number of simulated seconds in a real second; 0 for a manual clock.
func (c *Clock) Scale() float64 { return c.scale }

// Now is the simulated time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	elapsed := time.Duration(float64(time.Since(c.started)) * c.scale)
	return c.origin.Add(c.jumped + elapsed)
}

// Real is the wall-clock time that a simulated duration takes, at least floor. On a manual clock it is floor.
func (c *Clock) Real(simulated, floor time.Duration) time.Duration {
	if c.scale == 0 {
		return floor
	}
	return max(time.Duration(float64(simulated)/c.scale), floor)
}

// Advance moves the clock forward by d at once. Waiters that become due are released in the order of their deadlines,
// and callbacks of [Clock.AfterFunc] have run when Advance returns, also those that such callbacks scheduled inside d.
// A goroutine that sleeps in a loop is woken once, not once per round it would have made in d.
func (c *Clock) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	target := c.now().Add(d)
	for {
		if len(c.waiting) == 0 || c.waiting[0].at.After(target) {
			break
		}
		next := heap.Pop(&c.waiting).(*Timer)
		if behind := next.at.Sub(c.now()); behind > 0 {
			c.jumped += behind
		}
		c.mu.Unlock()
		next.f()
		c.mu.Lock()
	}
	if behind := target.Sub(c.now()); behind > 0 {
		c.jumped += behind
	}
	c.arm()
	c.mu.Unlock()
}

// Timer is a scheduled callback; see [Clock.AfterFunc].
type Timer struct {
	clock  *Clock
	at     time.Time
	serial uint64 // order among equal deadlines
	index  int    // position in the queue, -1 when not waiting
	f      func()
}

// Stop prevents the callback from running. It reports whether it did: false when the callback has started already.
func (t *Timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.waiting, t.index)
	t.clock.arm()
	return true
}

// AfterFunc calls f once d of simulated time has passed. f runs on a goroutine of the clock or inside
// [Clock.Advance] and must not block. After [Clock.Close] nothing is called any more.
func (c *Clock) AfterFunc(d time.Duration, f func()) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	timer := &Timer{clock: c, at: c.now().Add(max(d, 0)), serial: c.serial, index: -1, f: f}
	if !c.closed {
		heap.Push(&c.waiting, timer)
		c.arm()
	}
	return timer
}

// Sleep waits for d of simulated time, or until ctx ends, whose error it then returns.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	done := make(chan struct{})
	timer := c.AfterFunc(d, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		timer.Stop()
		return ctx.Err()
	}
}

// Close stops all timers. Sleepers are released by their contexts only.
func (c *Clock) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, timer := range c.waiting {
		timer.index = -1
	}
	c.waiting = nil
	c.arm()
}

// arm sets the real timer to the earliest waiter. The lock is held.
func (c *Clock) arm() {
	if c.wake != nil {
		c.wake.Stop()
		c.wake = nil
	}
	if c.scale == 0 || len(c.waiting) == 0 {
		return
	}
	left := c.waiting[0].at.Sub(c.now())
	c.wake = time.AfterFunc(time.Duration(float64(max(left, 0))/c.scale), c.release)
}

// release runs the callbacks that are due.
func (c *Clock) release() {
	c.mu.Lock()
	for len(c.waiting) > 0 && !c.waiting[0].at.After(c.now()) {
		next := heap.Pop(&c.waiting).(*Timer)
		c.mu.Unlock()
		next.f()
		c.mu.Lock()
	}
	c.arm()
	c.mu.Unlock()
}

// waitQueue is a heap of timers by deadline, then by order of creation.
type waitQueue []*Timer

func (q waitQueue) Len() int { return len(q) }

func (q waitQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].serial < q[j].serial
	}
	return q[i].at.Before(q[j].at)
}

func (q waitQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *waitQueue) Push(x any) {
	timer := x.(*Timer)
	timer.index = len(*q)
	*q = append(*q, timer)
}

func (q *waitQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	last.index = -1
	return last
}
