package gcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	credentials "cloud.google.com/go/iam/credentials/apiv1"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

func TestTokens(t *testing.T) {
	k := newKernel(t, Options{})
	k.cloud.SeedProject(SeedProject{Account: "other", Project: "other", Token: "other"})
	badMaps, badRuns := k.clients("wrong")
	otherMaps, otherRuns := k.clients("other")
	_, wrong := k.get(badMaps, "shop")
	if event := k.last(); event.Error != "authError" || event.Action != "RegionUrlMaps.Get" || event.Resource != kernelMap || event.Principal != "" {
		t.Errorf("a bad token was recorded as %+v", event)
	}
	_, wrongRun := k.getService(badRuns)
	_, foreign := k.get(otherMaps, "shop")
	_, foreignRun := k.getService(otherRuns)
	_, foreignOrNone := k.get(k.maps, "-")
	for name, row := range map[string]struct {
		err  error
		want told
	}{
		"a project that is none":  {foreignOrNone, told{403, "forbidden", ""}},
		"bad token":               {wrong, told{401, "authError", ""}},
		"bad token, run":          {wrongRun, told{401, "", ""}},
		"somebody else's project": {foreign, told{403, "forbidden", ""}},
		"the same, run":           {foreignRun, told{403, "", "IAM_PERMISSION_DENIED"}},
	} {
		if got := tell(row.err); got != row.want {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, row.want, row.err)
		}
	}
	if found, err := k.getService(k.runs); err != nil || found.Ingress != runpb.IngressTraffic_INGRESS_TRAFFIC_ALL {
		t.Errorf("a good token gets %v %v", found, err)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	k := newKernel(t, Options{})
	delete(k.cloud.handlers, "compute/RegionUrlMaps.Delete")
	_, err := k.maps.Delete(t.Context(), &computepb.DeleteRegionUrlMapRequest{Project: "shop", Region: "us-central1", UrlMap: "x"}, once)
	if got := tell(err); got.status != http.StatusNotImplemented {
		t.Errorf("a method without handler: %+v (%v)", got, err)
	}
	response, err := http.Get(k.url + "/compute/v2/projects/shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "notFound") {
		t.Errorf("an unknown path: %d %s %v", response.StatusCode, body, err)
	}
}

