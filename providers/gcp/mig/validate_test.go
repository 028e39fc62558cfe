package mig_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// TestValidateNamesTheField gives one wrong value after the other.
func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Plant(t, "other-team")
	c.addService(t, "other-team", "other-team")
	c.addMap(t, "taken", "other-team")
	if err := c.server.SeedGlobalURLMap(project, "worldwide"); err != nil {
		t.Fatal(err)
	}
	c.addMap(t, "away", placeholder)
	c.changeMap(t, "away", func(m *computepb.UrlMap) {
		m.DefaultService, m.DefaultUrlRedirect = nil, &computepb.HttpRedirectAction{HostRedirect: proto.String("example.com")}
	})
	writes := c.Writes()
	for _, test := range []struct{ field, value, pointer, message string }{
		{"instanceType", ``, "/instanceType", "is missing"},
		{"instanceType", `5`, "/instanceType", "want a string"},
		{"regional", `false`, "/regional", "single zone"},
		{"availabilityZones", `{"us-central1":["us-central1-a","us-central1-z"]}`, "/availabilityZones/us-central1/1", `no zone "us-central1-z"`},
		{"distributionPolicy", `{"zones":["us-central1-z"]}`, "/distributionPolicy/zones/0", `no zone "us-central1-z"`},
		{"availabilityZones", `{"us-west1":["us-west1-a"]}`, "/availabilityZones", "no zones of region us-central1"},
		{"subnet", `"moon"`, "/subnet", `no subnet "moon"`},
		{"subnet", `"projects/shop-test/regions/us-west1/subnetworks/default"`, "/subnet", "not in region"},
		{"healthCheck", `"nope"`, "/healthCheck", `no health check "nope"`},
		{"healthCheck", `"global/healthChecks/nope"`, "/healthCheck", "is global"},
		{"healthCheck", ``, "/healthCheck", "is missing"},
		{"autoHealingPolicy", `{"healthCheck":"nope"}`, "/autoHealingPolicy/healthCheck", `"nope"`},
		{"loadBalancers", `["nope"]`, "/loadBalancers/0", `no URL map "nope"`},
		{"loadBalancers", `["shop","taken"]`, "/loadBalancers", "2 load balancers"},
		{"loadBalancers", `["taken"]`, "/loadBalancers/0", "other-team"},
		{"loadBalancers", `["away"]`, "/loadBalancers/0", "no backend service"},
		{"loadBalancers", `["worldwide"]`, "/loadBalancers/0", "is global"},
		{"pathMatcher", `"nope"`, "/pathMatcher", `no path matcher "nope"`},
		{"backendServices", `{"shop":["x"]}`, "/backendServices", "of its own"},
	} {
		findings, err := c.target.Validate(t.Context(), c.Cluster(shop), with(c.Spec("shop-1-1", 1, true), test.field, test.value))
		if err != nil || len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%s %s: findings %+v, error %v; want one at %s with %q", test.field, test.value, findings, err, test.pointer, test.message)
		}
	}
	for image, message := range map[string]string{
		"family/nope": `image of family "nope"`, "nope": `image "nope"`, "Shop 1": "is no image",
		"projects/shop-test/global/images/nope": `image "nope"`,
	} {
		findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec(image, 1, true))
		if err != nil || len(findings) != 1 || findings[0].Pointer != "/image" || !strings.Contains(findings[0].Message, message) {
			t.Errorf("image %s: findings %+v, error %v", image, findings, err)
		}
	}
	both := with(with(c.Spec("nope", 1, true), "subnet", `"moon"`), "healthCheck", `"nope"`)
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), both); err != nil || len(findings) != 3 {
		t.Errorf("three mistakes: %+v, %v", findings, err)
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("validation wrote %d times", n)
	}
}

// TestValidateAccepts what is right in several ways of writing it.
func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for field, value := range map[string]string{
		"subnet": `"default"`, "network": `"default"`, "regional": `true`, "availabilityZones": `{"us-central1":[]}`,
		"healthCheck": `"` + path("healthChecks", check) + `"`, "autoHealingPolicy": ``, "distributionPolicy": `{"zones":["us-central1-c"]}`,
	} {
		if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), with(c.Spec("shop-1-1", 1, true), field, value)); err != nil || len(findings) != 0 {
			t.Errorf("%s %s: %+v, %v", field, value, findings, err)
		}
	}
	for _, image := range []string{"family/shop", "projects/shop-test/global/images/shop-1-0", "https://www.googleapis.com/compute/v1/projects/shop-test/global/images/family/shop"} {
		if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec(image, 1, true)); err != nil || len(findings) != 0 {
			t.Errorf("image %s: %+v, %v", image, findings, err)
		}
	}
}

// TestValidateOtherPort: a port that the serving group does not have is found
// before a backend service sends requests to nowhere.
func TestValidateOtherPort(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.serve(t, 1)
	spec := with(with(c.Spec("shop-1-1", 1, true), "loadBalancingPolicy", ``), "portName", `"grpc"`)
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/portName" || !strings.Contains(findings[0].Message, "grpc") {
		t.Errorf("findings %+v, %v", findings, err)
	}
}

// TestNothingServesYet: without a health check of the stage there is none to take.
func TestNothingServesYet(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	spec := with(*change.Spec, "healthCheck", "")
	change.Spec = &spec
	if err := c.refused(t, change); delivery.KindOf(err) != delivery.Invalid || len(delivery.FindingsOf(err)) != 1 || delivery.FindingsOf(err)[0].Pointer != "/healthCheck" {
		t.Errorf("creation: %v", err)
	}
}
