package aws

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/internal/golden"
)

// behaviours are what the simulator does beyond storing and returning, each with its source.
var behaviours = [][2]string{
	{"A target group that no rule names keeps its targets `unused` (`Target.NotInUse`) and does not check them", "ELBv2 API reference, TargetHealth reasons"},
	{"A listener's default actions are the actions of its default rule; `ModifyRule` on it is `OperationNotPermitted`", "recorded in FeLvi-zzz/tentez pull request 32"},
	{"A forward action has at most 5 target groups, weights 0 to 999", "ELBv2 API reference, TargetGroupTuple; quotas of the user guide"},
	{"A target group belongs to one load balancer (`TargetGroupAssociationLimit`)", "ELBv2 API reference, ModifyRule errors"},
	{"`CreateTargetGroup` with the same name and settings returns the first; other settings are `DuplicateTargetGroupName`. Tags do not count", "ELBv2 API reference; the part about tags: assumption"},
	{"`DeleteTargetGroup` of a group that does not exist succeeds", "the SDK model knows `ResourceInUse` as the only error"},
	{"Group stickiness is stored and returned, and has no effect on the traffic", "simulator's limit"},
	{"Proxy workers take over new rules one by one, after a delay; registration and draining take their time", "argo-rollouts issues 4595, 4433, 4834; ELBv2 user guide, Deregistration delay"},
	{"`CreateLaunchTemplate` and `CreateLaunchTemplateVersion` with a used client token return the first result, or `IdempotentParameterMismatch` for other parameters", "EC2 API reference, Ensuring idempotency"},
	{"A group checks its launch template, image, security groups, subnets and target groups when it is created", "Auto Scaling errors recorded in hashicorp/terraform-provider-aws issues"},
	{"An instance goes Pending, InService when its machine runs, and is registered in the target groups at that moment", "Auto Scaling user guide, Instance lifecycle"},
	{"With health check type ELB, an instance that a target group reports `unhealthy` after the grace period is replaced; `initial` and `unused` are no verdict", "Auto Scaling user guide, Health checks"},
	{"An instance that EC2 lost is replaced at once, without regard to the grace period", "Auto Scaling user guide, Health checks"},
	{"Scale in takes unhealthy instances first, then the oldest of the fullest zone; protected ones stay", "Auto Scaling user guide, Default termination policy"},
	{"An instance leaves its target groups and drains before it is stopped (`WaitingForELBConnectionDraining`)", "Auto Scaling user guide, Attach a load balancer; API reference, ScalingActivityStatusCode"},
	{"A failed launch is a Failed activity and is tried again after 15 s, 30 s, ... 5 min", "Auto Scaling user guide, Troubleshoot; the delays: assumption"},
	{"A suspended process is not carried out; instances launched while AddToLoadBalancer is suspended are not registered when it is resumed", "Auto Scaling user guide, Suspend and resume processes"},
	{"`DeleteAutoScalingGroup` without force needs an empty group (`ResourceInUse`, `ScalingActivityInProgress`); with force it ends instances without draining", "Auto Scaling API reference; texts of ansible/ansible pull request 8503 and cloud-custodian issue 1689; no draining: assumption"},
	{"A group that is being deleted is described with status `Delete in progress` for at least 5 s, keeps its name and cannot be changed", "kubernetes/kops issue 1001; the 5 s: assumption"},
	{"An instance refresh replaces as many instances at a time as the minimum healthy percentage allows, at least one, and with a maximum healthy percentage launches that many before. An instance counts once it is in service, healthy and warm. It never fails by itself, so automatic rollback does not happen", "Auto Scaling user guide, How an instance refresh works; API reference of RefreshPreferences; never failing: simulator's limit"},
	{"The group gets the desired configuration when the refresh has succeeded; until then new instances have it all the same. A refresh that is rolled back replaces what it launched", "API reference of StartInstanceRefresh and RollbackInstanceRefresh; launches meanwhile: assumption"},
	{"A terminated instance is described for one hour", "EC2 user guide, Terminate your instance"},
	{"Lists page by 5 values when the client asks for no size (AWS: 50 to 1000); CloudWatch pages by query", "deliberate: a client must follow tokens"},
	{"An unknown member of a request is an error in every service (AWS ignores it in the query protocol)", "deliberate: a client's mistake must show"},
	{"Requests are limited by token buckets for each account, region and kind of action", "ELBv2 and EC2 request throttling guides; kubernetes-sigs/aws-load-balancer-controller `pkg/aws/throttle/defaults.go`; Auto Scaling, STS and CloudWatch: assumption"},
	{"Signatures are not verified; an access key names an account, and any role of a known account can be assumed unless it demands an external id", "simulator's limit"},
	{"A role session ends in real time, everything else happens in simulated time", "clients compare the end with their own clock"},
}

// TestSupportMatrix compares the document with what the code answers; -update writes it.
func TestSupportMatrix(t *testing.T) {
	golden.Compare(t, "../../docs/simulator-support.md", []byte(supportMatrix()))
}

func supportMatrix() string {
	var b strings.Builder
	b.WriteString("# What the AWS simulator answers\n\n" +
		"Generated by `go test ./simcloud/aws -run SupportMatrix -update`; do not edit.\n\n" +
		"Every action decodes every member that the SDK can send. Members listed as *without effect* are accepted and change " +
		"nothing; members listed as *refused* are answered with `UnsupportedOperation` when they are used.\n")
	services := newServices()
	for _, name := range slices.Sorted(maps.Keys(services)) {
		svc := services[name]
		fmt.Fprintf(&b, "\n## %s (%s)\n\n| action | without effect | refused |\n|---|---|---|\n", svc.title, svc.version)
		for _, action := range slices.Sorted(maps.Keys(svc.operations)) {
			input := reflect.TypeOf(svc.operations[action].input()).Elem()
			fmt.Fprintf(&b, "| %s | %s | %s |\n", action, fieldsOf(input, ignoredType), fieldsOf(input, refusedType))
		}
	}
	b.WriteString("\n## Behaviour and its sources\n\n| behaviour | source |\n|---|---|\n")
	for _, row := range behaviours {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	return b.String()
}

// fieldsOf lists the members of a type, at any depth.
func fieldsOf(input, kind reflect.Type) string {
	var names []string
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == timeType {
			return
		}
		for i := range t.NumField() {
			f := t.Field(i)
			at := join(path, tagOf(f).name)
			if f.Type == kind {
				names = append(names, at)
				continue
			}
			walk(f.Type, at)
		}
	}
	walk(input, "")
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// TestEveryOperationHasASnapshot keeps the table free of actions that AWS does not have.
func TestEveryOperationHasASnapshot(t *testing.T) {
	eachOperation(t, func(t *testing.T, svc *service, o *operation) {
		first, _, _ := snapshot(t, svc.module, "request", o.name)
		if !strings.HasPrefix(first, "POST ") {
			t.Errorf("the recorded request begins %q", first)
		}
	})
}
