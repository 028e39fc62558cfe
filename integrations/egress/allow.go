package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// allowance is one entry of Config.Allow.
type allowance struct {
	// host is a name in lower case; empty when the entry is a network.
	host    string
	network netip.Prefix
	// local is true for a network of addresses of this machine: it has to be meant, a
	// larger network that has them does not do.
	local bool
	// port is 0 for every port.
	port uint16
}

// parseAllowance reads a host, an address or a network, with a port or without:
// "ci.corp.example", "10.1.2.3:8443", "10.20.0.0/16", "[fd12::1]:443", "fd12::/16".
func parseAllowance(entry string) (allowance, error) {
	var a allowance
	place, port, err := splitPort(entry)
	if err != nil {
		return a, fmt.Errorf("%q: %w", entry, err)
	}
	a.port = port
	switch {
	case strings.Contains(place, "/"):
		if a.network, err = netip.ParsePrefix(place); err != nil {
			return a, fmt.Errorf("%q is no network: %w", entry, err)
		}
		if a.network != a.network.Masked() {
			return a, fmt.Errorf("%q is no network: its first address is %s", entry, a.network.Masked())
		}
	case isAddress(place):
		address, _ := netip.ParseAddr(place)
		if address.Zone() != "" || address.Is4In6() {
			return a, fmt.Errorf("%q: write the address without a zone, and an IPv4 address as such", entry)
		}
		a.network = netip.PrefixFrom(address, address.BitLen())
	default:
		if a.host, err = hostName(place); err != nil {
			return a, fmt.Errorf("%q: %w", entry, err)
		}
		return a, nil
	}
	return a, a.classify(entry)
}

// splitPort takes the port off an entry; 0 when it has none. The address of IPv6 with
// a port stands in brackets, a network needs none: what follows its length is the port.
func splitPort(entry string) (place string, port uint16, err error) {
	place = entry
	slash, colon := strings.LastIndexByte(entry, '/'), strings.LastIndexByte(entry, ':')
	if strings.Count(entry, ":") == 1 || slash >= 0 && slash < colon || strings.Contains(entry, "]:") {
		place = entry[:colon]
		if port, err = parsePort(entry[colon+1:]); err != nil {
			return "", 0, err
		}
	}
	if inner, ok := strings.CutPrefix(place, "["); ok {
		place = strings.TrimSuffix(inner, "]")
	}
	return place, port, nil
}

// classify refuses a network that stays closed whatever the configuration says.
func (a *allowance) classify(entry string) error {
	for _, r := range ranges {
		if r.prefix.Bits() > a.network.Bits() || !r.prefix.Contains(a.network.Addr()) {
			continue
		}
		if r.class == forbidden {
			return fmt.Errorf("%q is %s, which stays closed", entry, r.name)
		}
		a.local = a.local || r.class == local
	}
	if a.local && a.port == 0 {
		return fmt.Errorf("%q is of this machine; name the port too", entry)
	}
	return nil
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is not between 1 and 65535", text)
	}
	return uint16(port), nil
}

// hostName returns a host's name in the form in which names are compared. Names are
// of letters, digits, '-' and '_': an international one is written in its ASCII form.
func hostName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" || len(name) > 253 {
		return "", fmt.Errorf("host %q is no name of a host", text)
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		ok := label != "" && len(label) <= 63
		for _, c := range []byte(label) {
			ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		}
		if !ok {
			return "", fmt.Errorf("host %q is no name of a host", text)
		}
	}
	if last := labels[len(labels)-1]; numeric(last) {
		return "", fmt.Errorf("host %q is a number; write an IPv4 address as four decimal numbers", text)
	}
	return name, nil
}

// numeric reports whether a label would make some resolvers read a name as an IPv4
// address, such as "2130706433", "0x7f.1" and "0177.0.0.1".
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// opens reports whether the entry opens an address of a class for a host.
func (a allowance) opens(host string, to netip.AddrPort, of class) bool {
	if a.port != 0 && a.port != to.Port() {
		return false
	}
	switch {
	case of == forbidden, of == local && !a.local:
		return false
	case a.host != "":
		return a.host == host
	default:
		return a.network.Contains(to.Addr())
	}
}

// joinPort is the address to dial.
func joinPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
