package aws

import (
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

type balancer struct {
	ARN, Name, Scheme, VPC, DNS string
	Subnets, SecurityGroups     []string
	CreatedAt, ActiveAt         time.Time
	Tags                        []tag
}

type listener struct {
	ARN, Balancer string
	Port          int
	Protocol      string
	Tags          []tag
}

type rule struct {
	ARN, Listener string
	// Priority is 0 for the default rule, which applies when no other does.
	Priority   int
	Conditions []ruleCondition
	Actions    []ruleAction
	Tags       []tag
}

func (r *rule) isDefault() bool { return r.Priority == 0 }

type targetGroup struct {
	ARN, Name, Protocol, VPC, Type string
	ProtocolVersion                string
	Port                           int
	Check                          healthCheck
	Attributes                     map[string]string
	Tags                           []tag
	// Health is the load balancer's view of the targets when it was last looked at.
	Health []simcloud.TargetHealth
}

type healthCheck struct {
	Enabled                              bool
	Protocol, Port, Path, Codes          string
	Interval, Timeout, Healthy, Unhealth int
}

// The shapes below are those of the API in both directions.

type ruleCondition struct {
	Field                   string
	Values                  []string       `xml:"Values>member"`
	HostHeaderConfig        *valuesConfig  `xml:"HostHeaderConfig"`
	PathPatternConfig       *valuesConfig  `xml:"PathPatternConfig"`
	HttpHeaderConfig        *headerConfig  `xml:"HttpHeaderConfig"`
	QueryStringConfig       *queryConfig   `xml:"QueryStringConfig"`
	HttpRequestMethodConfig *methodsConfig `xml:"HttpRequestMethodConfig"`
	SourceIpConfig          *sourceConfig  `xml:"SourceIpConfig"`
	RegexValues             refused        `xml:"-"`
}

type valuesConfig struct {
	Values      []string `xml:"Values>member"`
	RegexValues refused  `xml:"-"`
}

type methodsConfig struct {
	Values []string `xml:"Values>member"`
}

type sourceConfig struct {
	Values        []string `xml:"Values>member"`
	IpAddressType ignored  `xml:"-"`
}

type headerConfig struct {
	HttpHeaderName string
	Values         []string `xml:"Values>member"`
	RegexValues    refused  `xml:"-"`
}

type queryConfig struct {
	Values []queryPair `xml:"Values>member"`
}

type queryPair struct {
	Key   *string
	Value string
}

type ruleAction struct {
	Type                      string `wire:",required"`
	TargetGroupArn            *string
	Order                     *int32
	ForwardConfig             *forwardConfig
	FixedResponseConfig       *fixedConfig
	RedirectConfig            refused `xml:"-"`
	AuthenticateCognitoConfig refused `xml:"-"`
	AuthenticateOidcConfig    refused `xml:"-"`
	JwtValidationConfig       refused `xml:"-"`
}

type forwardConfig struct {
	TargetGroups                []targetTuple     `xml:"TargetGroups>member"`
	TargetGroupStickinessConfig *stickinessConfig `xml:"TargetGroupStickinessConfig"`
}

type targetTuple struct {
	TargetGroupArn string
	Weight         *int32
}

type stickinessConfig struct {
	Enabled         *bool
	DurationSeconds *int32
}

type fixedConfig struct {
	StatusCode  string
	ContentType string
	MessageBody string
}

// queryTag is a tag of the query protocols in both directions.
type queryTag struct {
	Key   string `wire:",required"`
	Value string
}

func toTags(tags []queryTag) []tag {
	var out []tag
	for _, t := range tags {
		out = mergeTags(out, []tag{tag(t)})
	}
	return out
}

// destinations returns the target groups and weights that a rule forwards to.
func (r *rule) destinations() []targetTuple {
	for _, a := range r.Actions {
		if a.Type == "forward" && a.ForwardConfig != nil {
			return a.ForwardConfig.TargetGroups
		}
	}
	return nil
}
