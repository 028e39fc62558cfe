package gcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/simcloud"
	simgcp "github.com/slipway-cd/slipway/simcloud/gcp"
)

const robot = "slipway@shop.iam.gserviceaccount.com"

// cloud answers the token service and every read of a Cloud Run service, and
// remembers who asked for what.
type cloud struct {
	mu       sync.Mutex
	calls    []string
	impostor int // status of the token service; 0 for a token
	hang     bool
	left     chan struct{}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls = append(c.calls, r.Header.Get("Authorization")+" "+r.Method+" "+r.URL.Path)
	impostor, hang := c.impostor, c.hang
	c.mu.Unlock()
	switch {
	case hang:
		select {
		case <-r.Context().Done():
		case <-c.left:
		}
	case !strings.HasSuffix(r.URL.Path, ":generateAccessToken"):
		fmt.Fprintf(w, `{"name":%q}`, strings.TrimPrefix(r.URL.Path, "/v2/"))
	case impostor != 0:
		w.WriteHeader(impostor)
		fmt.Fprintf(w, `{"error":{"code":%d,"message":"no","status":"STRANGE"}}`, impostor)
	default:
		var asked struct{ Scope []string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Scope) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"accessToken":"of-the-robot","expireTime":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
	}
}

func (c *cloud) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func (c *cloud) set(change func(*cloud)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func endpoint(t *testing.T) (*cloud, string) {
	t.Helper()
	c := &cloud{left: make(chan struct{})}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(c.left) })
	return c, server.URL
}

