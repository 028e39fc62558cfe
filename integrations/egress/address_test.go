package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

func TestLocateRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "scheme",
		"ftp://a.example":                     `scheme is "ftp"`,
		"file:///etc/passwd":                  `scheme is "file"`,
		"gopher://127.0.0.1:6379/_x":          "scheme",
		"//a.example":                         "scheme",
		"http:a.example":                      "no host",
		"http://":                             "no host",
		"http://ok@127.0.0.1/":                "user name or password",
		"http://a:b@c.example/":               "user name or password",
		"http://2130706433/":                  "four decimal numbers",
		"http://0x7f.1/":                      "four decimal numbers",
		"http://0x7f000001/":                  "four decimal numbers",
		"http://017700000001/":                "four decimal numbers",
		"http://0177.0.0.1/":                  "four decimal numbers",
		"http://127.1/":                       "four decimal numbers",
		"http://127.0.0.1./":                  "four decimal numbers",
		"http://[fe80::1%25eth0]/":            "has a zone",
		"http://[127.0.0.1]/":                 "",
		"http://１２７.0.0.1/":                   "no name of a host",
		"http://bücher.example/":              "no name of a host",
		"http://a..example/":                  "no name of a host",
		"http://a%2eexample/":                 "cannot be read",
		"http://a.example:0/":                 "port",
		"http://a.example:99999/":             "port",
		"http://a.example\r\nx: y/":           "cannot be read",
		`http://ok.example\@b.c/`:             "cannot be read",
		"http://" + strings.Repeat("a", 9000): "9007 bytes",
	} {
		d, err := locate(text)
		if err == nil && want == "" {
			continue // the guard has it by its address
		}
		if err == nil || !strings.Contains(err.Error(), want) || delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%q leads to %s: %v; want %q", text, d.host, err, want)
		}
	}
}

func TestLocate(t *testing.T) {
	for text, want := range map[string]string{
		"http://A.Example./x":        "a.example:80",
		"https://a_b.internal":       "a_b.internal:443",
		"https://a.example:8443/?q":  "a.example:8443",
		"http://[::FFFF:127.0.0.1]/": "[::ffff:127.0.0.1]:80",
		"http://127.0.0.1:81/":       "127.0.0.1:81",
	} {
		d, err := locate(text)
		if err != nil || d.address().Host != want {
			t.Errorf("%q leads to %v, %v; want %s", text, d, err, want)
		}
	}
}

// FuzzLocate holds that the URL that is asked has the host that was checked, and that
// no text of an address of this machine is open.
func FuzzLocate(f *testing.F) {
	for _, text := range []string{"http://127.0.0.1", "http://0x7f.1", "http://[::ffff:7f00:1]:80/", "https://a.example:443/p?q#f", "http://a@b/", "http://[64:ff9b::7f00:1]/", "http://[fe80::1%25a]/", "http://localhost./", "HTTP://A.B"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := locate(text)
		if err != nil {
			return
		}
		asked := d.address()
		again, err := locate(asked.String())
		if err != nil {
			t.Fatalf("%q asks %q, which is refused: %v", text, asked, err)
		}
		if !again.same(d) {
			t.Fatalf("%q leads to %s port %d, but asks %q", text, d.host, d.port, asked)
		}
		address, err := netip.ParseAddr(d.host)
		if err != nil {
			return
		}
		if (guard{}).check(d.host, netip.AddrPortFrom(address, d.port)) == nil && (address.Unmap().IsLoopback() || address.Unmap().IsPrivate() || address.Zone() != "") {
			t.Fatalf("%q is open", text)
		}
	})
}
