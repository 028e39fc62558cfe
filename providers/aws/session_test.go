package aws_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/simcloud"
	simaws "github.com/slipway-cd/slipway/simcloud/aws"
)

const role = "arn:aws:iam::444455556666:role/slipway"

func endpoint(t *testing.T) (*simcloud.World, string) {
	t.Helper()
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: 1, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(world.Close)
	cloud := simaws.New(world, simaws.Options{})
	cloud.SeedRegion(simaws.SeedRegion{Account: "home", AccountID: "111122223333", AccessKey: "AKIAHOME", Region: "us-east-1"})
	cloud.SeedRegion(simaws.SeedRegion{Account: "target", AccountID: "444455556666", Region: "us-east-1"})
	cloud.SeedRole(role, "external-1")
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	return world, server.URL
}

func whoAmI(ctx context.Context, t *testing.T, o aws.Options) (string, error) {
	t.Helper()
	session, err := aws.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(session.Config("us-east-1")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", aws.Classify(err, "get caller identity")
	}
	return *out.Arn, nil
}

func TestAssumeRole(t *testing.T) {
	_, url := endpoint(t)
	base := aws.Options{Account: "prod", Endpoint: url, AccessKeyID: "AKIAHOME", SecretAccessKey: "x"}
	if arn, err := whoAmI(t.Context(), t, base); err != nil || !strings.HasPrefix(arn, "arn:aws:iam::111122223333:user/") {
		t.Errorf("without a role: %s, %v", arn, err)
	}
	assumed := base
	assumed.RoleARN, assumed.ExternalID = role, "external-1"
	if arn, err := whoAmI(t.Context(), t, assumed); err != nil || arn != "arn:aws:sts::444455556666:assumed-role/slipway/slipway-prod" {
		t.Errorf("with a role: %s, %v", arn, err)
	}
	stranger := assumed
	stranger.ExternalID = "guessed"
	if _, err := whoAmI(t.Context(), t, stranger); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("with the wrong external id: kind %v, %v", delivery.KindOf(err), err)
	}
	unknown := base
	unknown.AccessKeyID = "AKIANOBODY"
	if _, err := whoAmI(t.Context(), t, unknown); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("with an unknown key: kind %v, %v", delivery.KindOf(err), err)
	}
}

func TestVerify(t *testing.T) {
	world, url := endpoint(t)
	o := aws.Options{Account: "prod", AccountID: "111122223333", Endpoint: url, AccessKeyID: "AKIAHOME", SecretAccessKey: "x"}
	open := func(o aws.Options) *aws.Session {
		session, err := aws.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	right := open(o)
	for range 3 {
		if err := right.Verify(t.Context(), "us-east-1"); err != nil {
			t.Error(err)
		}
	}
	if n := len(world.Log.Events()); n != 1 {
		t.Errorf("%d events; want one call", n)
	}
	o.AccountID = "444455556666"
	if err := open(o).Verify(t.Context(), "us-east-1"); delivery.KindOf(err) != delivery.Denied || !strings.Contains(err.Error(), "111122223333") {
		t.Errorf("credentials of another account: %v", err)
	}
	o.AccountID = ""
	if err := open(o).Verify(t.Context(), "us-east-1"); err != nil {
		t.Errorf("without a configured number: %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	_, url := endpoint(t)
	if _, err := whoAmI(t.Context(), t, aws.Options{Account: "prod", Endpoint: url}); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
}

func TestThreeAttempts(t *testing.T) {
	world, url := endpoint(t)
	o := aws.Options{Account: "prod", Endpoint: url, AccessKeyID: "AKIAHOME", SecretAccessKey: "x"}
	for _, test := range []struct {
		failures int
		want     delivery.Kind
		ok       bool
	}{{2, 0, true}, {3, delivery.Transient, false}} {
		if _, err := world.Faults.Add(simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectError}, Times: test.failures}); err != nil {
			t.Fatal(err)
		}
		_, err := whoAmI(t.Context(), t, o)
		if (err == nil) != test.ok || err != nil && delivery.KindOf(err) != test.want {
			t.Errorf("%d failures: %v", test.failures, err)
		}
		world.Faults.Clear()
	}
}

// TestRetriesAreQuickAndSpread lets the first attempt of some calls fail. None
// waits long, and they do not come back together.
func TestRetriesAreQuickAndSpread(t *testing.T) {
	world, url := endpoint(t)
	var took []time.Duration
	for range 6 {
		if _, err := world.Faults.Add(simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectReset}, Times: 1}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := whoAmI(t.Context(), t, aws.Options{Account: "prod", Endpoint: url, AccessKeyID: "AKIAHOME", SecretAccessKey: "x"}); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if shortest, longest := took[0], took[5]; shortest > 200*time.Millisecond || longest-shortest < 5*time.Millisecond {
		t.Errorf("calls with one retry took %v", took)
	}
}

func TestDeadlineIsTransient(t *testing.T) {
	world, url := endpoint(t)
	if _, err := world.Faults.Add(simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectHang}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := whoAmI(ctx, t, aws.Options{Account: "prod", Endpoint: url, AccessKeyID: "AKIAHOME", SecretAccessKey: "x"})
	if delivery.KindOf(err) != delivery.Transient {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
}

func TestSecretDoesNotPrintItself(t *testing.T) {
	o := aws.Options{SecretAccessKey: "hush"}
	for _, text := range []string{fmt.Sprintf("%v", o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), fmt.Sprint(o.SecretAccessKey)} {
		if strings.Contains(text, "hush") {
			t.Error(text)
		}
	}
}
