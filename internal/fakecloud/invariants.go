package fakecloud

import (
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Bounds are the limits on capacity that hold at every instant.
type Bounds struct {
	// Floor is the least number of healthy instances that take traffic;
	// instances lost to faults and not yet replaced are allowed for.
	Floor int
	// Ceiling is the largest number of instances, leaving ones included.
	Ceiling int
}

// Bound sets the limits from now on.
func (c *Cloud) Bound(b Bounds) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounds = b
}

// Close forbids every further write: the deployment says that it has ended.
func (c *Cloud) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// Open allows writes again, for the next deployment.
func (c *Cloud) Open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = false
}

// Upset sets the faults from now on.
func (c *Cloud) Upset(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config.Faults = f
}

// Violations returns what went wrong so far, each with its invariant's number
// from I1 to I14.
func (c *Cloud) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(c.config.Now())
	return append([]string(nil), c.violations...)
}

// Writes returns the changes that had an effect, in order.
func (c *Cloud) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Write(nil), c.writes...)
}

func (c *Cloud) violate(format string, args ...any) {
	c.violations = append(c.violations, c.at.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// check holds what must be true at every instant.
func (c *Cloud) check(after string) {
	total, serving, missing := 0, 0, 0
	for _, name := range c.names() {
		g := c.groups[name]
		healthy, lost := 0, 0
		for _, in := range g.instances {
			if !in.dead {
				total++
			}
			switch {
			case in.healthy(c.at):
				healthy++
			case in.replaces && in.leavingAt.IsZero(), in.sickUntil.After(c.at):
				lost++
			}
		}
		if !c.config.Router || c.effective[name] > 0 || c.rule[name] > 0 {
			serving += healthy
			missing += lost
		}
	}
	if serving+missing < c.bounds.Floor {
		c.violate("I2 %d healthy instances take traffic (%d lost to faults), fewer than %d, after %s", serving, missing, c.bounds.Floor, after)
	}
	if total > c.bounds.Ceiling {
		c.violate("I3 %d instances, more than %d, after %s", total, c.bounds.Ceiling, after)
	}
	if c.config.Router && len(c.rule) > 0 {
		sum := 0
		for _, w := range c.rule {
			sum += w
		}
		if sum != 100 && sum != 0 {
			c.violate("I5 weights add up to %d", sum)
		}
	}
}

// checkWrite holds what must be true of a change at the moment it has its effect.
func (c *Cloud) checkWrite(ch delivery.Change) {
	if c.closed {
		c.violate("I7 write after the end: %s", ch)
	}
	switch ch.Kind {
	case delivery.SetRouting:
		for _, w := range ch.Weights {
			if w.Percent > c.rule[w.ServerGroup] && c.healthyIn(w.ServerGroup) == 0 && !c.allLost(w.ServerGroup) {
				c.violate("I1 weight %d for %s, which has no healthy instance", w.Percent, w.ServerGroup)
			}
		}
	case delivery.ResizeGroup, delivery.DestroyGroup:
		removing := ch.Kind == delivery.DestroyGroup || ch.Capacity.Desired == 0
		if removing && c.config.Router && (c.rule[ch.Group] > 0 || c.effective[ch.Group] > 0) {
			c.violate("I4 %s while %s has weight %d (effective %d)", ch, ch.Group, c.rule[ch.Group], c.effective[ch.Group])
		}
		if at, served := c.zeroAt[ch.Group]; ch.Kind == delivery.DestroyGroup && served && c.at.Sub(at) < c.config.Drain {
			c.violate("I4 %s %s after its last request", ch, c.at.Sub(at))
		}
		if g := c.groups[ch.Group]; g != nil && ch.Kind == delivery.DestroyGroup && !g.managed {
			c.violate("I14 destroy of %s, which is not managed", ch.Group)
		}
	}
}

// checkShrink holds that a group with traffic keeps a healthy instance when it
// shrinks. An instance that was hurt so lately that nobody could know is allowed for.
func (c *Cloud) checkShrink(ch delivery.Change, healthyBefore int) {
	if ch.Kind != delivery.ResizeGroup || healthyBefore == 0 || c.healthyIn(ch.Group) > 0 || c.rule[ch.Group] == 0 {
		return
	}
	for _, in := range c.groups[ch.Group].instances {
		known := c.at.Add(-c.config.Faults.StaleFor - time.Second)
		if in.sickSince.After(known) || in.replaces && in.launched.After(known) || in.healthyAt.IsZero() {
			return
		}
	}
	c.violate("I1 %s leaves no healthy instance behind weight %d", ch, c.rule[ch.Group])
}

func (c *Cloud) healthyIn(name string) int {
	n := 0
	if g := c.groups[name]; g != nil {
		for _, in := range g.instances {
			if in.healthy(c.at) {
				n++
			}
		}
	}
	return n
}

// allLost reports whether a group has no healthy instance because of faults.
func (c *Cloud) allLost(name string) bool {
	g := c.groups[name]
	if g == nil {
		return false
	}
	for _, in := range g.instances {
		if in.replaces || in.sickUntil.After(c.at) {
			return true
		}
	}
	return false
}
