package fakecloud

import (
	"github.com/slipway-cd/slipway/delivery"
)

// ways are how groups without public traffic are reached: groups without a size by
// an address of their own, the others by rules.
func (c *Cloud) ways() []delivery.MatchKind {
	switch {
	case !c.config.Router:
		return nil
	case c.config.Unsized:
		return []delivery.MatchKind{delivery.MatchTagURL}
	default:
		return []delivery.MatchKind{delivery.MatchHeader, delivery.MatchCookie}
	}
}

func (c *Cloud) previews() []delivery.Preview {
	var out []delivery.Preview
	for _, name := range c.names() {
		if c.config.Unsized && c.groups[name].attached {
			out = append(out, delivery.Preview{ServerGroup: name, URL: "http://" + name})
		}
		if m, led := c.led[name]; led {
			out = append(out, delivery.Preview{ServerGroup: name, Match: m})
		}
	}
	return out
}

func (c *Cloud) setPreview(ch delivery.Change) (delivery.Receipt, error) {
	g, m := c.groups[ch.Group], *ch.Match
	switch {
	case g == nil || !g.attached:
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "no server group %s", ch.Group)
	case c.config.Unsized || m.Kind() == delivery.MatchTagURL:
		c.violate("a rule by %s, which this cloud does not have", m)
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "no rule by %s", m)
	case c.led[ch.Group] == m:
		return delivery.Receipt{Done: true}, nil
	}
	for name, other := range c.led {
		if other.Is(m) {
			return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "%s leads to %s", m, name)
		}
	}
	c.checkWrite(ch)
	c.led[ch.Group] = m
	return delivery.Receipt{Done: true, Wrote: "CreateRule"}, nil
}

func (c *Cloud) unsetPreview(ch delivery.Change) (delivery.Receipt, error) {
	if _, led := c.led[ch.Group]; !led {
		return delivery.Receipt{Done: true}, nil
	}
	c.checkWrite(ch)
	delete(c.led, ch.Group)
	c.unledAt[ch.Group] = c.at
	return delivery.Receipt{Done: true, Wrote: "DeleteRule"}, nil
}

// checkPreview holds that testers are led to what is healthy, and that what they are
// led to stays until the rule is gone from every proxy and they have had their answers.
func (c *Cloud) checkPreview(ch delivery.Change) {
	removing := ch.Kind == delivery.DestroyGroup || ch.Kind == delivery.ResizeGroup && ch.Capacity.Desired == 0
	switch _, led := c.led[ch.Group]; {
	case ch.Kind == delivery.CreatePreview && c.healthyIn(ch.Group) == 0 && !c.allLost(ch.Group):
		c.violate("I1 %s, which has no healthy instance", ch)
	case removing && led:
		c.violate("I4 %s while %s leads to it", ch, c.led[ch.Group])
	}
	if at, was := c.unledAt[ch.Group]; ch.Kind == delivery.DestroyGroup && was && c.at.Sub(at) < c.config.Settle+c.config.Drain {
		c.violate("I4 %s %s after testers were led to it", ch, c.at.Sub(at))
	}
}
