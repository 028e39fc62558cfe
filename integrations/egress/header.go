package egress

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// maxHeaders bounds the names and values of a request's header, in bytes.
const maxHeaders = 32 << 10

// reservedHeaders are headers that frame the request or speak to proxies, which are
// the client's own to set, and those that open the clouds' metadata.
var reservedHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Metadata", "Metadata-Flavor", "X-Aws-Ec2-Metadata-Token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds",
}

// publicHeaders are the headers that follow a redirect to another host: they say
// nothing about who asks.
var publicHeaders = []string{"Accept", "Accept-Language", "User-Agent"}

// CheckHeader returns an error in words for people when requests are not sent with
// the header.
func CheckHeader(name, value string) error {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case !token(name):
		return delivery.Errorf(delivery.Invalid, "header %q is no name of a header", name)
	case slices.Contains(reservedHeaders, canonical) || strings.HasPrefix(canonical, "Proxy-"):
		return delivery.Errorf(delivery.Invalid, "header %s may not be set", canonical)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return delivery.Errorf(delivery.Invalid, "header %s has a control character in its value", canonical)
	default:
		return nil
	}
}

// token reports whether a text is a token of RFC 9110 section 5.6.2.
func token(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// readHeader returns a request's header in canonical form. A value is never part of
// an error, since it may be a credential.
func readHeader(given map[string][]string) (http.Header, error) {
	out, size := http.Header{}, 0
	for name, values := range given {
		for _, value := range values {
			if err := CheckHeader(name, value); err != nil {
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