// TestLimits calls too often: the windows begin with the minutes of the clock.
func TestLimits(t *testing.T) {
	k := newKernel(t, Options{Limits: map[string]int{"compute:read": 2, "run:read": 1}})
	now := k.world.Clock.Now()
	k.world.Clock.Advance(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
	for range 2 {
		k.fingerprint()
	}
	_, err := k.get(k.maps, "shop")
	if got := tell(err); got != (told{403, "rateLimitExceeded", ""}) {
		t.Errorf("the third read of a minute: %+v (%v)", got, err)
	}
	var answer *googleapi.Error
	if !errors.As(err, &answer) || !strings.Contains(answer.Body, `"status":"PERMISSION_DENIED"`) || !strings.Contains(answer.Body, `"domain":"usageLimits"`) {
		t.Errorf("answered %v", err)
	}
	if event := k.last(); event.Error != "rateLimitExceeded" {
		t.Errorf("recorded as %+v", event)
	}
	if _, err := k.patch(""); err != nil {
		t.Errorf("writes have a window of their own: %v", err)
	}
	if _, err := k.getService(k.runs); err != nil {
		t.Fatal(err)
	}
	_, err = k.getService(k.runs)
	if got := tell(err); got.status != http.StatusTooManyRequests || got.info != "RATE_LIMIT_EXCEEDED" {
		t.Errorf("Cloud Run's second read of a minute: %+v (%v)", got, err)
	}
	_, err = k.runs.GetService(t.Context(), &runpb.GetServiceRequest{Name: "projects/shop/locations/europe-west1/services/s"}, once)
	if err != nil {
		t.Errorf("another region has a window of its own: %v", err)
	}
	k.world.Clock.Advance(59 * time.Second)
	if _, err := k.get(k.maps, "shop"); err == nil {
		t.Error("a minute is over after 59 s")
	}
	k.world.Clock.Advance(time.Second)
	k.fingerprint()
}

// TestFaults lets each kind of fault act on a patch and tells what the client sees and whether it took effect.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name     string
		effect   simcloud.Effect
		want     told // zero: the connection breaks
		recorded string
		applied  bool
	}{
		{"throttle", simcloud.Effect{Kind: simcloud.EffectThrottle}, told{403, "rateLimitExceeded", ""}, "rateLimitExceeded", false},
		{"throttle by another name", simcloud.Effect{Kind: simcloud.EffectThrottle, Code: "userRateLimitExceeded"}, told{403, "userRateLimitExceeded", ""}, "userRateLimitExceeded", false},
		{"error", simcloud.Effect{Kind: simcloud.EffectError}, told{500, "backendError", ""}, "backendError", false},
		{"error by name", simcloud.Effect{Kind: simcloud.EffectError, Status: 409, Code: "resourceInUse"}, told{409, "resourceInUse", ""}, "resourceInUse", false},
		{"reset", simcloud.Effect{Kind: simcloud.EffectReset}, told{}, "ConnectionBroken", false},
		{"lost answer", simcloud.Effect{Kind: simcloud.EffectErrorAfter}, told{}, "ConnectionBroken", true},
		{"error after", simcloud.Effect{Kind: simcloud.EffectErrorAfter, Status: 503}, told{503, "backendError", ""}, "backendError", true},
		{"slow", simcloud.Effect{Kind: simcloud.EffectSlow, Duration: time.Millisecond}, told{}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			fault := simcloud.Fault{Match: simcloud.Match{Service: "compute", Action: "RegionUrlMaps.Patch", Account: "gcp-sim", Region: "us-central1", Writes: true}, Effect: test.effect, Times: 1}
			if _, err := k.world.Faults.Add(fault); err != nil {
				t.Fatal(err)
			}
			_, err := k.patch("")
			if test.name == "slow" != (err == nil) {
				t.Errorf("error %v", err)
			}
			if got := tell(err); got != test.want {
				t.Errorf("told %+v, want %+v (%v)", got, test.want, err)
			}
			event := k.last()
			if event.Error != test.recorded || event.Effect != test.applied || event.Fault == "" || event.Resource != kernelMap || !event.Write {
				t.Errorf("recorded as %+v", event)
			}
			if applied := k.fingerprint() == 1; applied != test.applied {
				t.Errorf("applied: %t", applied)
			}
		})
	}
}

// TestFaultsOfNewerAPIs looks at the codes of errors that Cloud Run answers.
func TestFaultsOfNewerAPIs(t *testing.T) {
	for code, want := range map[string]string{"ABORTED": `"status":"ABORTED"`, "SOME_REASON": `"reason":"SOME_REASON"`, "": `"status":"ALREADY_EXISTS"`} {
		k := newKernel(t, Options{})
		if _, err := k.world.Faults.Add(simcloud.Fault{Effect: simcloud.Effect{Kind: simcloud.EffectError, Status: 409, Code: code}}); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", service, nil)
		r.URL.Path = "/v2/projects/shop/locations/us-central1/services/s"
		r.Header.Set("Authorization", "Bearer secret")
		k.cloud.ServeHTTP(w, r)
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), want) {
			t.Errorf("code %q is answered with %d %s", code, w.Code, w.Body)
		}
	}
}

// TestHang never answers; the call ends with the client's patience and has no effect.
func TestHang(t *testing.T) {
	k := newKernel(t, Options{})
	if _, err := k.world.Faults.Add(simcloud.Fault{Match: simcloud.Match{Action: "RegionUrlMaps.Patch"}, Effect: simcloud.Effect{Kind: simcloud.EffectHang}, Times: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	in := &computepb.PatchRegionUrlMapRequest{Project: "shop", Region: "us-central1", UrlMap: "x", UrlMapResource: &computepb.UrlMap{}}
	if _, err := k.maps.Patch(ctx, in, once); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call ends with %v", err)
	}
	if got := k.fingerprint(); got != 0 {
		t.Errorf("it took effect %d times", got)
	}
}

func TestStaleReads(t *testing.T) {
	k := newKernel(t, Options{})
	if _, err := k.patch(""); err != nil {
		t.Fatal(err)
	}
	if _, err := k.world.Faults.Add(simcloud.Fault{Match: simcloud.Match{Action: "RegionUrlMaps.Get"}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 1}}); err != nil {
		t.Fatal(err)
	}
	if got := k.fingerprint(); got != 0 {
		t.Errorf("a stale read sees %d patches", got)
	}
	if event := k.last(); event.Reason != string(simcloud.EffectStaleRead) || event.Error != "" {
		t.Errorf("recorded as %+v", event)
	}
	if got := k.fingerprint(); got != 1 {
		t.Errorf("the next read sees %d patches", got)
	}
}

