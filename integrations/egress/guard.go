package egress

import (
	"fmt"
	"net/netip"

	"github.com/slipway-cd/slipway/delivery"
)

// guard decides which addresses may be dialed.
type guard struct{ allow []allowance }

// newGuard reads the entries of Config.Allow.
func newGuard(allow []string) (guard, error) {
	var g guard
	for i, entry := range allow {
		a, err := parseAllowance(entry)
		if err != nil {
			return g, delivery.Errorf(delivery.Invalid, "egress.allow[%d]: %w", i, err)
		}
		g.allow = append(g.allow, a)
	}
	return g, nil
}

// check returns a Denied error when a connection for the host, a name or an address,
// may not be made to the address that it resolved to. The host is in the form of
// hostName.
func (g guard) check(host string, to netip.AddrPort) error {
	if to.Addr().Zone() != "" {
		return denied(host, to.Addr(), "an address with a zone")
	}
	to = netip.AddrPortFrom(plain(to.Addr()), to.Port())
	class, name := classify(to.Addr())
	for _, a := range g.allow {
		if a.opens(host, to, class) {
			return nil
		}
	}
	switch {
	case class != public:
		return denied(host, to.Addr(), name)
	case !openPort(to.Port()):
		return delivery.Errorf(delivery.Denied, "port %d of %s may not be called: 80, 443 and ports from 1024 on are open, others where egress.allow has them", to.Port(), host)
	default:
		return nil
	}
}

// openPort keeps public services that do not speak HTTP, such as mail, from being sent
// requests.
func openPort(port uint16) bool { return port == 80 || port == 443 || port >= 1024 }

func denied(host string, address netip.Addr, name string) error {
	place := address.String()
	if host != place {
		place = fmt.Sprintf("%s (%s)", host, place)
	}
	return delivery.Errorf(delivery.Denied, "%s may not be called: it is %s", place, name)
}
