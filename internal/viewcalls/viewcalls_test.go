package viewcalls

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
	"github.com/slipway-cd/slipway/simcloud/gcp"
	"github.com/slipway-cd/slipway/store"
)

const (
	account   = "aws-sim"
	accountID = "123456789012"
	accessKey = "AKIASIMULATED0000000"
	region    = "us-east-1"

	project      = "slipway-sim"
	token        = "ya29.simulated"
	googleRegion = "us-central1"

	group = "storefront-prod-v000"
	// others is a quarter of 20,000: of each there is a group, a target group, a
	// launch template and an image.
	others = 5000
)

var quiet = slog.New(slog.DiscardHandler)

// world is the product without its workflow engine over one account with one
// application, storefront.
type world struct {
	url   string
	cloud *simcloud.World
}

// newAWS is a world over an account of AWS.
func newAWS(t *testing.T, others int) *world {
	t.Helper()
	cloud := simcloud.NewWorld(simcloud.WorldOptions{Scale: 1, Seed: 1, Logger: quiet})
	t.Cleanup(cloud.Close)
	// The groups are looked at once only, when they are made: what is read is the same each time.
	server := aws.New(cloud, aws.Options{PageSize: 100, TickInterval: time.Hour, Logger: quiet})
	seedAWS(t, server, others)
	return newWorld(t, cloud, server, providers.AccountConfig{
		Name: account, Provider: "aws", AccountID: accountID, Regions: []string{region}, AccessKeyID: accessKey, SecretAccessKey: "simulated",
	})
}

// newGoogle is a world over a project of Google Cloud.
func newGoogle(t *testing.T, others int) *world {
	t.Helper()
	cloud := simcloud.NewWorld(simcloud.WorldOptions{Scale: 1, Seed: 1, Logger: quiet})
	t.Cleanup(cloud.Close)
	server := gcp.New(cloud, gcp.Options{PageSize: 100, TickInterval: time.Hour, Logger: quiet})
	seedGoogle(t, server, others)
	return newWorld(t, cloud, server, providers.AccountConfig{
		Name: project, Provider: "gce", Project: project, Regions: []string{googleRegion}, AccessToken: token,
	})
}

// newWorld serves the API over an account of a simulated cloud.
func newWorld(t *testing.T, cloud *simcloud.World, server http.Handler, config providers.AccountConfig) *world {
	t.Helper()
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	config.Endpoint, config.CallsPerSecond, config.Burst = endpoint.URL, 500, 500
	registry, err := providers.Open(t.Context(), []providers.AccountConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	records, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := records.Close(); err != nil {
			t.Error(err)
		}
	})
	handler := api.New(api.Dependencies{Store: records, Engine: idle{}, Targets: registry, Logger: quiet, ViewsFor: time.Hour})
	listener := httptest.NewServer(handler.Handler())
	t.Cleanup(func() {
		handler.Stop()
		listener.Close()
	})
	return &world{url: listener.URL, cloud: cloud}
}

func seedAWS(t *testing.T, server *aws.Cloud, others int) {
	t.Helper()
	server.SeedRegion(aws.SeedRegion{Account: account, AccountID: accountID, AccessKey: accessKey, Region: region,
		Zones: []string{"us-east-1a", "us-east-1b"}, SecurityGroups: []string{"web"}})
	image, err := server.SeedImage(simcloud.Image{Name: "storefront-1.0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SeedCluster(aws.SeedCluster{AccountID: accountID, Region: region, LoadBalancer: "storefront", Group: group, TargetGroup: group,
		Image: image.Name, Capacity: simcloud.Capacity{Min: 3, Max: 3, Desired: 3}, Tags: tags("storefront", "storefront-prod")}); err != nil {
		t.Fatal(err)
	}
	if err := server.SeedOthers(aws.SeedOthers{AccountID: accountID, Region: region, Count: others, Image: image.ID, Tags: tagsOfOthers}); err != nil {
		t.Fatal(err)
	}
	for n := range others {
		if _, err := server.SeedImage(simcloud.Image{Name: fmt.Sprintf("other%d-1.0", n)}); err != nil {
			t.Fatal(err)
		}
	}
}

func seedGoogle(t *testing.T, server *gcp.Cloud, others int) {
	t.Helper()
	server.SeedProject(gcp.SeedProject{Account: project, Project: project, Token: token, Regions: map[string][]string{googleRegion: {"a", "b", "c"}}})
	if _, err := server.SeedImage(project, simcloud.Image{Name: "storefront-1.0"}); err != nil {
		t.Fatal(err)
	}
	if err := server.SeedCluster(gcp.SeedCluster{Project: project, Region: googleRegion, LoadBalancer: "storefront", Group: group, Image: "storefront-1.0",
		Capacity: simcloud.Capacity{Desired: 3}, Tags: tags("storefront", "storefront-prod")}); err != nil {
		t.Fatal(err)
	}
	if err := server.SeedOthers(gcp.SeedOthers{Project: project, Region: googleRegion, Count: others, Image: "storefront-1.0", Tags: tagsOfOthers}); err != nil {
		t.Fatal(err)
	}
	for n := range others {
		if _, err := server.SeedImage(project, simcloud.Image{Name: fmt.Sprintf("other%d-1.0", n)}); err != nil {
			t.Fatal(err)
		}
	}
}

// tags are those of the first server group of a cluster.
func tags(application, cluster string) map[string]string {
	return map[string]string{"slipway:application": application, "slipway:cluster": cluster, "slipway:server-group": cluster + "-v000"}
}

