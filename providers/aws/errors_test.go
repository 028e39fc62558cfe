package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/slipway-cd/slipway/delivery"
)

func answered(status int, header http.Header, err error) error {
	return &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups", Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: header}}, Err: err,
	}}
}

func TestClassify(t *testing.T) {
	api := func(code, message string) error { return &smithy.GenericAPIError{Code: code, Message: message} }
	for _, test := range []struct {
		name string
		err  error
		want delivery.Kind
	}{
		{"throttled", answered(400, nil, api("Throttling", "Rate exceeded")), delivery.Throttled},
		{"EC2 throttled", answered(503, nil, api("RequestLimitExceeded", "")), delivery.Throttled},
		{"quota, though the SDK retries it", answered(400, nil, api("LimitExceeded", "")), delivery.Quota},
		{"denied", answered(403, nil, api("UnauthorizedOperation", "")), delivery.Denied},
		{"expired", answered(403, nil, api("ExpiredToken", "")), delivery.Transient},
		{"in use", answered(400, nil, api("ResourceInUse", "")), delivery.NotReady},
		{"not found", answered(400, nil, api("TargetGroupNotFound", "")), delivery.NotFound},
		{"group not found", answered(400, nil, api("ValidationError", "AutoScalingGroup name not found - null")), delivery.NotFound},
		{"pending delete", answered(400, nil, api("ValidationError", "AutoScalingGroup 'a' is pending delete")), delivery.Conflict},
		{"template not visible yet", answered(400, nil, api("ValidationError", "You must use a valid fully-formed launch template. The specified launch template, with template ID lt-1, does not exist.")), delivery.NotReady},
		{"profile not visible yet", answered(400, nil, api("ValidationError", "Invalid IamInstanceProfile: base")), delivery.NotReady},
		{"out of bounds", answered(400, nil, api("ValidationError", "Desired capacity:5 must be between the specified min size:1 and max size:3")), delivery.Invalid},
		{"unknown code, 400", answered(400, nil, api("Strange", "")), delivery.Invalid},
		{"unknown code, 403", answered(403, nil, api("Strange", "")), delivery.Denied},
		{"unknown code, 404", answered(404, nil, api("Strange", "")), delivery.NotFound},
		{"unknown code, 409", answered(409, nil, api("Strange", "")), delivery.Conflict},
		{"unknown code, 429", answered(429, nil, api("Strange", "")), delivery.Throttled},
		{"unknown code, 502", answered(502, nil, api("Strange", "")), delivery.Transient},
		{"broken body", answered(200, nil, errors.New("unexpected EOF")), delivery.Transient},
		{"deadline", fmt.Errorf("call: %w", context.DeadlineExceeded), delivery.Transient},
		{"canceled", &smithy.CanceledError{Err: context.Canceled}, delivery.Transient},
		{"connection", &smithyhttp.RequestSendError{Err: errors.New("connection reset by peer")}, delivery.Transient},
		{"no credentials", &smithy.OperationError{Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}, delivery.Denied},
		{"no machine to ask", fmt.Errorf("get identity: get credentials: no EC2 IMDS role found, %w",
			&smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: &smithyhttp.RequestSendError{Err: errors.New("no route to host")}}), delivery.Denied},
		{"STS out of reach", fmt.Errorf("get identity: get credentials: failed to refresh cached credentials, %w",
			&smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithyhttp.RequestSendError{Err: errors.New("connection reset by peer")}}), delivery.Transient},
		{"something else", errors.New("what"), delivery.Internal},
	} {
		got := Classify(test.err, "do %s", "it")
		if delivery.KindOf(got) != test.want {
			t.Errorf("%s: %v; want %v", test.name, delivery.KindOf(got), test.want)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("%s: the cause is lost", test.name)
		}
	}
	if Classify(nil, "do it") != nil {
		t.Error("nil became an error")
	}
}

func TestClassifyKeepsCodeAndPause(t *testing.T) {
	err := answered(503, http.Header{"Retry-After": {"7"}}, &smithy.GenericAPIError{Code: "ServiceUnavailable", Message: "later"})
	var got *delivery.Error
	if !errors.As(Classify(err, "describe %s", "x"), &got) {
		t.Fatal("no delivery.Error")
	}
	if got.Code != "ServiceUnavailable" || got.RetryAfter != 7*time.Second || got.Message != "describe x" {
		t.Errorf("%+v", got)
	}
	if Code(err) != "ServiceUnavailable" || Code(errors.New("x")) != "" {
		t.Error("code")
	}
}

// TestSDKRetriesWhatWeCallThrottled keeps the table in step with the SDK's own.
func TestSDKRetriesWhatWeCallThrottled(t *testing.T) {
	for code := range retry.DefaultThrottleErrorCodes {
		kind, ok := kinds[code]
		if code == "BandwidthLimitExceeded" || code == "ProvisionedThroughputExceededException" || code == "TransactionInProgressException" {
			continue // codes of S3 and DynamoDB
		}
		if !ok || kind != delivery.Throttled && kind != delivery.Quota {
			t.Errorf("the SDK calls %s throttling; the table says %v (%v)", code, kind, ok)
		}
	}
}
