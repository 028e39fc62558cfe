package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/internal/loadgen"
)

func TestCountsFailuresAndVersions(t *testing.T) {
	var n atomic.Int64
	enough := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen := n.Add(1)
		if seen == 200 {
			close(enough)
		}
		if seen%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"version":"1.0"}`)
	}))
	defer server.Close()
	load, err := loadgen.Start(context.Background(), loadgen.Config{URL: server.URL, Rate: 500, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("fewer than 200 requests came within 20 s")
	}
	got := load.Stop()
	if want := got.Sent / 10; got.Failed != want || len(got.Failures) == 0 {
		t.Errorf("%d of %d failed, want %d", got.Failed, got.Sent, want)
	}
	if got.ByVersion["1.0"] != got.Sent-got.Failed {
		t.Errorf("by version %v, sent %d, failed %d", got.ByVersion, got.Sent, got.Failed)
	}
}

func TestRefusesOtherMachines(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1/", "http://example.com/", "http://0.0.0.0:80/"} {
		if _, err := loadgen.Start(context.Background(), loadgen.Config{URL: url, Rate: 1}); err == nil {
			t.Errorf("load to %s was not refused", url)
		}
	}
}
