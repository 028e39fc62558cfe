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
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
	"github.com/slipway-cd/slipway/store"
)

const (
	account   = "aws-sim"
	accountID = "123456789012"
	accessKey = "AKIASIMULATED0000000"
	region    = "us-east-1"
	group     = "storefront-prod-v000"
	// others is a quarter of 20,000: of each there is a group, a target group, a
	// launch template and an image.
	others = 5000
)

// world is the product without its workflow engine over one account with one
// application, storefront.
type world struct {
	url   string
	cloud *simcloud.World
}

func newWorld(t *testing.T, others int) *world {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	cloud := simcloud.NewWorld(simcloud.WorldOptions{Scale: 1, Seed: 1, Logger: quiet})
	t.Cleanup(cloud.Close)
	// The groups are looked at once only, when they are made: what is read is the same each time.
	server := aws.New(cloud, aws.Options{PageSize: 100, TickInterval: time.Hour, Logger: quiet})
	seed(t, server, others)
	endpoint := httptest.NewServer(server)
	t.Cleanup(endpoint.Close)
	registry, err := providers.Open(t.Context(), []providers.AccountConfig{{
		Name: account, Provider: "aws", AccountID: accountID, Regions: []string{region},
		Endpoint: endpoint.URL, AccessKeyID: accessKey, SecretAccessKey: "simulated", CallsPerSecond: 500, Burst: 500,
	}})
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

func seed(t *testing.T, server *aws.Cloud, others int) {
	t.Helper()
	server.SeedRegion(aws.SeedRegion{Account: account, AccountID: accountID, AccessKey: accessKey, Region: region,
		Zones: []string{"us-east-1a", "us-east-1b"}, SecurityGroups: []string{"web"}})
	image, err := server.SeedImage(simcloud.Image{Name: "storefront-1.0"})
	if err != nil {
		t.Fatal(err)
	}
	tags := func(application, cluster, group string) map[string]string {
		return map[string]string{"slipway:application": application, "slipway:cluster": cluster, "slipway:server-group": group}
	}
	if err := server.SeedCluster(aws.SeedCluster{AccountID: accountID, Region: region, LoadBalancer: "storefront", Group: group, TargetGroup: group,
		Image: image.Name, Capacity: simcloud.Capacity{Min: 3, Max: 3, Desired: 3}, Tags: tags("storefront", "storefront-prod", group)}); err != nil {
		t.Fatal(err)
	}
	if err := server.SeedOthers(aws.SeedOthers{AccountID: accountID, Region: region, Count: others, Image: image.ID, Tags: func(n int) map[string]string {
		name := fmt.Sprintf("other%d", n)
		return tags(name, name, name+"-v000")
	}}); err != nil {
		t.Fatal(err)
	}
	for n := range others {
		if _, err := server.SeedImage(simcloud.Image{Name: fmt.Sprintf("other%d-1.0", n)}); err != nil {
			t.Fatal(err)
		}
	}
}

// idle is an engine in which nothing runs.
type idle struct{}

func (idle) Cancel(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Pause(_ context.Context, id delivery.ExecutionID, _ delivery.Principal) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

func (idle) Resume(_ context.Context, id delivery.ExecutionID, _ delivery.Principal) error {
	return delivery.Errorf(delivery.NotFound, "execution %s", id)
}

// instance is the id of one of the application's instances.
func (w *world) instance(t *testing.T) string {
	t.Helper()
	for _, e := range w.cloud.Log.Events() {
		if e.Kind == simcloud.InstanceLifecycle {
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

// views are requests about the application, each with the most calls it may cost.
var views = map[string]int{
	"/applications/storefront/clusters":                                                                       9,
	"/applications/storefront/clusters/aws-sim":                                                               9,
	"/applications/storefront/clusters/aws-sim/storefront-prod":                                               9,
	"/applications/storefront/serverGroups":                                                                   9,
	"/applications/storefront/loadBalancers":                                                                  9,
	"/images/find?q=storefront-1&account=aws-sim":                                                             1,
	"/instances/aws-sim/us-east-1/{instance}":                                                                 9,
	"/serverGroups?applications=storefront":                                                                   9,
	"/serverGroups?ids=aws-sim:us-east-1:" + group:                                                            8,
	"/applications/storefront/serverGroups/aws-sim/us-east-1/" + group:                                        8,
	"/applications/storefront/clusters/aws-sim/storefront-prod/serverGroups":                                  9,
	"/applications/storefront/clusters/aws-sim/storefront-prod/aws/us-east-1/serverGroups/target/current_asg": 8,
}

// TestCallsDoNotGrowWithWhatOthersHave compares the calls for each view in an
// empty account with those in a full one.
func TestCallsDoNotGrowWithWhatOthersHave(t *testing.T) {
	empty, full := newWorld(t, 0), newWorld(t, others)
	for path, most := range views {
		answers, want := empty.get(t, path, true)
		again, got := full.get(t, path, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: calls differ (-alone +beside %d resources):\n%s", path, 4*others, diff)
		}
		total := 0
		for _, n := range got {
			total += n
		}
		if answers != 1 || again != 1 || total == 0 || total > most {
			t.Errorf("%s: %d and %d answers for %d calls; want 1 answer for at most %d calls", path, answers, again, total, most)
		}
		t.Logf("%d calls alone and beside %d resources: %s", total, 4*others, path)
	}
}

// TestViewsShareWhatWasRead: a page asks for everything about an application; the
// cloud is asked once.
func TestViewsShareWhatWasRead(t *testing.T) {
	w := newWorld(t, 0)
	for _, first := range []string{"/applications/storefront/serverGroups", "/instances/aws-sim/us-east-1/{instance}", "/images/find?q=storefront-1&account=aws-sim"} {
		if _, calls := w.get(t, first, false); len(calls) == 0 {
			t.Fatalf("%s makes no calls", first)
		}
	}
	for path := range views {
		if _, calls := w.get(t, path, false); len(calls) != 0 {
			t.Errorf("%s: calls for what was read a moment ago: %v", path, calls)
		}
	}
}
