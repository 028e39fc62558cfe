package aws_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
)

const (
	accountID = "111122223333"
	accessKey = "AKIASIMULATOR0000001"
	region    = "us-east-1"
)

// rig is a cloud behind a real socket, with the real SDK's clients.
type rig struct {
	t       *testing.T
	world   *simcloud.World
	cloud   *aws.Cloud
	url     string
	network aws.SeededRegion
	images  map[string]string // id by name

	sts     *sts.Client
	ec2     *ec2.Client
	asg     *autoscaling.Client
	elb     *elb.Client
	metrics *cloudwatch.Client
}

func newRig(t *testing.T, worldOptions simcloud.WorldOptions, options aws.Options) *rig {
	t.Helper()
	world := simcloud.NewWorld(worldOptions)
	t.Cleanup(world.Close)
	r := &rig{t: t, world: world, cloud: aws.New(world, options), images: map[string]string{}}
	server := httptest.NewServer(r.cloud)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.network = r.cloud.SeedRegion(aws.SeedRegion{
		Account: "aws-sim", AccountID: accountID, AccessKey: accessKey, Region: region,
		Zones: []string{"us-east-1a", "us-east-1b"}, SecurityGroups: []string{"web"},
	})
	for _, image := range []simcloud.Image{
		{Name: "shop-1.0", BootDelay: 5 * time.Second}, {Name: "shop-1.1", BootDelay: 5 * time.Second},
		{Name: "shop-sick", BootDelay: 5 * time.Second, NeverHealthy: true},
	} {
		published, err := r.cloud.SeedImage(image)
		if err != nil {
			t.Fatal(err)
		}
		r.images[image.Name] = published.ID
	}
	r.connect(credentials.NewStaticCredentialsProvider(accessKey, "secret", ""))
	return r
}

// connect makes clients without the SDK's own retries, so that tests see every error.
func (r *rig) connect(provider awssdk.CredentialsProvider) {
	config := awssdk.Config{
		Region: region, Credentials: provider, BaseEndpoint: &r.url,
		Retryer: func() awssdk.Retryer { return awssdk.NopRetryer{} },
	}
	r.sts, r.ec2, r.asg = sts.NewFromConfig(config), ec2.NewFromConfig(config), autoscaling.NewFromConfig(config)
	r.elb, r.metrics = elb.NewFromConfig(config), cloudwatch.NewFromConfig(config)
}

// manual is a world that only moves when told to.
func manual(t *testing.T) *rig { return newRig(t, simcloud.WorldOptions{}, aws.Options{}) }

// advance lets d pass in steps of a second.
func (r *rig) advance(d time.Duration) {
	for range int(d / time.Second) {
		r.world.Clock.Advance(time.Second)
	}
}

// until waits for a condition that the simulated clock and real sockets bring about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		timer := time.NewTimer(5 * time.Millisecond)
		<-timer.C
	}
}

// codeOf is the AWS error code of an error, "" for none.
func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	return t.Context()
}

func p[T any](v T) *T { return &v }
