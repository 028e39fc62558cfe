package egress

import (
	"net/http"

	"github.com/slipway-cd/slipway/delivery"
)

// maxHeaders bounds the names and values of a request's header, in bytes.
const maxHeaders = 32 << 10

// publicHeaders are the headers that follow a redirect to another host: they say
// nothing about who asks.
var publicHeaders = []string{"Accept", "Accept-Language", "User-Agent"}

// readHeader returns a request's header in canonical form. A value is never part of
// an error, since it may be a credential.
func readHeader(given map[string][]string) (http.Header, error) {
	out, size := http.Header{}, 0
	for name, values := range given {
		for _, value := range values {
			if err := delivery.CheckHeader(name, value); err != nil {
				return nil, err
			}
			size += len(name) + len(value)
			out.Add(name, value)
		}
	}
	if size > maxHeaders {
		return nil, delivery.Errorf(delivery.Invalid, "the headers have %d bytes; they may have %d", size, maxHeaders)
	}
	if out.Get("User-Agent") == "" {
		out.Set("User-Agent", userAgent)
	}
	out.Set("Accept-Encoding", "identity") // an answer is as large as it looks
	return out, nil
}

const userAgent = "Slipway"

// forOthers returns what of a header may be sent to a host that was not asked.
func forOthers(h http.Header) http.Header {
	out := http.Header{"Accept-Encoding": h["Accept-Encoding"]}
	for _, name := range publicHeaders {
		if values, ok := h[name]; ok {
			out[name] = values
		}
	}
	return out
}
