package egress

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// names is a name server with the answers for each name, in the order in which they
// are given; the last one stays. It answers with addresses of IPv4 alone.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
}

// resolver serves the names on loopback until the test ends.
func (n *names) resolver(t *testing.T) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.answer(buffer[:size]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer answers a query of one question (RFC 1035 section 4).
func (n *names) answer(query []byte) []byte {
	at, labels := 12, []string{}
	for query[at] != 0 {
		length := int(query[at])
		labels = append(labels, string(query[at+1:at+1+length]))
		at += 1 + length
	}
	question := query[12 : at+5]
	address, known := n.next(strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(query[at+1:]))
	out := append([]byte{query[0], query[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	switch {
	case !known:
		out[3] = 3 // no such name
	case address.IsValid():
		out[7] = 1
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, address.AsSlice()...)
	}
	return out
}

// next takes the next answer for a name. Only questions for A records take one.
func (n *names) next(name string, kind uint16) (address netip.Addr, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list, known := n.answers[name]
	if !known || kind != 1 {
		return address, known
	}
	if len(list) > 1 {
		n.answers[name] = list[1:]
	}
	return netip.MustParseAddr(list[0]), true
}
