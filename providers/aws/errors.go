package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/slipway-cd/slipway/delivery"
)

// kinds is the one table from error codes to kinds. The codes are those of the
// service models of Auto Scaling, ELBv2, EC2 and STS and of the SDK's own
// retryer (aws/retry/standard.go).
var kinds = map[string]delivery.Kind{
	"EC2ThrottledException":     delivery.Throttled,
	"PriorRequestNotComplete":   delivery.Throttled,
	"RequestLimitExceeded":      delivery.Throttled,
	"RequestThrottled":          delivery.Throttled,
	"RequestThrottledException": delivery.Throttled,
	"SlowDown":                  delivery.Throttled,
	"ThrottledException":        delivery.Throttled,
	"Throttling":                delivery.Throttled,
	"ThrottlingException":       delivery.Throttled,
	"TooManyRequestsException":  delivery.Throttled,

	"ExpiredToken":             delivery.Transient, // the SDK fetches new credentials for the next call
	"ExpiredTokenException":    delivery.Transient,
	"IdempotentCallInProgress": delivery.Transient,
	"InternalError":            delivery.Transient,
	"InternalFailure":          delivery.Transient,
	"InternalServerError":      delivery.Transient,
	"RequestExpired":           delivery.Transient, // the clock of a retried request, EC2 only
	"RequestTimeout":           delivery.Transient,
	"RequestTimeoutException":  delivery.Transient,
	"ResourceContention":       delivery.Transient,
	"ServiceUnavailable":       delivery.Transient,
	"Unavailable":              delivery.Transient,

	"AccessDenied":                delivery.Denied,
	"AccessDeniedException":       delivery.Denied,
	"AuthFailure":                 delivery.Denied,
	"Blocked":                     delivery.Denied,
	"IncompleteSignature":         delivery.Denied,
	"InvalidClientTokenId":        delivery.Denied,
	"MissingAuthenticationToken":  delivery.Denied,
	"OperationNotPermitted":       delivery.Denied,
	"OptInRequired":               delivery.Denied,
	"RegionDisabledException":     delivery.Denied,
	"ServiceLinkedRoleFailure":    delivery.Denied,
	"SignatureDoesNotMatch":       delivery.Denied,
	"UnauthorizedOperation":       delivery.Denied,
	"UnrecognizedClientException": delivery.Denied,

	"CapacityUnitsLimitExceeded":               delivery.Quota,
	"InstanceLimitExceeded":                    delivery.Quota,
	"InsufficientCapacity":                     delivery.Quota,
	"InsufficientInstanceCapacity":             delivery.Quota,
	"LimitExceeded":                            delivery.Quota,
	"LimitExceededException":                   delivery.Quota,
	"MaxSpotInstanceCountExceeded":             delivery.Quota,
	"TargetGroupAssociationLimit":              delivery.Quota,
	"TooManyActions":                           delivery.Quota,
	"TooManyRegistrationsForTargetId":          delivery.Quota,
	"TooManyRules":                             delivery.Quota,
	"TooManyTags":                              delivery.Quota,
	"TooManyTargetGroups":                      delivery.Quota,
	"TooManyTargets":                           delivery.Quota,
	"TooManyUniqueTargetGroupsPerLoadBalancer": delivery.Quota,
	"VcpuLimitExceeded":                        delivery.Quota,

	"AlreadyExists":                                    delivery.Conflict,
	"DuplicateTargetGroupName":                         delivery.Conflict,
	"IdempotentParameterMismatch":                      delivery.Conflict,
	"InvalidLaunchTemplateName.AlreadyExistsException": delivery.Conflict,
	"PriorityInUse":                                    delivery.Conflict,
	"InvalidLaunchTemplateId.VersionNotFound":          delivery.NotFound,
	"InvalidLaunchTemplateName.NotFoundException":      delivery.NotFound,
	"InvalidLaunchTemplateId.NotFound":                 delivery.NotFound,
	"InvalidAMIID.NotFound":                            delivery.NotFound,
	"InvalidAMIID.Unavailable":                         delivery.NotFound,
	"InvalidInstanceID.NotFound":                       delivery.NotFound,
	"InvalidGroup.NotFound":                            delivery.NotFound,
	"InvalidSubnetID.NotFound":                         delivery.NotFound,
	"ListenerNotFound":                                 delivery.NotFound,
	"LoadBalancerNotFound":                             delivery.NotFound,
	"ResourceNotFound":                                 delivery.NotFound,
	"RuleNotFound":                                     delivery.NotFound,
	"SubnetNotFound":                                   delivery.NotFound,
	"TargetGroupNotFound":                              delivery.NotFound,
	"InvalidAvailabilityZone":                          delivery.Invalid,
	"InvalidParameterCombination":                      delivery.Invalid,
	"InvalidAMIID.Malformed":                           delivery.Invalid,
	"InvalidConfigurationRequest":                      delivery.Invalid,
	"InvalidLoadBalancerAction":                        delivery.Invalid,
	"InvalidNextToken":                                 delivery.Transient, // the list moved while it was paged
	"ResourceInUse":                                    delivery.NotReady,  // detaching takes a moment everywhere
	"ScalingActivityInProgress":                        delivery.NotReady,
	"InstanceRefreshInProgress":                        delivery.Conflict,
}

