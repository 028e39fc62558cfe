package wirefaults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// stepper is the clock of a world whose time stands still but for those who sleep.
// While one does, time passes in steps, and at each a request goes to the load
// balancer.
type stepper struct {
	*simcloud.Clock
	world *simcloud.World
	url   string
	// reusing keeps its connections, fresh opens one for each request.
	reusing, fresh *http.Client
	// borne is how many of those sent failed because the version of that name fails
	// some, failed how many for any other reason.
	brokenVersion       string
	sent, borne, failed int
	// failure is the first of the failed.
	failure string
}

// step is the simulated time between two requests.
const step = time.Second

func newStepper(world *simcloud.World, url string) *stepper {
	return &stepper{Clock: world.Clock, world: world, url: url,
		reusing: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}},
		fresh:   &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// warmUp lets the seeded instances run until all that watches them has seen them
// healthy. It ends at the same second of a minute each time: metrics and request limits
// go by minutes.
func (s *stepper) warmUp(ctx context.Context) error {
	s.Advance(s.Now().Truncate(time.Minute).Add(time.Minute).Sub(s.Now()))
	return s.Sleep(ctx, 10*time.Second)
}

// Sleep lets time pass, until ctx ends.
func (s *stepper) Sleep(ctx context.Context, d time.Duration) error {
	for until := s.Now().Add(d); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := until.Sub(s.Now())
		if left <= 0 {
			return nil
		}
		s.Advance(min(left, step))
		s.settle(ctx)
		s.request()
	}
}

// settle waits for the health checks that have become due.
func (s *stepper) settle(ctx context.Context) {
	for !s.world.Quiet() && ctx.Err() == nil {
		time.Sleep(50 * time.Microsecond)
	}
}

// request is one of a user: half of them come on a connection of their own.
func (s *stepper) request() {
	client := s.reusing
	if s.sent%2 == 1 {
		client = s.fresh
	}
	s.sent++
	switch version, err := ask(client, s.url); {
	case err == nil:
	case version != "" && version == s.brokenVersion:
		s.borne++
	default:
		if s.failed++; s.failed == 1 {
			s.failure = s.Now().Format("15:04:05.0 ") + err.Error()
		}
	}
}

// ask makes one request. It returns the version that answered, if one did.
func ask(client *http.Client, url string) (version string, err error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	if answer.StatusCode/100 != 2 {
		err = fmt.Errorf("answered %s", answer.Status)
	}
	return answer.Header.Get("X-Version"), err
}

func (s *stepper) close() {
	s.reusing.CloseIdleConnections()
	s.fresh.CloseIdleConnections()
}
