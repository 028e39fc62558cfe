package egress

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// destination is where a URL leads.
type destination struct {
	url *url.URL
	// host is in the form of hostName, or an address.
	host string
	port uint16
}

// locate reads a URL and refuses what no request is sent to: Invalid with a reason.
func locate(text string) (destination, error) {
	u, err := delivery.ParseHTTPURL(text)
	if err != nil {
		return destination{}, err
	}
	d := destination{url: u}
	d.port = map[string]uint16{"http": 80, "https": 443}[u.Scheme]
	if port := u.Port(); port != "" {
		if d.port, err = parsePort(port); err != nil {
			return d, delivery.Errorf(delivery.Invalid, "the URL's %w", err)
		}
	}
	return d, d.readHost()
}

func (d *destination) readHost() error {
	host := d.url.Hostname()
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return delivery.Errorf(delivery.Invalid, "the URL's host %q has a zone", host)
		}
		d.host = address.String()
		return nil
	}
	if strings.HasPrefix(d.url.Host, "[") {
		return delivery.Errorf(delivery.Invalid, "the URL's host %q is no IPv6 address", host)
	}
	name, err := hostName(host)
	if err != nil {
		return delivery.Errorf(delivery.Invalid, "the URL's %w", err)
	}
	d.host = name
	return nil
}

// same reports whether credentials for one destination are for the other too.
func (d destination) same(other destination) bool {
	return d.url.Scheme == other.url.Scheme && d.host == other.host && d.port == other.port
}
