package pipeline

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"strings"
)

// The headers in which senders prove that they know a secret.
const (
	// GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
	// Bitbucket signs with SHA-256 under the second name.
	signature256Header = "X-Hub-Signature-256"
	signatureHeader    = "X-Hub-Signature"
	// GitLab sends the secret itself: https://docs.gitlab.com/user/project/integrations/webhooks/.
	tokenHeader = "X-Gitlab-Token"
)

// proof is what an event brings to show that its sender knows a secret.
type proof struct {
	body      []byte
	signature string
	token     string
}

func proofOf(header func(string) string, body []byte) proof {
	p := proof{body: body, signature: header(signature256Header), token: header(tokenHeader)}
	if p.signature == "" {
		p.signature = header(signatureHeader)
	}
	return p
}

// given reports whether the sender tried to prove anything.
func (p proof) given() bool { return p.signature != "" || p.token != "" }

// knows reports whether the sender knows the secret. A signature that is there
// counts alone, so that a wrong one is not made good by a token. How long it takes
// does not depend on how much of the proof is right.
func (p proof) knows(secret string) bool {
	if secret == "" {
		return false
	}
	if p.signature == "" {
		given, wanted := sha256.Sum256([]byte(p.token)), sha256.Sum256([]byte(secret))
		return p.token != "" && subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
	}
	algorithm, digits, _ := strings.Cut(p.signature, "=")
	var made func() hash.Hash
	switch strings.ToLower(strings.TrimSpace(algorithm)) {
	case "sha256":
		made = sha256.New
	case "sha1":
		made = sha1.New
	default:
		return false
	}
	given, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil {
		return false
	}
	mac := hmac.New(made, []byte(secret))
	mac.Write(p.body)
	return hmac.Equal(given, mac.Sum(nil))
}