func tagsOfOthers(n int) map[string]string {
	name := fmt.Sprintf("other%d", n)
	return tags(name, name)
}

// idle is an engine in which nothing runs.
type idle struct{}

func (idle) Cancel(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Pause(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Move(_ context.Context, id delivery.DeploymentID, _ rollout.Move, _ bool, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "deployment %s", id)
}

func (idle) Judge(_ context.Context, id delivery.DeploymentID, _ delivery.JudgmentAnswer) error {
	return delivery.Errorf(delivery.NotFound, "deployment %s", id)
}

func (idle) UpdateStage(_ context.Context, id delivery.ExecutionID, _ pipeline.StageCommand) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}
func (idle) Runs(context.Context, delivery.ExecutionID) (bool, error) { return false, nil }

func (idle) Resume(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

// instance is the id of one of the application's instances.
func (w *world) instance(t *testing.T) string {
	t.Helper()
	for _, e := range w.cloud.Log.Events() {
		if e.Kind == simcloud.InstanceLifecycle && strings.HasPrefix(e.Group, group) {
			return e.Resource
		}
	}
	t.Fatal("no instance was launched")
	return ""
}

// get sends a request and returns how many answers the body lists, and the calls
// that the cloud got for it, by action.
func (w *world) get(t *testing.T, path string, anew bool) (answers int, calls map[string]int) {
	t.Helper()
	url := w.url + strings.ReplaceAll(path, "{instance}", w.instance(t))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if anew {
		request.Header.Set("Cache-Control", "no-cache")
	}
	before := w.cloud.Log.Last()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, answer.StatusCode, text)
	}
	answers = 1
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil {
		answers = len(list)
	}
	calls = map[string]int{}
	for _, e := range w.cloud.Log.After(before, 0) {
		if e.Kind == simcloud.APICall {
			calls[e.Service+":"+e.Action]++
		}
	}
	return answers, calls
}

// views are requests about the application.
var views = []string{
	"/applications/storefront/clusters",
	"/applications/storefront/clusters/{account}",
	"/applications/storefront/clusters/{account}/storefront-prod",
	"/applications/storefront/clusters/{account}/storefront-prod/serverGroups",
	"/applications/storefront/clusters/{account}/storefront-prod/{provider}/{region}/serverGroups/target/current_asg",
	"/applications/storefront/serverGroups",
	"/applications/storefront/serverGroups/{account}/{region}/" + group,
	"/applications/storefront/loadBalancers",
	"/serverGroups?applications=storefront",
	"/serverGroups?ids={account}:{region}:" + group,
	"/instances/{account}/{region}/{instance}",
	"/images/find?q=storefront-1&account={account}&provider={provider}",
}

// clouds are where the application runs. A view costs at most so many calls: of a
// managed instance group four pieces are listed each by themselves, and Cloud Run
// is asked, too.
var clouds = map[string]struct {
	open                      func(*testing.T, int) *world
	account, region, provider string
	most                      int
}{
	"aws":    {newAWS, account, region, "aws", 9},
	"google": {newGoogle, project, googleRegion, "gce", 12},
}

// TestCallsDoNotGrowWithWhatOthersHave compares the calls for each view in an
// empty account with those in a full one.
func TestCallsDoNotGrowWithWhatOthersHave(t *testing.T) {
	for name, c := range clouds {
		t.Run(name, func(t *testing.T) {
			empty, full := c.open(t, 0), c.open(t, others)
			for _, view := range views {
				path := strings.NewReplacer("{account}", c.account, "{region}", c.region, "{provider}", c.provider).Replace(view)
				answers, want := empty.get(t, path, true)
				again, got := full.get(t, path, true)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: calls differ (-alone +beside %d resources):\n%s", path, 4*others, diff)
				}
				total := 0
				for _, n := range got {
					total += n
				}
				if answers != 1 || again != 1 || total == 0 || total > c.most {
					t.Errorf("%s: %d and %d answers for %d calls; want 1 answer for at most %d calls: %v", path, answers, again, total, c.most, got)
				}
				t.Logf("%d calls alone and beside %d resources: %s", total, 4*others, path)
			}
		})
	}
}

// TestViewsShareWhatWasRead: a page asks for everything about an application; the
// cloud is asked once.
func TestViewsShareWhatWasRead(t *testing.T) {
	w := newAWS(t, 0)
	asked := 0
	for _, view := range views {
		path := strings.NewReplacer("{account}", account, "{region}", region, "{provider}", "aws").Replace(view)
		for again := range 2 {
			_, calls := w.get(t, path, false)
			for _, n := range calls {
				asked += n
			}
			if again > 0 && len(calls) > 0 {
				t.Errorf("%s: calls for what was read a moment ago: %v", path, calls)
			}
		}
	}
	// One cluster, the group of one instance and the images: 9 + 1 + 1.
	if asked != 11 {
		t.Errorf("%d calls for %d views, want 11", asked, len(views))
	}
}

// TestSearchForAnInstance: an id is asked for once in each region.
func TestSearchForAnInstance(t *testing.T) {
	w := newAWS(t, 100)
	answers, calls := w.get(t, "/search?type=instances&q={instance}", true)
	if diff := cmp.Diff(map[string]int{"autoscaling:DescribeAutoScalingInstances": 1}, calls); diff != "" || answers != 1 {
		t.Errorf("%d answers; calls (-want +got):\n%s", answers, diff)
	}
}