// messages refines the codes that say everything and nothing. The first row
// whose text occurs in the lower-cased message wins; none is Invalid.
var messages = []struct {
	text string
	kind delivery.Kind
}{
	{"rate exceeded", delivery.Throttled},
	{"pending delete", delivery.Conflict},
	{"already exists", delivery.Conflict},
	{"autoscalinggroup name not found", delivery.NotFound},
	{"group name not found", delivery.NotFound},
	// A launch template, target group or instance profile that was made seconds
	// ago is not visible to Auto Scaling yet.
	{"invalid iaminstanceprofile", delivery.NotReady},
	{"does not exist", delivery.NotReady},
	{"not found", delivery.NotReady},
	{"may not be valid. please ensure they exist", delivery.NotReady},
}

// Classify gives an error of the SDK its kind: by code first, by message only
// for codes that cover everything, then by HTTP status. doing is verb and
// object, for example "create target group sw-0123". nil stays nil.
func Classify(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	out := &delivery.Error{Kind: kindOf(err), Message: fmt.Sprintf(doing, args...), Cause: err}
	var api smithy.APIError
	if errors.As(err, &api) {
		out.Code = api.ErrorCode()
	}
	out.RetryAfter = retryAfter(err)
	return out
}

// Code returns the AWS error code in err's chain; empty for none.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func kindOf(err error) delivery.Kind {
	var api smithy.APIError
	if errors.As(err, &api) {
		code := api.ErrorCode()
		if code == "ValidationError" || code == "ResourceConflict" || code == "InvalidParameterValue" {
			return kindOfMessage(api.ErrorMessage())
		}
		if kind, ok := kinds[code]; ok {
			return kind
		}
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return kindOfStatus(response.HTTPStatusCode())
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return delivery.Transient
	}
	var send *smithyhttp.RequestSendError
	unreachable := errors.As(err, &send) || isConnection(err)
	switch {
	case strings.Contains(err.Error(), "get credentials:") && (!unreachable || strings.Contains(err.Error(), "ec2imds")):
		// The chain found no credentials at all: no later call will. It asks the
		// machine itself last, which nothing answers outside of EC2.
		return delivery.Denied
	case unreachable:
		return delivery.Transient
	default:
		return delivery.Internal
	}
}

func isConnection(err error) bool {
	return retry.RetryableConnectionError{}.IsErrorRetryable(err).Bool()
}

func kindOfMessage(message string) delivery.Kind {
	lower := strings.ToLower(message)
	for _, row := range messages {
		if strings.Contains(lower, row.text) {
			return row.kind
		}
	}
	return delivery.Invalid
}

func kindOfStatus(status int) delivery.Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return delivery.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return delivery.Denied
	case status == http.StatusNotFound:
		return delivery.NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return delivery.Conflict
	case status == http.StatusRequestTimeout, status >= 500:
		return delivery.Transient
	case status >= 400:
		return delivery.Invalid
	default:
		// A broken body under a 200: whether the call had its effect is unknown.
		return delivery.Transient
	}
}

// retryAfter reads the Retry-After header in its form of seconds; zero when the
// other side did not send it.
func retryAfter(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return 0
	}
	seconds, parseErr := strconv.Atoi(response.Response.Header.Get("Retry-After"))
	if parseErr != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
