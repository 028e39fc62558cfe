package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// defaultViewsFor is shorter than a person needs to look again, and long enough
	// for the parts of one page to be read once.
	defaultViewsFor = 2 * time.Second
	// maxViews bounds how many answers are kept at once.
	maxViews = 1024
)

// views keeps what was read from the clouds for a moment, and lets those who ask
// for the same at the same time share one read. What is kept belongs to nobody:
// the access rule is applied before it is looked up or, where only the answer
// tells which application it is about, before any of it is used. Errors are shared
// by those who wait, and not kept.
type views[T any] struct {
	// keepFor is how old an answer may be, counted from the beginning of its read;
	// nothing is kept when it is negative.
	keepFor time.Duration
	now     func() time.Time
	flights singleflight.Group

	mu   sync.Mutex
	kept map[string]view[T]
}

type view[T any] struct {
	value T
	begun time.Time
}

func newViews[T any](keepFor time.Duration, now func() time.Time) *views[T] {
	return &views[T]{keepFor: keepFor, now: now, kept: map[string]view[T]{}}
}

// get returns the kept answer, or that of a read. With anew it is always that of
// a read which began after the call. The read goes on without a caller who
// leaves, since others may wait for it, for at most observeTimeout.
func (v *views[T]) get(ctx context.Context, key string, anew bool, read func(context.Context) (T, error)) (T, error) {
	if anew {
		return v.read(ctx, key, read)
	}
	if value, ok := v.find(key); ok {
		return value, nil
	}
	flight := v.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), observeTimeout)
		defer cancel()
		return v.read(ctx, key, read)
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case result := <-flight:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

func (v *views[T]) read(ctx context.Context, key string, read func(context.Context) (T, error)) (T, error) {
	begun := v.now()
	value, err := read(ctx)
	if err == nil {
		v.keep(key, view[T]{value, begun})
	}
	return value, err
}

func (v *views[T]) find(key string) (value T, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.kept[key]
	if !ok || v.now().Sub(found.begun) >= v.keepFor {
		var none T
		return none, false
	}
	return found.value, true
}

// keep forgets what is too old and, when there is still no room, the oldest. A
// read that began before the kept one does not replace it.
func (v *views[T]) keep(key string, new view[T]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	maps.DeleteFunc(v.kept, func(_ string, old view[T]) bool { return now.Sub(old.begun) >= v.keepFor })
	old, has := v.kept[key]
	if v.keepFor <= 0 || has && old.begun.After(new.begun) {
		return
	}
	if !has && len(v.kept) >= maxViews {
		delete(v.kept, slices.MinFunc(slices.Collect(maps.Keys(v.kept)), func(a, b string) int {
			return cmp.Or(v.kept[a].begun.Compare(v.kept[b].begun), cmp.Compare(a, b))
		}))
	}
	v.kept[key] = new
}
