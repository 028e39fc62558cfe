package egress

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestGuard(t *testing.T) {
	g, err := newGuard([]string{"ci.corp.example", "10.20.0.0/16:8443", "127.0.0.1:9000", "[fd12::1]:443", "mail.example:25", "0.0.0.0/0:7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ host, to, refusal string }{
		{"a.example", "93.184.216.34:443", ""},
		{"a.example", "93.184.216.34:80", ""},
		{"a.example", "93.184.216.34:8080", ""},
		{"a.example", "93.184.216.34:25", "port 25"},
		{"mail.example", "93.184.216.34:25", ""},
		{"a.example", "[2606:4700::1111]:443", ""},
		{"a.example", "[64:ff9b::5db8:d822]:443", ""}, // 93.184.216.34 through NAT64
		{"a.example", "[::ffff:93.184.216.34]:443", ""},

		{"a.example", "10.20.1.1:443", "a.example (10.20.1.1) may not be called: it is a private address"},
		{"a.example", "10.20.1.1:8443", ""},
		{"a.example", "[64:ff9b::a14:101]:8443", ""},
		{"ci.corp.example", "192.168.1.1:443", ""},
		{"ci.corp.example", "192.168.1.1:22", ""},
		{"ci.corp.example", "127.0.0.1:443", "an address of this machine"},
		{"ci.corp.example", "169.254.169.254:80", "a link-local address"},
		{"127.0.0.1", "127.0.0.1:9000", ""},
		{"a.example", "127.0.0.1:9000", ""},
		{"127.0.0.1", "127.0.0.1:9001", "127.0.0.1 may not be called: it is an address of this machine"},
		{"127.0.0.2", "127.0.0.2:9000", "an address of this machine"},
		{"a.example", "127.0.0.1:7", "an address of this machine"},
		{"a.example", "10.0.0.1:7", ""},
		{"a.example", "100.100.100.200:7", "the cloud's metadata"},
		{"fd12::1", "[fd12::1]:443", ""},
		{"fd12::1", "[fd12::1%eth0]:443", "an address with a zone"},
		{"fd12::2", "[fd12::2]:443", "a private address"},
		{"a.example", "[fd00:ec2::254]:80", "the cloud's metadata"},
		{"a.example", "[fe80::1%eth0]:80", "an address with a zone"},
		{"a.example", "[64:ff9b::a9fe:a9fe]:80", "a link-local address"},
		{"a.example", "[64:ff9b:1::1]:80", "no address of the internet"},
		{"a.example", "[2002:7f00:1::]:80", "a reserved address"},
		{"a.example", "[::127.0.0.1]:80", "no address of the internet"},
		{"a.example", "[::]:80", "no address of a host"},
		{"a.example", "0.0.0.0:80", "no address of a host"},
		{"a.example", "255.255.255.255:80", "no address of a host"},
		{"a.example", "224.0.0.1:80", "a multicast address"},
		{"a.example", "198.18.0.1:80", "a reserved address"},
	} {
		err := g.check(row.host, netip.MustParseAddrPort(row.to))
		switch {
		case row.refusal == "" && err != nil:
			t.Errorf("%s at %s: %v", row.host, row.to, err)
		case row.refusal != "" && (err == nil || !strings.Contains(err.Error(), row.refusal)):
			t.Errorf("%s at %s: %v; want %q", row.host, row.to, err, row.refusal)
		case err != nil && delivery.KindOf(err) != delivery.Denied:
			t.Errorf("%s at %s: %v is %s", row.host, row.to, err, delivery.KindOf(err))
		}
	}
}

func TestAllowRefused(t *testing.T) {
	for entry, want := range map[string]string{
		"169.254.169.254":    "stays closed",
		"169.254.0.0/16":     "stays closed",
		"[fd00:ec2::254]:80": "stays closed",
		"fe80::/10":          "stays closed",
		"127.0.0.1":          "name the port too",
		"::1":                "name the port too",
		"127.0.0.0/8":        "name the port too",
		"10.0.0.1/8":         "its first address is 10.0.0.0/8",
		"10.0.0.0/33":        "no network",
		"10.0.0.0/8:0":       "port",
		"ci.example:https":   `port "https"`,
		"ci.example:70000":   "port",
		"":                   "no name of a host",
		":80":                "no name of a host",
		"*.example":          "no name of a host",
		"https://ci.example": "port",
		"a b":                "no name of a host",
		"::ffff:10.0.0.1":    "an IPv4 address as such",
		"fd12::1%eth0":       "without a zone",
		"2130706433":         "four decimal numbers",
		"0x7f.1":             "four decimal numbers",
	} {
		_, err := New(Config{Allow: []string{"ok.example", entry}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "egress.allow[1]: ") {
			t.Errorf("%q: %v; want %q", entry, err, want)
		}
		if delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%q: %v is %s", entry, err, delivery.KindOf(err))
		}
	}
}

// TestEveryForm holds that an IPv4 address is open or closed in each of the forms in
// which IPv6 carries it as it is by itself, and that no special address is open.
func TestEveryForm(t *testing.T) {
	var g guard
	rapid.Check(t, func(t *rapid.T) {
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], rapid.Uint32().Draw(t, "address"))
		a := netip.AddrFrom4(four)
		err := g.check("h.example", netip.AddrPortFrom(a, 443))
		for _, form := range []string{"::ffff:" + a.String(), fmt.Sprintf("64:ff9b::%x:%x", binary.BigEndian.Uint16(four[:]), binary.BigEndian.Uint16(four[2:]))} {
			other := g.check("h.example", netip.AddrPortFrom(netip.MustParseAddr(form), 443))
			if (other == nil) != (err == nil) {
				t.Fatalf("%s: %v, but %s: %v", a, err, form, other)
			}
		}
		special := a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
		if special && err == nil {
			t.Fatalf("%s is open", a)
		}
	})
}

// TestEverySixth holds the same of IPv6 addresses that net/netip knows to be special,
// whatever is allowed beside them.
func TestEverySixth(t *testing.T) {
	g, err := newGuard([]string{"::/0"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var b [16]byte
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		first := rapid.SampledFrom([]string{"", "::", "fe80::", "ff02::", "fd00:ec2::", "fc00::", "64:ff9b::", "2002::"}).Draw(t, "beginning")
		if first != "" {
			beginning := netip.MustParseAddr(first).As16()
			copy(b[:4], beginning[:4])
		}
		a := netip.AddrFrom16(b)
		if err := g.check("h.example", netip.AddrPortFrom(a, 443)); err == nil && (a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()) {
			t.Fatalf("%s is open", a)
		}
		if err := (guard{}).check("h.example", netip.AddrPortFrom(a, 443)); err == nil && a.IsPrivate() {
			t.Fatalf("%s is open", a)
		}
	})
}
