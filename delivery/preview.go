package delivery

import (
	"fmt"
	"strings"
)

// MatchKind says what leads requests to a previewed server group.
type MatchKind string

// The kinds of matches.
const (
	// MatchHeader is a header of the request with a certain value.
	MatchHeader MatchKind = "header"
	// MatchCookie is a cookie with a certain value.
	MatchCookie MatchKind = "cookie"
	// MatchTagURL is an address that the server group has of its own.
	MatchTagURL MatchKind = "tagUrl"
)

// Match says which requests a preview takes. The zero value is MatchTagURL: those
// that are sent to the server group's own address.
type Match struct {
	// Header is the header's name, compared without case.
	Header string `json:"header,omitempty"`
	// Cookie is the cookie's name. At most one of Header and Cookie is set.
	Cookie string `json:"cookie,omitempty"`
	// Value is what the whole header, or the cookie, has to be.
	Value string `json:"value,omitempty"`
}

// Kind says what the match looks at.
func (m Match) Kind() MatchKind {
	switch {
	case m.Header != "":
		return MatchHeader
	case m.Cookie != "":
		return MatchCookie
	default:
		return MatchTagURL
	}
}

// String is the match as a request shows it, for example "header X-Canary: always".
func (m Match) String() string {
	switch m.Kind() {
	case MatchHeader:
		return fmt.Sprintf("header %s: %s", m.Header, m.Value)
	case MatchCookie:
		return fmt.Sprintf("cookie %s=%s", m.Cookie, m.Value)
	default:
		return "its own address"
	}
}

// Is reports whether two matches take the same requests.
func (m Match) Is(o Match) bool {
	return strings.EqualFold(m.Header, o.Header) && m.Cookie == o.Cookie && m.Value == o.Value
}

// Validate returns findings with pointers relative to the match object. Names are
// tokens of RFC 9110 section 5.6.2; values are visible, a cookie's those of RFC
// 6265 section 4.1.1.
func (m Match) Validate() []Finding {
	var out []Finding
	refuse := func(pointer, format string, args ...any) {
		out = append(out, Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if m.Header != "" && m.Cookie != "" {
		refuse("/cookie", "is given beside header; a preview is reached by one of them")
	}
	for _, f := range [][2]string{{"header", m.Header}, {"cookie", m.Cookie}} {
		if strings.ContainsFunc(f[1], func(r rune) bool { return !token(r) }) {
			refuse("/"+f[0], "%q has a character that no name of a %s may have", f[1], f[0])
		}
	}
	if strings.EqualFold(m.Header, "cookie") {
		refuse("/header", "is Cookie; name the cookie as cookie instead")
	}
	switch {
	case m.Kind() == MatchTagURL:
		return out
	case m.Value == "":
		refuse("/value", "is required: what the %s has to be", m.Kind())
	case strings.ContainsFunc(m.Value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(m.Value) != m.Value:
		refuse("/value", "%q has a character that is not visible", m.Value)
	case m.Cookie != "" && strings.ContainsAny(m.Value, " \",;\\"):
		refuse("/value", "%q has a character that no value of a cookie may have", m.Value)
	}
	return out
}

func token(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// Preview is a way to a server group beside the weights: it takes requests that
// match, and no others. What it leads to need not take public traffic.
type Preview struct {
	ServerGroup string `json:"serverGroup"`
	Match       Match  `json:"match,omitzero"`
	// URL is the server group's own address; empty for a match of another kind.
	URL string `json:"url,omitempty"`
}

// Preview returns the way to a server group that is not its own address: a rule,
// which has to be taken away before the group is. It is nil when there is none.
func (r *Routing) Preview(serverGroup string) *Preview {
	return r.preview(func(p Preview) bool { return p.ServerGroup == serverGroup && p.Match.Kind() != MatchTagURL })
}

// PreviewBy returns the way to a server group by the match, or nil.
func (r *Routing) PreviewBy(serverGroup string, m Match) *Preview {
	return r.preview(func(p Preview) bool { return p.ServerGroup == serverGroup && p.Match.Is(m) })
}

// Matched returns the preview that takes the requests of a match already, or nil.
// An address leads to one server group only.
func (r *Routing) Matched(m Match) *Preview {
	return r.preview(func(p Preview) bool { return m.Kind() != MatchTagURL && p.Match.Is(m) })
}

func (r *Routing) preview(is func(Preview) bool) *Preview {
	if r == nil {
		return nil
	}
	for i := range r.Previews {
		if is(r.Previews[i]) {
			return &r.Previews[i]
		}
	}
	return nil
}
