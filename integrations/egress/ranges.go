package egress

import "net/netip"

// class says who may open an address.
type class int

const (
	// public addresses are open.
	public class = iota
	// private ones are opened by a name, an address or a network in Config.Allow.
	private
	// local ones, of this machine, are opened by an address or a network. A name does
	// not do: who serves the name chooses its address.
	local
	// forbidden ones are opened by nothing.
	forbidden
)

// addressRange is a range of addresses that are not public, with its class and its
// name for people.
type addressRange struct {
	prefix netip.Prefix
	class  class
	name   string
}

// ranges are looked through from the first to the last. They follow the IANA registries
// of special-purpose addresses (RFC 6890), besides the addresses at which clouds answer
// their machines with credentials.
var ranges = []addressRange{
	// Metadata that is no link-local address: EC2 and ECS over IPv6, Compute Engine
	// over IPv6, Alibaba, Azure, Oracle.
	{netip.MustParsePrefix("fd00:ec2::/32"), forbidden, "an address of the cloud's metadata"},
	{netip.MustParsePrefix("fd20:ce::/32"), forbidden, "an address of the cloud's metadata"},
	{netip.MustParsePrefix("100.100.100.200/32"), forbidden, "an address of the cloud's metadata"},
	{netip.MustParsePrefix("168.63.129.16/32"), forbidden, "an address of the cloud's metadata"},
	{netip.MustParsePrefix("192.0.0.192/32"), forbidden, "an address of the cloud's metadata"},

	{netip.MustParsePrefix("169.254.0.0/16"), forbidden, "a link-local address"},
	{netip.MustParsePrefix("fe80::/10"), forbidden, "a link-local address"},
	{netip.MustParsePrefix("0.0.0.0/8"), forbidden, "no address of a host"},
	{netip.MustParsePrefix("::/128"), forbidden, "no address of a host"},
	{netip.MustParsePrefix("224.0.0.0/4"), forbidden, "a multicast address"},
	{netip.MustParsePrefix("ff00::/8"), forbidden, "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), forbidden, "no address of a host"},

	{netip.MustParsePrefix("127.0.0.0/8"), local, "an address of this machine"},
	{netip.MustParsePrefix("::1/128"), local, "an address of this machine"},

	{netip.MustParsePrefix("10.0.0.0/8"), private, "a private address"},
	{netip.MustParsePrefix("172.16.0.0/12"), private, "a private address"},
	{netip.MustParsePrefix("192.168.0.0/16"), private, "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), private, "a carrier's private address"},
	{netip.MustParsePrefix("fc00::/7"), private, "a private address"},
	{netip.MustParsePrefix("fec0::/10"), private, "a private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("192.0.2.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("192.88.99.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("198.18.0.0/15"), private, "a reserved address"},
	{netip.MustParsePrefix("198.51.100.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("203.0.113.0/24"), private, "a reserved address"},

	// Addresses that carry an IPv4 address to somewhere else (Teredo, 6to4), and what
	// has never been given to anybody.
	{netip.MustParsePrefix("2001::/23"), forbidden, "a reserved address"},
	{netip.MustParsePrefix("2002::/16"), forbidden, "a reserved address"},
	{netip.MustParsePrefix("2001:db8::/32"), private, "a reserved address"},
	{netip.MustParsePrefix("3fff::/20"), private, "a reserved address"},
}

// translated are the IPv6 addresses that stand for the IPv4 address in their last four
// bytes: a NAT64 gateway leads there (RFC 6052).
var translated = netip.MustParsePrefix("64:ff9b::/96")

// globalUnicast are the IPv6 addresses that hosts of the internet have.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// plain returns the address that is meant by another form of it: an IPv4 address that
// is mapped into IPv6 (::ffff:127.0.0.1) or that a NAT64 gateway leads to.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if translated.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// classify returns the class of an address, and its name for people when it is not
// public. The address is plain and has no zone.
func classify(a netip.Addr) (class, string) {
	for _, r := range ranges {
		if r.prefix.Contains(a) {
			return r.class, r.name
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return forbidden, "no address of the internet"
	}
	return public, ""
}
