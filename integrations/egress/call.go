package egress

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Call sends a request and returns the answer, whatever its status.
func (c *Client) Call(ctx context.Context, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	method := cmp.Or(r.Method, http.MethodGet)
	if !delivery.IsToken(method) || method == http.MethodConnect {
		return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Invalid, "method %q cannot be called", method)
	}
	header, err := readHeader(r.Header)
	if err != nil {
		return delivery.HTTPAnswer{}, err
	}
	first, err := locate(r.URL)
	if err != nil {
		return delivery.HTTPAnswer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(cmp.Or(r.Timeout, defaultTimeout), maxTimeout))
	defer cancel()
	to := first
	for left := min(r.Redirects, maxRedirects); ; left-- {
		answer, err := c.once(ctx, method, to, header, r)
		if err != nil || left <= 0 || !redirects(method, answer.StatusCode) {
			return answer, err
		}
		next, err := to.follow(answer.Header)
		if err != nil {
			return delivery.HTTPAnswer{}, fmt.Errorf("follow the redirect of %s: %w", to.host, err)
		}
		if !next.same(first) {
			header = forOthers(header)
		}
		to = next
	}
}

// redirects reports whether an answer leads on to another URL that may be asked the
// same. Only reads are: no body goes where nobody sent it.
func redirects(method string, status int) bool {
	if method != http.MethodGet && method != http.MethodHead {
		return false
	}
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

// follow returns where an answer's redirect leads.
func (d destination) follow(header map[string][]string) (destination, error) {
	location := http.Header(header).Get("Location")
	to, err := url.Parse(location)
	if location == "" || err != nil {
		return d, delivery.Errorf(delivery.Invalid, "its Location cannot be read")
	}
	next, err := locate(d.url.ResolveReference(to).String())
	if err != nil {
		return d, err
	}
	if next.url.Scheme != d.url.Scheme {
		return d, delivery.Errorf(delivery.Denied, "it leads from %s to %s; write the URL with the scheme that is meant", d.url.Scheme, next.url.Scheme)
	}
	return next, nil
}

// once sends one request and reads the whole answer.
func (c *Client) once(ctx context.Context, method string, to destination, header http.Header, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	var out delivery.HTTPAnswer
	if address, err := netip.ParseAddr(to.host); err == nil {
		if err := c.guard.check(to.host, netip.AddrPortFrom(address, to.port)); err != nil {
			return out, err // before a socket is made
		}
	}
	sent := false
	ctx = context.WithValue(ctx, hostKey{}, to.host)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	request := &http.Request{Method: method, URL: to.address(), Header: header, Host: to.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if len(r.Body) > 0 {
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
	}
	response, err := c.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return out, unanswered(ctx, to, sent, err)
	}
	defer response.Body.Close()
	out = delivery.HTTPAnswer{StatusCode: response.StatusCode, Header: response.Header, RetryAfter: retryAfter(response.Header)}
	limit := min(cmp.Or(r.MaxAnswer, defaultAnswer), maxAnswer)
	out.Body, err = io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil:
		return delivery.HTTPAnswer{}, unanswered(ctx, to, true, err)
	case len(out.Body) > limit:
		return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Invalid, "the answer of %s has more than %d bytes", to.host, limit)
	default:
		return out, nil
	}
}

// address is the URL to ask: that of the destination with the host in the form that
// was checked.
func (d destination) address() *url.URL {
	u := *d.url
	u.Host, u.Fragment, u.RawFragment = joinPort(d.host, d.port), "", ""
	return &u
}

// unanswered is the error of a call without a whole answer. The URL is no part of it,
// since its query may hold a credential.
func unanswered(ctx context.Context, to destination, sent bool, cause error) error {
	if refused := (*delivery.Error)(nil); errors.As(cause, &refused) {
		return refused
	}
	e := &delivery.Error{Kind: delivery.Transient, Message: to.host + " did not answer", Cause: cause}
	if !sent {
		e.Code, e.Message = delivery.CodeNotSent, to.host+" could not be reached"
	}
	if ctx.Err() != nil {
		e.Cause = context.Cause(ctx)
	}
	return e
}

// maxRetryAfter bounds the pause that the other side may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header in its form of seconds. A date would need the other
// side's clock.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(seconds, int(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
}