func getService(ctx context.Context, t *testing.T, o gcp.Options) error {
	t.Helper()
	session, err := gcp.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	services, err := run.NewServicesRESTClient(ctx, session.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = services.GetService(ctx, &runpb.GetServiceRequest{Name: "projects/shop/locations/r/services/s"})
	return gcp.Classify(err, "get service s")
}

func TestAccessToken(t *testing.T) {
	c, url := endpoint(t)
	if err := getService(t.Context(), t, gcp.Options{Account: "sim", Project: "shop", Endpoint: url, AccessToken: "secret-1"}); err != nil {
		t.Fatal(err)
	}
	if want := "Bearer secret-1 GET /v2/projects/shop/locations/r/services/s"; !slices.Equal(c.seen(), []string{want}) {
		t.Errorf("calls %q; want %q", c.seen(), want)
	}
}

func TestImpersonate(t *testing.T) {
	c, url := endpoint(t)
	o := gcp.Options{Account: "prod", Project: "shop", Endpoint: url, AccessToken: "base", Impersonate: robot}
	session, err := gcp.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if calls := c.seen(); len(calls) != 0 {
		t.Errorf("opening a session made calls: %q", calls)
	}
	if session.Account() != "prod" || session.Project() != "shop" {
		t.Errorf("account %s, project %s", session.Account(), session.Project())
	}
	for range 2 { // two clients, one token
		services, err := run.NewServicesRESTClient(t.Context(), session.ClientOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := services.GetService(t.Context(), &runpb.GetServiceRequest{Name: "projects/shop/locations/r/services/s"}); err != nil {
			t.Fatal(err)
		}
	}
	read := "Bearer of-the-robot GET /v2/projects/shop/locations/r/services/s"
	want := []string{"Bearer base POST /v1/projects/-/serviceAccounts/" + robot + ":generateAccessToken", read, read}
	if calls := c.seen(); !slices.Equal(calls, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
}

// TestImpersonateInTheSimulator does the same where tokens are checked.
func TestImpersonateInTheSimulator(t *testing.T) {
	world := simcloud.NewWorld(simcloud.WorldOptions{Scale: 1, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(world.Close)
	sim := simgcp.New(world, simgcp.Options{Logger: slog.New(slog.DiscardHandler)})
	sim.SeedProject(simgcp.SeedProject{Account: "home", Project: "home", Token: "base", Regions: map[string][]string{"r": {"a"}}})
	sim.SeedProject(simgcp.SeedProject{Account: "shop", Project: "shop", Regions: map[string][]string{"r": {"a"}}})
	sim.SeedServiceAccount("shop", robot)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	o := gcp.Options{Account: "prod", Project: "shop", Endpoint: server.URL, AccessToken: "base"}
	for name, test := range map[string]struct {
		impersonate string
		want        delivery.Kind
	}{
		"the service account": {robot, delivery.NotFound}, // its project is reached, and has no such service
		"nobody":              {"", delivery.Denied},
		"a stranger":          {"stranger@shop.iam.gserviceaccount.com", delivery.Denied},
	} {
		o.Impersonate = test.impersonate
		if err := getService(t.Context(), t, o); delivery.KindOf(err) != test.want {
			t.Errorf("as %s: kind %v, %v; want %v", name, delivery.KindOf(err), err, test.want)
		}
	}
}

// TestRefusedToken keeps the token service's answers apart from those about the
// resource: NotFound there must not look like a missing service.
func TestRefusedToken(t *testing.T) {
	for code, want := range map[int]delivery.Kind{
		403: delivery.Denied, 404: delivery.Denied, 400: delivery.Denied, 429: delivery.Throttled, 500: delivery.Transient,
	} {
		c, url := endpoint(t)
		c.set(func(c *cloud) { c.impostor = code })
		err := getService(t.Context(), t, gcp.Options{Account: "prod", Project: "shop", Endpoint: url, AccessToken: "base", Impersonate: robot})
		if delivery.KindOf(err) != want || !strings.Contains(err.Error(), robot) {
			t.Errorf("%d: kind %v, %v; want %v", code, delivery.KindOf(err), err, want)
		}
		if calls := c.seen(); len(calls) != 1 {
			t.Errorf("%d: calls %q", code, calls)
		}
	}
}

func TestTokenServiceOutOfReach(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := getService(t.Context(), t, gcp.Options{Account: "prod", Project: "shop", Endpoint: server.URL, AccessToken: "base", Impersonate: robot})
	if delivery.KindOf(err) != delivery.Transient {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
}

func TestNoCredentials(t *testing.T) {
	c, url := endpoint(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none.json")
	err := getService(t.Context(), t, gcp.Options{Account: "prod", Project: "shop", Endpoint: url})
	if delivery.KindOf(err) != delivery.Denied || !strings.Contains(err.Error(), "prod") {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
	if calls := c.seen(); len(calls) != 0 {
		t.Errorf("calls %q", calls)
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for want, o := range map[string]gcp.Options{
		"project": {Account: "prod"}, "endpoint": {Account: "prod", Project: "shop", Endpoint: "nowhere", Impersonate: robot},
	} {
		if _, err := gcp.Open(t.Context(), o); delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestDeadlineIsTransient(t *testing.T) {
	c, url := endpoint(t)
	c.set(func(c *cloud) { c.hang = true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := getService(ctx, t, gcp.Options{Account: "prod", Project: "shop", Endpoint: url, AccessToken: "t"})
	if delivery.KindOf(err) != delivery.Transient {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
}

func TestSecretDoesNotPrintItself(t *testing.T) {
	o := gcp.Options{AccessToken: "hush"}
	for _, text := range []string{fmt.Sprintf("%v", o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), fmt.Sprint(o.AccessToken)} {
		if strings.Contains(text, "hush") {
			t.Error(text)
		}
	}
}

// TestNoServicesMessages keeps the large packages of single services out of
// what every target kind links.
func TestNoServicesMessages(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"computepb", "runpb", "monitoringpb"} {
		if strings.Contains(string(out), name) {
			t.Errorf("the package depends on %s", name)
		}
	}
}

// TestThreeAttempts counts the attempts of a read.
func TestThreeAttempts(t *testing.T) {
	for name, test := range map[string]struct {
		status, failures, calls int
		ok                      bool
	}{
		"two failures":   {http.StatusServiceUnavailable, 2, 3, true},
		"three failures": {http.StatusBadGateway, 3, 3, false},
		"denied":         {http.StatusForbidden, 1, 1, false},
	} {
		var calls atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if int(calls.Add(1)) <= test.failures {
				w.WriteHeader(test.status)
				return
			}
			fmt.Fprint(w, `{"name":"x"}`)
		}))
		t.Cleanup(server.Close)
		session, err := gcp.Open(t.Context(), gcp.Options{Account: "sim", Project: "shop", Endpoint: server.URL, AccessToken: "t"})
		if err != nil {
			t.Fatal(err)
		}
		services, err := run.NewServicesRESTClient(t.Context(), session.ClientOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = services.GetService(t.Context(), &runpb.GetServiceRequest{Name: "projects/shop/locations/r/services/s"}, gcp.Reads()...)
		if (err == nil) != test.ok || int(calls.Load()) != test.calls {
			t.Errorf("%s: %d calls, %v", name, calls.Load(), err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}
