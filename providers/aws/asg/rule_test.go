package asg

import (
	"slices"
	"testing"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func tuple(arn string, weight int32) elbtypes.TargetGroupTuple {
	return elbtypes.TargetGroupTuple{TargetGroupArn: ptr(arn), Weight: ptr(weight)}
}

func forward(sticky bool, to ...elbtypes.TargetGroupTuple) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, Order: ptr(int32(2)), ForwardConfig: &elbtypes.ForwardActionConfig{
		TargetGroups: to, TargetGroupStickinessConfig: &elbtypes.TargetGroupStickinessConfig{Enabled: ptr(sticky), DurationSeconds: ptr(int32(60))},
	}}
}

func TestWithKeepsWhatIsNotOurs(t *testing.T) {
	login := elbtypes.Action{Type: elbtypes.ActionTypeEnumAuthenticateOidc, Order: ptr(int32(1)),
		AuthenticateOidcConfig: &elbtypes.AuthenticateOidcActionConfig{ClientId: ptr("id")}}
	r := rule{actions: []elbtypes.Action{login, forward(true, tuple("a", 100))}}
	got, err := r.with([]elbtypes.TargetGroupTuple{tuple("a", 40), tuple("b", 60)})
	if err != nil {
		t.Fatal(err)
	}
	kept := login
	kept.AuthenticateOidcConfig = &elbtypes.AuthenticateOidcActionConfig{ClientId: ptr("id"), UseExistingClientSecret: ptr(true)}
	want := []elbtypes.Action{kept, forward(true, tuple("a", 40), tuple("b", 60))}
	ignore := cmpopts.IgnoreUnexported(elbtypes.Action{}, elbtypes.ForwardActionConfig{}, elbtypes.TargetGroupTuple{},
		elbtypes.TargetGroupStickinessConfig{}, elbtypes.AuthenticateOidcActionConfig{})
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
	if login.AuthenticateOidcConfig.UseExistingClientSecret != nil || len(r.destinations()) != 1 {
		t.Error("the rule that was read has been changed")
	}
	empty, err := r.with(nil)
	if err != nil || empty[1].Type != elbtypes.ActionTypeEnumFixedResponse || *empty[1].FixedResponseConfig.StatusCode != "503" {
		t.Errorf("without destinations: %+v, %v", empty, err)
	}
	redirect := rule{actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumRedirect}}}
	if _, err := redirect.with(nil); err == nil {
		t.Error("a redirect was replaced")
	}
}

func TestSingleTargetGroupWithoutWeights(t *testing.T) {
	r := rule{actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: ptr("a")}}}
	if got := r.destinations(); len(got) != 1 || weight(got[0]) != 1 || !r.has("a") || r.has("b") {
		t.Errorf("destinations %+v", got)
	}
}

func TestFingerprint(t *testing.T) {
	base := rule{arn: "rule", actions: []elbtypes.Action{forward(false, tuple("a", 40), tuple("b", 60))}}
	same := rule{arn: "rule", actions: []elbtypes.Action{forward(false, tuple("b", 60), tuple("a", 40))}}
	if base.fingerprint() != same.fingerprint() {
		t.Error("the order of destinations changes the fingerprint")
	}
	for name, other := range map[string]rule{
		"another rule": {arn: "other", actions: base.actions},
		"weights":      {arn: "rule", actions: []elbtypes.Action{forward(false, tuple("a", 41), tuple("b", 59))}},
		"target group": {arn: "rule", actions: []elbtypes.Action{forward(false, tuple("a", 40), tuple("c", 60))}},
		"one less":     {arn: "rule", actions: []elbtypes.Action{forward(false, tuple("a", 40))}},
		"stickiness":   {arn: "rule", actions: []elbtypes.Action{forward(true, tuple("a", 40), tuple("b", 60))}},
		"answer":       {arn: "rule", actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumFixedResponse}}},
	} {
		if other.fingerprint() == base.fingerprint() {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
}

func TestEquivalent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int32Range(0, 100), 1, maxDestinations).Draw(t, "weights")
		factor := rapid.Int32Range(1, 9).Draw(t, "factor")
		var have, scaled []elbtypes.TargetGroupTuple
		for i, w := range weights {
			name := string(rune('a' + i))
			have, scaled = append(have, tuple(name, w)), append(scaled, tuple(name, w*factor))
		}
		slices.Reverse(scaled)
		if !equivalent(have, scaled) {
			t.Errorf("%v times %d is not the same split", weights, factor)
		}
		i := rapid.IntRange(0, len(weights)-1).Draw(t, "changed")
		changed := slices.Clone(have)
		changed[i] = tuple(*changed[i].TargetGroupArn, weights[i]+1)
		alone := true
		for j, w := range weights {
			alone = alone && (j == i || w == 0)
		}
		if equivalent(have, changed) && !(alone && weights[i] > 0) {
			t.Errorf("%v with one more for %d is the same split", weights, i)
		}
		if equivalent(have, have[1:]) {
			t.Error("a missing destination goes unnoticed")
		}
	})
}
