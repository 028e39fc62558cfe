package cloudwatch

import (
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/slipway-cd/slipway/delivery"
)

// TestComplete: an answer that leaves something out is an error, not less data.
// What the source answers over the wire is tested with the targets.
func TestComplete(t *testing.T) {
	for code, want := range map[types.StatusCode]delivery.Kind{
		types.StatusCodeInternalError: delivery.Transient, types.StatusCodeForbidden: delivery.Denied, "Unheard": delivery.Transient,
	} {
		err := complete(types.MetricDataResult{StatusCode: code, Messages: []types.MessageData{{Value: sdk.String("no luck")}}},
			metric{"N", "M", "Sum", map[string]string{"B": "2", "A": "1"}})
		if delivery.KindOf(err) != want || !strings.Contains(err.Error(), "Sum N M {A=1, B=2}") || !strings.Contains(err.Error(), "no luck") {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, code := range []types.StatusCode{types.StatusCodeComplete, types.StatusCodePartialData, ""} {
		if err := complete(types.MetricDataResult{StatusCode: code}, metric{}); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
}
