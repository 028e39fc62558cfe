package delivery

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Moniker is the name of a cluster in its parts, by Spinnaker's Frigga
// convention. App and Stack never contain '-'; Detail may.
type Moniker struct {
	App    string `json:"app"`
	Stack  string `json:"stack,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// MaxSequence is the largest sequence number of a server group; after it the
// numbering starts again at 0, as in Frigga (three digits).
const MaxSequence = 999

var (
	monikerPart   = regexp.MustCompile(`^[a-zA-Z0-9_.]+$`)
	monikerDetail = regexp.MustCompile(`^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*$`)
	pushSuffix    = regexp.MustCompile(`^(.+)-v([0-9]{3})$`)
)

// Cluster returns "app", "app-stack", "app-stack-detail" or "app--detail".
func (m Moniker) Cluster() string {
	switch {
	case m.Detail != "":
		return m.App + "-" + m.Stack + "-" + m.Detail
	case m.Stack != "":
		return m.App + "-" + m.Stack
	default:
		return m.App
	}
}

// ServerGroup returns the name of the cluster's server group with that sequence
// number, for example "storefront-prod-v001". The number is taken modulo
// MaxSequence+1.
func (m Moniker) ServerGroup(sequence int) string {
	return fmt.Sprintf("%s-v%03d", m.Cluster(), sequence%(MaxSequence+1))
}

// Validate returns findings with pointers relative to the object that holds the
// parts under the names application, stack and freeFormDetails.
func (m Moniker) Validate() []Finding {
	var out []Finding
	if !monikerPart.MatchString(m.App) {
		out = append(out, Finding{Pointer: "/application", Message: fmt.Sprintf("%q is not an application name: letters, digits, '_' and '.' only", m.App)})
	}
	if m.Stack != "" && !monikerPart.MatchString(m.Stack) {
		out = append(out, Finding{Pointer: "/stack", Message: fmt.Sprintf("%q is not a stack name: letters, digits, '_' and '.' only", m.Stack)})
	}
	if m.Detail != "" && !monikerDetail.MatchString(m.Detail) {
		out = append(out, Finding{Pointer: "/freeFormDetails", Message: fmt.Sprintf("%q is not a detail: letters, digits, '_', '.' and '-' only", m.Detail)})
	}
	return out
}

// ParseServerGroup splits the name of a server group. ok is false for a name
// without the suffix -vNNN, which is never treated as one of ours.
func ParseServerGroup(name string) (m Moniker, sequence int, ok bool) {
	match := pushSuffix.FindStringSubmatch(name)
	if match == nil {
		return Moniker{}, 0, false
	}
	sequence, err := strconv.Atoi(match[2])
	if err != nil {
		return Moniker{}, 0, false
	}
	parts := strings.SplitN(match[1], "-", 3)
	m.App = parts[0]
	if len(parts) > 1 {
		m.Stack = parts[1]
	}
	if len(parts) > 2 {
		m.Detail = parts[2]
	}
	return m, sequence, true
}
