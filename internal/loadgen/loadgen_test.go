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
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
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
	deadline := time.Now().Add(20 * time.Second)
	for load.Snapshot().Sent < 200 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
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
