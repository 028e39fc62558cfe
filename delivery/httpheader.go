package delivery

import (
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// reservedHeaders are headers that frame a request or speak to proxies, which are the
// HTTP client's own to set, and those that open the clouds' metadata.
var reservedHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Metadata", "Metadata-Flavor", "X-Aws-Ec2-Metadata-Token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds",
}

// CheckHeader returns an Invalid error when an HTTPRequest may not have the header. The
// value is no part of the error, since it may be a credential.
func CheckHeader(name, value string) error {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case !IsToken(name):
		return Errorf(Invalid, "header %q is no name of a header", name)
	case slices.Contains(reservedHeaders, canonical) || strings.HasPrefix(canonical, "Proxy-"):
		return Errorf(Invalid, "header %s may not be set", canonical)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return Errorf(Invalid, "header %s has a control character in its value", canonical)
	default:
		return nil
	}
}

// IsToken reports whether a text is a token of RFC 9110 section 5.6.2: the name of a
// header or of a method.
func IsToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// maxURL is in bytes. Many servers take no more than 8 KiB.
const maxURL = 8 << 10

// ParseHTTPURL reads the URL of an HTTPRequest. It is Invalid unless it is absolute, of
// the scheme http or https, and without a user name or password, which belong into a
// header. The URL is no part of the error, since its query may hold a credential.
func ParseHTTPURL(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, Errorf(Invalid, "the URL has %d bytes; it may have %d", len(text), maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, Errorf(Invalid, "the URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, Errorf(Invalid, "the URL's scheme is %q; must be http or https", u.Scheme)
	case u.User != nil:
		return nil, Errorf(Invalid, "the URL has a user name or password; put credentials into a header")
	case u.Hostname() == "":
		return nil, Errorf(Invalid, "the URL has no host")
	default:
		return u, nil
	}
}

// credentialWords are what the names of headers with credentials contain.
var credentialWords = []string{"auth", "cookie", "credential", "key", "password", "secret", "session", "signature", "token"}

// IsCredential reports whether a header of this name is taken to be a credential, which
// is not shown.
func IsCredential(header string) bool {
	lower := strings.ToLower(header)
	return slices.ContainsFunc(credentialWords, func(word string) bool { return strings.Contains(lower, word) })
}
