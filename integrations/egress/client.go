package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// The bounds of one call.
const (
	// defaultTimeout is for a whole call that names no time of its own.
	defaultTimeout = 30 * time.Second
	maxTimeout     = 5 * time.Minute
	// connectTimeout is for resolving a name and connecting, and once more for the TLS
	// handshake.
	connectTimeout = 10 * time.Second
	// defaultAnswer and maxAnswer are in bytes, of the body.
	defaultAnswer = 1 << 20
	maxAnswer     = 16 << 20
	// maxAnswerHeader is in bytes.
	maxAnswerHeader = 64 << 10
	maxRedirects    = 5
)

// Config is the part "egress" of the configuration.
type Config struct {
	// Allow has what is open besides the public internet: hosts, addresses and networks,
	// each with a port or for all ports. A host opens whatever private address its name
	// has; an address of this machine has to be named as such, with its port.
	Allow []string `yaml:"allow"`
}

// Client calls systems that are no clouds.
type Client struct {
	guard guard
	// resolver is nil for the system's.
	resolver  *net.Resolver
	transport *http.Transport
}

var _ delivery.HTTPCaller = (*Client)(nil)

// New makes a client. Invalid when an entry of Allow cannot be read or asks for what
// stays closed.
func New(c Config) (*Client, error) {
	guard, err := newGuard(c.Allow)
	if err != nil {
		return nil, err
	}
	client := &Client{guard: guard}
	client.transport = &http.Transport{
		DialContext:            client.dial,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true,
		// Every request is dialed, and so checked, by itself.
		DisableKeepAlives: true,
		Proxy:             nil,
	}
	return client, nil
}

// hostKey is the key of the host in the context of a dial.
type hostKey struct{}

// dial connects to the host that locate has read. The address is checked when it is
// about to be connected to, so that nobody resolves the name once more in between.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, ok := ctx.Value(hostKey{}).(string)
	if !ok {
		return nil, delivery.Errorf(delivery.Internal, "dial %s: the host was not checked", address)
	}
	dialer := net.Dialer{Timeout: connectTimeout, Resolver: c.resolver, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return delivery.Errorf(delivery.Denied, "%s leads to %s, which is no address", host, address)
		}
		return c.guard.check(host, to)
	}}
	return dialer.DialContext(ctx, network, address)
}
