package storetest

import (
	"time"

	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func sequences(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	const key = "aws-sim/us-east-1/storefront-prod"
	for i, row := range []struct {
		name       string
		cluster    string
		deployment delivery.DeploymentID
		floor      int
		taken      []int
		want       int
	}{
		{"no group yet", key, "a", -1, nil, 0},
		{"repeated", key, "a", 77, []int{0}, 0},
		{"after the earlier one", key, "b", -1, nil, 1},
		{"after the observed one", key, "c", 7, []int{7}, 8},
		{"not one that is taken", key, "d", 7, []int{9, 10}, 11},
		{"another cluster", "aws-sim/us-west-2/storefront-prod", "a", 0, []int{0}, 1},
		{"the last", key, "e", 998, []int{998}, 999},
		{"starts again", key, "f", 999, []int{999}, 0},
		{"an old high number does not count", key, "g", 999, []int{999, 0}, 1},
		{"skips what is left from before", key, "h", 1, []int{1, 2, 3}, 4},
	} {
		next, err := s.NextSequence(ctx, row.cluster, row.floor, row.taken)
		noError(t, err)
		if next != row.want && row.name != "repeated" {
			t.Fatalf("row %d (%s): next number %d, want %d", i, row.name, next, row.want)
		}
		got, err := s.AllocateSequence(ctx, row.cluster, row.deployment, row.floor, row.taken)
		noError(t, err)
		if got != row.want {
			t.Fatalf("row %d (%s): number %d, want %d", i, row.name, got, row.want)
		}
	}
	all := []int{}
	for n := range delivery.MaxSequence + 1 {
		all = append(all, n)
	}
	_, err := s.AllocateSequence(ctx, key, "z", 4, all)
	kind(t, delivery.Quota, err)
	_, err = s.NextSequence(ctx, key, 4, all)
	kind(t, delivery.Quota, err)
}

func sequencesAtOnce(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	type result struct {
		number int
		err    error
	}
	results := atOnce(200, func(i int) result { // each of 50 deployments asks four times
		n, err := s.AllocateSequence(ctx, "c", delivery.DeploymentID(fmt.Sprint(i%50)), 4, []int{4})
		return result{n, err}
	})
	numbers := []int{}
	for i, r := range results {
		noError(t, r.err)
		same(t, r.number, results[i%50].number)
		numbers = append(numbers, r.number)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	if len(numbers) != 50 || numbers[0] != 5 || numbers[49] != 54 {
		t.Fatalf("50 deployments got %v, want each of 5 to 54", numbers)
	}
}

func sequenceProperties(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	cluster := 0
	rapid.Check(t, func(t *rapid.T) {
		cluster++
		key := fmt.Sprint(cluster)
		given := map[delivery.DeploymentID]int{}
		highest := -1
		for i := range rapid.IntRange(1, 20).Draw(t, "calls") {
			deployment := delivery.DeploymentID(fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "deployment")))
			taken := rapid.SliceOfN(rapid.IntRange(0, 40), 0, 10).Draw(t, "taken")
			floor := -1
			if len(taken) > 0 {
				floor = slices.Max(taken)
			}
			got, err := s.AllocateSequence(ctx, key, deployment, floor, taken)
			if err != nil {
				t.Fatal(err)
			}
			if before, again := given[deployment]; again {
				if got != before {
					t.Fatalf("call %d: %s had %d and got %d", i, deployment, before, got)
				}
				continue
			}
			if got <= highest || got <= floor || slices.Contains(taken, got) {
				t.Fatalf("call %d: got %d after %d with floor %d and taken %v", i, got, highest, floor, taken)
			}
			given[deployment], highest = got, got
		}
	})
}

func fences(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	read := func(want int64) {
		t.Helper()
		got, err := s.Fence(ctx, "c")
		noError(t, err)
		same(t, got, want)
	}
	next := func(cluster, holder string, want int64) {
		t.Helper()
		got, err := s.NextFence(ctx, cluster, holder)
		noError(t, err)
		same(t, got, want)
	}
	read(0)
	next("c", "one", 1)
	next("c", "two", 2)
	next("c", "one", 1) // an old holder that asks again stays old
	next("other", "three", 1)
	read(2)

	type result struct {
		fence int64
		err   error
	}
	tokens := map[int64]int{}
	for i, r := range atOnce(100, func(i int) result {
		f, err := s.NextFence(ctx, "c", fmt.Sprint("holder ", i%25))
		return result{f, err}
	}) {
		noError(t, r.err)
		if holder, used := tokens[r.fence]; used && holder != i%25 {
			t.Fatalf("holders %d and %d share token %d", holder, i%25, r.fence)
		}
		tokens[r.fence] = i % 25
	}
	same(t, len(tokens), 25)
	read(27)
}

func responses(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	_, err := s.Response(ctx, "POST /tasks joe", "k", "h1")
	kind(t, delivery.NotFound, err)
	first := delivery.StoredResponse{RequestHash: "h1", Status: 200, Body: []byte(`{"ref":"/tasks/1"}`)}
	kept, err := s.RememberResponse(ctx, "POST /tasks joe", "k", first)
	noError(t, err)
	same(t, kept, first)
	second := first
	second.Body = []byte(`{"ref":"/tasks/2"}`)
	kept, err = s.RememberResponse(ctx, "POST /tasks joe", "k", second)
	noError(t, err)
	same(t, kept, first)
	kept, err = s.Response(ctx, "POST /tasks joe", "k", "h1")
	noError(t, err)
	same(t, kept, first)
	_, err = s.Response(ctx, "POST /tasks joe", "k", "h2")
	kind(t, delivery.Invalid, err)
	_, err = s.Response(ctx, "POST /tasks ann", "k", "h1")
	kind(t, delivery.NotFound, err)
	bodiless := delivery.StoredResponse{RequestHash: "h1", Status: 202}
	kept, err = s.RememberResponse(ctx, "POST /tasks ann", "k", bodiless)
	noError(t, err)
	same(t, kept, bodiless)
	forgotten, err := s.ForgetResponses(ctx, time.Now().Add(-time.Hour))
	noError(t, err)
	same(t, forgotten, 0)
	forgotten, err = s.ForgetResponses(ctx, time.Now().Add(time.Second))
	noError(t, err)
	same(t, forgotten, 2)
	_, err = s.Response(ctx, "POST /tasks joe", "k", "h1")
	kind(t, delivery.NotFound, err)
}
