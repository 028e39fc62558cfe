package gcp

import "github.com/slipway-cd/slipway/delivery"

// kinds is the one table from reasons to kinds. Words in lower camel case are
// reasons of Compute Engine's error items, words in capitals are statuses
// (google/rpc/code.proto), reasons of ErrorInfo (google/api/error_reason.proto)
// and codes in Compute Engine's operations.
var kinds = map[string]delivery.Kind{
	"rateLimitExceeded":                    delivery.Throttled, // with status 403
	"userRateLimitExceeded":                delivery.Throttled,
	"concurrentLimitExceeded":              delivery.Throttled,
	"RATE_LIMIT_EXCEEDED":                  delivery.Throttled,
	"CONCURRENT_OPERATIONS_QUOTA_EXCEEDED": delivery.Throttled,
	"RESOURCE_EXHAUSTED":                   delivery.Throttled,

	"backendError":         delivery.Transient,
	"internalError":        delivery.Transient,
	"internal":             delivery.Transient,
	"serviceUnavailable":   delivery.Transient,
	"ACCESS_TOKEN_EXPIRED": delivery.Transient, // the next call fetches another
	"CANCELLED":            delivery.Transient,
	"DATA_LOSS":            delivery.Transient,
	"DEADLINE_EXCEEDED":    delivery.Transient,
	"INTERNAL":             delivery.Transient,
	"INTERNAL_ERROR":       delivery.Transient,
	"SERVICE_UNAVAILABLE":  delivery.Transient,
	"UNAVAILABLE":          delivery.Transient,
	"UNKNOWN":              delivery.Transient,

	"operationInProgress":                 delivery.NotReady,
	"resourceInUseByAnotherResource":      delivery.NotReady, // detaching takes a moment everywhere
	"resourceInUse":                       delivery.NotReady,
	"resourceNotReady":                    delivery.NotReady,
	"OPERATION_IN_PROGRESS":               delivery.NotReady,
	"RESOURCE_IN_USE_BY_ANOTHER_RESOURCE": delivery.NotReady,
	"RESOURCE_NOT_READY":                  delivery.NotReady,

	"alreadyExists":           delivery.Conflict,
	"conditionNotMet":         delivery.Conflict, // a fingerprint or an etag moved
	"conflict":                delivery.Conflict,
	"duplicate":               delivery.Conflict,
	"ABORTED":                 delivery.Conflict,
	"ALREADY_EXISTS":          delivery.Conflict,
	"CONDITION_NOT_MET":       delivery.Conflict,
	"FAILED_PRECONDITION":     delivery.Conflict, // the state forbids it, the request is sound
	"RESOURCE_ALREADY_EXISTS": delivery.Conflict,

	"accessNotConfigured":             delivery.Denied,
	"accountDisabled":                 delivery.Denied,
	"authError":                       delivery.Denied,
	"forbidden":                       delivery.Denied,
	"insufficientPermissions":         delivery.Denied,
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": delivery.Denied,
	"ACCESS_TOKEN_TYPE_UNSUPPORTED":   delivery.Denied,
	"BILLING_DISABLED":                delivery.Denied,
	"CONSUMER_INVALID":                delivery.Denied,
	"CONSUMER_SUSPENDED":              delivery.Denied,
	"CREDENTIALS_MISSING":             delivery.Denied,
	"IAM_PERMISSION_DENIED":           delivery.Denied,
	"PERMISSIONS_ERROR":               delivery.Denied,
	"PERMISSION_DENIED":               delivery.Denied,
	"SERVICE_DISABLED":                delivery.Denied,
	"UNAUTHENTICATED":                 delivery.Denied,
	"USER_PROJECT_DENIED":             delivery.Denied,

	"limitExceeded":                             delivery.Quota,
	"quotaExceeded":                             delivery.Quota,
	"zoneResourcePoolExhausted":                 delivery.Quota,
	"QUOTA_EXCEEDED":                            delivery.Quota,
	"ZONE_RESOURCE_POOL_EXHAUSTED":              delivery.Quota,
	"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS": delivery.Quota,

	"notFound":           delivery.NotFound,
	"NOT_FOUND":          delivery.NotFound,
	"RESOURCE_NOT_FOUND": delivery.NotFound,

	"badRequest":            delivery.Invalid,
	"fieldNotWritable":      delivery.Invalid,
	"invalid":               delivery.Invalid,
	"invalidParameter":      delivery.Invalid,
	"invalidUsage":          delivery.Invalid,
	"parseError":            delivery.Invalid,
	"required":              delivery.Invalid,
	"unsupportedOperation":  delivery.Invalid,
	"INVALID_ARGUMENT":      delivery.Invalid,
	"INVALID_FIELD_VALUE":   delivery.Invalid,
	"INVALID_USAGE":         delivery.Invalid,
	"OUT_OF_RANGE":          delivery.Invalid,
	"UNIMPLEMENTED":         delivery.Invalid,
	"UNSUPPORTED_OPERATION": delivery.Invalid,
}
