package api

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// counter is a read that answers with how often it was made.
type counter struct{ reads atomic.Int64 }

func (c *counter) read(context.Context) (int64, error) { return c.reads.Add(1), nil }

func TestViewsAgeFromTheBeginningOfTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViews[int64](2*time.Second, time.Now)
		var c counter
		slow := func(ctx context.Context) (int64, error) {
			time.Sleep(1500 * time.Millisecond)
			return c.read(ctx)
		}
		for _, step := range []struct {
			after time.Duration
			anew  bool
			want  int64
		}{{0, false, 1}, {400 * time.Millisecond, false, 1}, {200 * time.Millisecond, false, 2}, {0, true, 3}, {0, false, 3}} {
			time.Sleep(step.after)
			if got, err := v.get(t.Context(), "key", step.anew, slow); err != nil || got != step.want {
				t.Fatalf("answer of read %d, %v; want that of read %d", got, err, step.want)
			}
		}
	})
}

// TestViewsShareAReadAndOutliveItsCaller: twenty ask while one read is under way;
// the one whose request began it goes, and the others have their answer.
func TestViewsShareAReadAndOutliveItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViews[int64](-1, time.Now)
		var c counter
		slow := func(ctx context.Context) (int64, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Second):
				return c.read(ctx)
			}
		}
		first, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := v.get(first, "key", false, slow); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			all.Go(func() {
				if got, err := v.get(t.Context(), "key", false, slow); err != nil || got != 1 {
					t.Errorf("got the answer of read %d, %v", got, err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if n := c.reads.Load(); n != 1 {
			t.Errorf("%d reads, want 1", n)
		}
	})
}

func TestViewsKeepNoErrors(t *testing.T) {
	v := newViews[int64](time.Hour, time.Now)
	broken := errors.New("the cloud says no")
	if _, err := v.get(t.Context(), "key", false, func(context.Context) (int64, error) { return 7, broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	var c counter
	if got, err := v.get(t.Context(), "key", false, c.read); err != nil || got != 1 {
		t.Errorf("after an error: %d, %v", got, err)
	}
}

// TestViewsAreBounded: the oldest go first, and a kept answer is never one for
// another key or older than it may be.
func TestViewsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		v := newViews[string](time.Minute, func() time.Time { return now })
		read := map[string]time.Time{}
		for range rapid.IntRange(1, 200).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			for n := range rapid.IntRange(1, 200).Draw(t, "keys") {
				key := strconv.Itoa(n * rapid.SampledFrom([]int{1, 7, 1009}).Draw(t, "step"))
				got, err := v.get(context.Background(), key, false, func(context.Context) (string, error) {
					read[key] = now
					return key, nil
				})
				if err != nil || got != key || now.Sub(read[key]) >= time.Minute {
					t.Fatalf("%s answered %q, %v, %s old", key, got, err, now.Sub(read[key]))
				}
			}
			if len(v.kept) > maxViews {
				t.Fatalf("%d answers are kept", len(v.kept))
			}
		}
	})
	now := time.Unix(0, 0)
	v := newViews[int](time.Hour, func() time.Time { now = now.Add(time.Millisecond); return now })
	for n := range maxViews + 5 {
		if _, err := v.get(t.Context(), strconv.Itoa(n), false, func(context.Context) (int, error) { return n, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]bool{0: false, 4: false, 5: true, maxViews + 4: true} {
		if _, ok := v.find(strconv.Itoa(n)); ok != want {
			t.Errorf("answer %d is kept: %v, want %v", n, ok, want)
		}
	}
}
