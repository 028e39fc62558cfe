package api

import (
	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// action is what a principal wants to do to a resource.
type action int

// The actions. The zero value is no action: a route that has it is refused.
const (
	undecided action = iota
	// public needs no principal at all.
	public
	// event is what senders without a principal do: each trigger decides by its secret
	// whom it believes.
	event
	read
	write
	execute
)

// scope says what the access rule of a route is about.
type scope int

const (
	// platform is Slipway itself: its accounts, its lists.
	platform scope = iota
	// ofPath is the application named by the path's parameter "app".
	ofPath
	// ofObject is the application of the object that the handler loads; the
	// handler calls authorize with it before it uses the object.
	ofObject
)

// access is the rule of a route.
type access struct {
	action action
	scope  scope
}

// resource is what an action is done to. An empty application is the platform.
type resource struct{ application string }

// authorize is the one place where access is decided. No authentication can be
// configured yet: the server listens on loopback only, everybody is anonymous
// and may do everything that a rule stands for. What has no rule is refused.
func (s *Server) authorize(_ delivery.Principal, a action, _ resource) error {
	if a == undecided {
		return delivery.Errorf(delivery.Denied, "Access is denied")
	}
	return nil
}

// authorizeRoute applies a route's rule as far as the path decides it.
func (s *Server) authorizeRoute(c *gin.Context, rule access) error {
	var on resource
	if rule.scope == ofPath {
		on.application = param(c, "app")
	}
	return s.authorize(principalOf(c), rule.action, on)
}

// principalOf returns who sends the request. While there is no authentication
// the X-SPINNAKER-USER header is a label that is recorded and gives no right.
func principalOf(c *gin.Context) delivery.Principal {
	if name := c.GetHeader("X-SPINNAKER-USER"); printable(name, 200) {
		return delivery.Principal{Name: name}
	}
	return delivery.Anonymous
}

// printable reports whether a header's value may be recorded as it is: 1 to
// limit visible ASCII characters or spaces.
func printable(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}
