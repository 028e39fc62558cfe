package aws

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

type getCallerIdentityInput struct{}

type getCallerIdentityOutput struct {
	Arn     string
	UserId  string
	Account string
}

func (c *call) getCallerIdentity(*getCallerIdentityInput) (*getCallerIdentityOutput, error) {
	return &getCallerIdentityOutput{Arn: c.principal.ARN, UserId: c.principal.UserID, Account: c.account.ID}, nil
}

type assumeRoleInput struct {
	RoleArn                 string `wire:",required"`
	RoleSessionName         string `wire:",required"`
	DurationSeconds         *int32
	ExternalId              string
	MinimumSessionTokenSize ignored
	Policy                  refused
	PolicyArns              refused
	ProvidedContexts        refused
	SerialNumber            refused
	SourceIdentity          ignored
	Tags                    ignored
	TokenCode               refused
	TransitiveTagKeys       ignored
}

type credentialsXML struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      *stamp
}

type assumedRoleUser struct {
	AssumedRoleId string
	Arn           string
}

type assumeRoleOutput struct {
	Credentials     credentialsXML
	AssumedRoleUser assumedRoleUser
}

var roleARN = regexp.MustCompile(`^arn:aws:iam::(\d{12}):role/(.+)$`)

// assumeRole lets any known principal assume any role of an account that was seeded, unless the role demands an external
// id. The session lasts in real time: clients compare its end with their own clock. Durations: API reference of
// AssumeRole (900 s to 12 h, default 1 h).
func (c *call) assumeRole(in *assumeRoleInput) (*assumeRoleOutput, error) {
	match := roleARN.FindStringSubmatch(in.RoleArn)
	if match == nil {
		return nil, refuse("ValidationError", "%s is invalid", in.RoleArn)
	}
	seconds := valueOr(in.DurationSeconds, 3600)
	if seconds < 900 || seconds > 43200 {
		return nil, refuse("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint", seconds)
	}
	target := c.cloud.accounts[match[1]]
	if wanted := c.cloud.roles[in.RoleArn]; target == nil || wanted != "" && wanted != in.ExternalId {
		return nil, errf(http.StatusForbidden, "AccessDenied",
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.principal.ARN, in.RoleArn)
	}
	role := match[2][strings.LastIndex(match[2], "/")+1:]
	key := strings.ToUpper(c.cloud.newID("ASIA", 16))
	who := principal{
		Account: target, UserID: "AROA" + strings.ToUpper(c.cloud.newID("", 16)) + ":" + in.RoleSessionName,
		ARN:   "arn:aws:sts::" + target.ID + ":assumed-role/" + role + "/" + in.RoleSessionName,
		Token: c.cloud.newID("", 64), Expires: time.Now().Add(time.Duration(seconds) * time.Second),
	}
	c.cloud.keys[key] = who
	return &assumeRoleOutput{
		Credentials:     credentialsXML{key, c.cloud.newID("", 40), who.Token, stampOf(who.Expires)},
		AssumedRoleUser: assumedRoleUser{who.UserID, who.ARN},
	}, nil
}
