package asg

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/slipway-cd/slipway/delivery"
)

// The ownership tags.
const (
	tagApplication = "slipway:application"
	tagCluster     = "slipway:cluster"
	tagServerGroup = "slipway:server-group"
	tagDeployment  = "slipway:deployment"
	tagChange      = "slipway:change"
	// tagImage and tagImageID save the look-up of the launch template's image.
	tagImage   = "slipway:image"
	tagImageID = "slipway:image-id"
	tagName    = "Name"
	tagPrefix  = "slipway:"
)

// tag is one key and value, before it becomes the tag type of one service.
type tag struct{ key, value string }

// ownership returns the tags of everything that belongs to the change's group.
func ownership(c delivery.Change) []tag {
	return []tag{
		{tagName, c.Group},
		{tagApplication, c.Cluster.Moniker.App},
		{tagCluster, c.Cluster.Name()},
		{tagServerGroup, c.Group},
		{tagDeployment, encodeTag(string(c.Deployment))},
		{tagChange, tagValue(string(c.Key))},
	}
}

// tagValue replaces what ELBv2 refuses in a tag: its pattern is
// ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$. The "#" of a change key becomes "@".
func tagValue(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '#':
			return '@'
		case unicode.In(r, unicode.L, unicode.Z, unicode.N), strings.ContainsRune("_.:/=+-@", r):
			return r
		default:
			return '_'
		}
	}, s)
}

// plain are the characters of a tag value that stand for themselves in encodeTag;
// ASCII letters and digits do too.
const plain = " _.:/+-@"

// encodeTag writes a text that has to be read back: each byte that is not plain
// becomes "=" and two hexadecimal digits. A stage's refId may hold anything.
func encodeTag(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte(plain, b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "=%02X", b)
		}
	}
	return out.String()
}

// decodeTag is the inverse of encodeTag. What encodeTag did not write stays as it is.
func decodeTag(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(b))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// owned reports whether the tags say that Slipway made this piece of the group.
func owned(tags map[string]string, cluster delivery.Cluster, group string) bool {
	return tags[tagCluster] == cluster.Name() && tags[tagServerGroup] == group
}

// targetGroupName returns the name of a server group's target group: within the
// 32 characters that ELBv2 allows, the same for the same server group.
func targetGroupName(cluster delivery.Cluster, group string) string {
	sum := sha256.Sum256([]byte(cluster.Key() + "/" + group))
	return fmt.Sprintf("sw-%x", sum[:10])
}

// nameOfTargetGroup returns the name in a target group's ARN
// (arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID), or "".
func nameOfTargetGroup(arn string) string { return arnPart(arn, "targetgroup/") }

// nameOfLoadBalancer returns the name in a load balancer's ARN
// (...:loadbalancer/app/NAME/ID), or "".
func nameOfLoadBalancer(arn string) string { return arnPart(arn, "loadbalancer/app/") }

func arnPart(arn, after string) string {
	_, rest, ok := strings.Cut(arn, ":"+after)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