// TestRequestIDs repeats a request: the second has no effect and the answer of the first.
func TestRequestIDs(t *testing.T) {
	k := newKernel(t, Options{TickInterval: time.Minute})
	const id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	first, err := k.patch(id)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.patch(id)
	if err != nil || second != first {
		t.Errorf("repeated as %q, %v, not %q", second, err, first)
	}
	if event := k.last(); event.Effect {
		t.Error("the repetition is recorded as a change")
	}
	other := &computepb.PatchRegionUrlMapRequest{Project: "shop", Region: "us-central1", UrlMap: "x", RequestId: proto.String(id), UrlMapResource: &computepb.UrlMap{}}
	if _, err := k.maps.Patch(t.Context(), other, once); tell(err).reason != "invalid" {
		t.Errorf("the id for another request: %v", err)
	}
	if got := k.fingerprint(); got != 1 {
		t.Errorf("patched %d times", got)
	}
	k.world.Clock.Advance(operationsKept + 10*time.Minute)
	if third, err := k.patch(id); err != nil || third == first || k.fingerprint() != 2 || len(k.cloud.projects["shop"].data.requests) != 1 {
		t.Errorf("after the operation is forgotten: %q, %v, patched %d times", third, err, k.fingerprint())
	}
	k.world.Clock.Advance(operationsKept + 10*time.Minute)
	if left := k.cloud.projects["shop"].data.requests; len(left) != 0 {
		t.Errorf("%d request ids are kept", len(left))
	}
}

// TestImpersonation uses a token of a service account until its end.
func TestImpersonation(t *testing.T) {
	k := newKernel(t, Options{})
	const email = "deployer@shop.iam.gserviceaccount.com"
	k.cloud.SeedServiceAccount("shop", email)
	client, err := credentials.NewIamCredentialsRESTClient(t.Context(), k.options("secret")...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ask := func(email string) (*credentialspb.GenerateAccessTokenResponse, error) {
		return client.GenerateAccessToken(t.Context(), &credentialspb.GenerateAccessTokenRequest{
			Name: "projects/-/serviceAccounts/" + email, Scope: []string{"https://www.googleapis.com/auth/cloud-platform"},
		}, once)
	}
	if _, err := ask("nobody@shop.iam.gserviceaccount.com"); tell(err) != (told{403, "", "IAM_PERMISSION_DENIED"}) {
		t.Errorf("an unknown account: %v", err)
	}
	token, err := ask(email)
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(token.ExpireTime.AsTime()); life < 59*time.Minute || life > time.Hour {
		t.Errorf("the token lives %v", life)
	}
	if event := k.last(); event.Write || event.Effect || event.Service != "iamcredentials" {
		t.Errorf("recorded as %+v", event)
	}
	maps, _ := k.clients(token.AccessToken)
	if _, err := k.get(maps, "shop"); err != nil {
		t.Fatal(err)
	}
	if event := k.last(); event.Principal != email || event.Account != "gcp-sim" {
		t.Errorf("recorded as %+v", event)
	}
	k.cloud.mu.Lock()
	who := k.cloud.tokens[token.AccessToken]
	who.expires = time.Now().Add(-time.Second)
	k.cloud.tokens[token.AccessToken] = who
	k.cloud.mu.Unlock()
	if _, err := k.get(maps, "shop"); tell(err).status != http.StatusUnauthorized {
		t.Errorf("after its end: %v", err)
	}
}

// TestPages walks a list that changes on the way.
func TestPages(t *testing.T) {
	all := []int{1, 2, 3, 4, 5}
	first, token, refusal := page(all, "", 0, 2)
	if refusal != nil || len(first) != 2 || token == "" {
		t.Fatalf("the first page is %v %q %v", first, token, refusal)
	}
	if one, _, _ := page(all, "", 1, 2); len(one) != 1 {
		t.Errorf("asked for one, got %v", one)
	}
	rest, token, refusal := page(all[:1], token, 500, 2)
	if refusal != nil || len(rest) != 0 || token != "" {
		t.Errorf("behind the end there is %v %q %v", rest, token, refusal)
	}
	if _, _, refusal := page(all, "page-x", 0, 2); refusal == nil {
		t.Error("a malformed token is accepted")
	}
}
