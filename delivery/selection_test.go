package delivery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestParseSelection(t *testing.T) {
	words := map[string]delivery.Selection{
		"current": delivery.SelectCurrent, "newest": delivery.SelectCurrent, "previous": delivery.SelectPrevious, "ancestor": delivery.SelectPrevious,
		"oldest": delivery.SelectOldest, "largest": delivery.SelectLargest, "fail": delivery.SelectOnly,
	}
	for word, want := range words {
		for _, suffix := range []string{"", "_asg", "_asg_dynamic", "_ASG_Dynamic"} {
			for _, form := range []string{word + suffix, strings.ToUpper(word + suffix)} {
				if got, err := delivery.ParseSelection(form); err != nil || got != want {
					t.Errorf("%s is read as %q, %v; want %q", form, got, err, want)
				}
			}
		}
	}
	for _, word := range []string{"", "_asg", "_asg_dynamic", "newer", "current_asg_asg", "current_dynamic", "current ", "current_asg_dynamic_asg"} {
		got, err := delivery.ParseSelection(word)
		findings := delivery.FindingsOf(err)
		if delivery.KindOf(err) != delivery.Invalid || len(findings) != 1 || findings[0].Pointer != "/target" {
			t.Errorf("%q is read as %q, %v", word, got, err)
		}
	}
}

// TestSameCreationTime: of groups that the cloud stamps alike, the one with the higher
// number is the newer, whoever asks.
func TestSameCreationTime(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	seen := delivery.Snapshot{Groups: []delivery.ServerGroup{
		{Name: "shop-v001", Sequence: 1, CreatedAt: at, Capacity: delivery.Pinned(1)}, {Name: "shop-v002", Sequence: 2, CreatedAt: at, Capacity: delivery.Pinned(1)}}}
	current, err := seen.Select(delivery.SelectCurrent, delivery.SelectOptions{})
	if newest, _ := seen.Numbers(); err != nil || newest != 2 || current.Name != "shop-v002" || seen.NewestServing().Name != current.Name {
		t.Errorf("newest %d, current %s, newest serving %s, %v", newest, current.Name, seen.NewestServing().Name, err)
	}
}

func TestSelect(t *testing.T) {
	seen := delivery.Snapshot{
		Cluster: delivery.Cluster{Account: "prod", Region: "us-east-1", Moniker: delivery.Moniker{App: "shop"}},
		Groups: []delivery.ServerGroup{
			groupOf(1, 30, 1, "a"),   // newest: the numbers began again
			groupOf(998, 10, 3, "a"), // oldest and largest
			groupOf(999, 20, 3, "b"),
		},
		Routing: &delivery.Routing{Weights: []delivery.Weight{{ServerGroup: "shop-v998", Percent: 40}, {ServerGroup: "shop-v999", Percent: 60}}},
	}
	one := delivery.Snapshot{Cluster: seen.Cluster, Groups: seen.Groups[:1]}
	leaving := delivery.Snapshot{Cluster: seen.Cluster, Groups: slices.Clone(seen.Groups)}
	leaving.Groups[0].Deleting = true
	leaving.Groups[1].Complete, leaving.Groups[1].Capacity, leaving.Groups[1].Instances = false, delivery.Capacity{}, nil
	empty := delivery.Snapshot{Cluster: seen.Cluster}
	enabled := delivery.SelectOptions{OnlyEnabled: true}
	tests := map[string]struct {
		seen    delivery.Snapshot
		which   delivery.Selection
		options delivery.SelectOptions
		want    string // a name, or a part of the error
	}{
		"current":                      {seen, delivery.SelectCurrent, delivery.SelectOptions{}, "shop-v001"},
		"current enabled":              {seen, delivery.SelectCurrent, enabled, "shop-v999"},
		"previous":                     {seen, delivery.SelectPrevious, delivery.SelectOptions{}, "shop-v999"},
		"previous enabled":             {seen, delivery.SelectPrevious, enabled, "shop-v998"},
		"oldest":                       {seen, delivery.SelectOldest, delivery.SelectOptions{}, "shop-v998"},
		"largest is the newest of two": {seen, delivery.SelectLargest, delivery.SelectOptions{}, "shop-v999"},
		"largest of a zone":            {seen, delivery.SelectLargest, delivery.SelectOptions{Zone: "a"}, "shop-v998"},
		"fail with three":              {seen, delivery.SelectOnly, delivery.SelectOptions{}, "more than one, shop-v001 and shop-v999"},
		"fail with one of the zone":    {seen, delivery.SelectOnly, delivery.SelectOptions{Zone: "b"}, "shop-v999"},
		"fail with one":                {one, delivery.SelectOnly, delivery.SelectOptions{}, "shop-v001"},
		"previous of one":              {one, delivery.SelectPrevious, delivery.SelectOptions{}, "it has 1 such server groups, and 2 are needed"},
		"oldest of one":                {one, delivery.SelectOldest, delivery.SelectOptions{}, "it has 1 such server groups, and 2 are needed"},
		"oldest of one is allowed":     {one, delivery.SelectOldest, delivery.SelectOptions{LoneOldest: true}, "shop-v001"},
		"what goes is left out":        {leaving, delivery.SelectOnly, delivery.SelectOptions{}, "shop-v999"},
		"of none":                      {empty, delivery.SelectCurrent, delivery.SelectOptions{}, "unable to find target current of cluster prod/us-east-1/shop"},
		"nobody's word":                {seen, "youngest", delivery.SelectOptions{}, `no selection "youngest"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.seen.Select(tt.which, tt.options)
			if err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && got.Name != tt.want {
				t.Errorf("got %s, %v; want %s", got.Name, err, tt.want)
			}
		})
	}
}

func groupOf(sequence, created, instances int, zone string) delivery.ServerGroup {
	g := delivery.ServerGroup{Name: delivery.Moniker{App: "shop"}.ServerGroup(sequence), Sequence: sequence, Complete: true,
		CreatedAt: time.Unix(int64(created), 0), Capacity: delivery.Pinned(instances)}
	for range instances {
		g.Instances = append(g.Instances, delivery.Instance{Zone: zone})
	}
	return g
}

func drawSelectable(t *rapid.T) delivery.Snapshot {
	seen := delivery.Snapshot{Cluster: delivery.Cluster{Moniker: delivery.Moniker{App: "shop"}}}
	sequences := rapid.SliceOfNDistinct(rapid.IntRange(0, delivery.MaxSequence), 0, 6, rapid.ID[int]).Draw(t, "sequences")
	for _, n := range sequences {
		g := groupOf(n, rapid.IntRange(0, 4).Draw(t, "created"), rapid.IntRange(0, 3).Draw(t, "instances"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone"))
		g.Complete, g.Deleting = rapid.Bool().Draw(t, "complete"), rapid.Bool().Draw(t, "deleting")
		seen.Groups = append(seen.Groups, g)
	}
	if rapid.Bool().Draw(t, "routed") {
		seen.Routing = &delivery.Routing{}
		for _, g := range seen.Groups {
			if rapid.Bool().Draw(t, "known") {
				seen.Routing.Weights = append(seen.Routing.Weights, delivery.Weight{ServerGroup: g.Name, Percent: rapid.IntRange(0, 50).Draw(t, "percent")})
			}
		}
	}
	return seen
}

func drawOptions(t *rapid.T) delivery.SelectOptions {
	return delivery.SelectOptions{OnlyEnabled: rapid.Bool().Draw(t, "only enabled"), LoneOldest: rapid.Bool().Draw(t, "lone oldest"),
		Zone: rapid.SampledFrom([]string{"", "a"}).Draw(t, "zone wanted")}
}

// without is the snapshot after a group went.
func without(seen delivery.Snapshot, name string) delivery.Snapshot {
	seen.Groups = slices.DeleteFunc(slices.Clone(seen.Groups), func(g delivery.ServerGroup) bool { return g.Name == name })
	return seen
}

// TestSelectionsAgree holds the rules that tie the selections to each other,
// whatever the groups are and in whichever order they are listed.
func TestSelectionsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen, o := drawSelectable(t), drawOptions(t)
		get := func(s delivery.Snapshot, which delivery.Selection) string {
			g, err := s.Select(which, o)
			if err != nil && (delivery.KindOf(err) != delivery.NotFound || g.Name != "") {
				t.Fatalf("%s: %s, %v", which, g.Name, err)
			}
			return g.Name
		}
		current := get(seen, delivery.SelectCurrent)
		rest := without(seen, current)
		if previous := get(seen, delivery.SelectPrevious); previous != get(rest, delivery.SelectCurrent) {
			t.Fatalf("previous is %q, and %q is the newest of the others", previous, get(rest, delivery.SelectCurrent))
		}
		alone := current != "" && get(rest, delivery.SelectCurrent) == ""
		if only := get(seen, delivery.SelectOnly); (only != "") != alone || alone && only != current {
			t.Fatalf("fail finds %q; alone: %v", only, alone)
		}
		oldest := get(seen, delivery.SelectOldest)
		if want := current != "" && (!alone || o.LoneOldest); (oldest != "") != want {
			t.Fatalf("oldest is %q; wanted one: %v", oldest, want)
		}
		if oldest != "" && !alone && oldest == current {
			t.Fatalf("%s is the newest and the oldest of several", oldest)
		}
		shuffled := seen
		shuffled.Groups = rapid.Permutation(seen.Groups).Draw(t, "order")
		for _, which := range []delivery.Selection{delivery.SelectCurrent, delivery.SelectPrevious, delivery.SelectOldest, delivery.SelectLargest, delivery.SelectOnly} {
			if a, b := get(seen, which), get(shuffled, which); a != b {
				t.Fatalf("%s is %q or %q, by the order of the list", which, a, b)
			}
		}
	})
}

// TestSelectedFits: what is selected is whole, fits the options, and nothing that
// does is newer, older or larger.
func TestSelectedFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seen, o := drawSelectable(t), drawOptions(t)
		before := cmp.Diff(delivery.Snapshot{}, seen)
		fits := func(g delivery.ServerGroup) bool {
			return !g.Deleting && (g.Complete || g.Capacity.Max > 0) && (!o.OnlyEnabled || seen.Serving(g.Name)) &&
				(o.Zone == "" || slices.ContainsFunc(g.Instances, func(i delivery.Instance) bool { return i.Zone == o.Zone }))
		}
		beats := map[delivery.Selection]func(other, chosen delivery.ServerGroup) bool{
			delivery.SelectCurrent: func(a, b delivery.ServerGroup) bool { return a.CreatedAt.After(b.CreatedAt) },
			delivery.SelectOldest:  func(a, b delivery.ServerGroup) bool { return a.CreatedAt.Before(b.CreatedAt) },
			delivery.SelectLargest: func(a, b delivery.ServerGroup) bool {
				return len(a.Instances) > len(b.Instances) || len(a.Instances) == len(b.Instances) && a.CreatedAt.After(b.CreatedAt)
			},
			delivery.SelectPrevious: func(delivery.ServerGroup, delivery.ServerGroup) bool { return false },
			delivery.SelectOnly:     func(delivery.ServerGroup, delivery.ServerGroup) bool { return true },
		}
		for which, beaten := range beats {
			chosen, err := seen.Select(which, o)
			if err != nil {
				continue
			}
			if !fits(chosen) {
				t.Fatalf("%s is %+v, which does not fit %+v", which, chosen, o)
			}
			for _, g := range seen.Groups {
				if g.Name != chosen.Name && fits(g) && beaten(g, chosen) {
					t.Fatalf("%s is %s, though there is %s", which, chosen.Name, g.Name)
				}
			}
		}
		if after := cmp.Diff(delivery.Snapshot{}, seen); after != before {
			t.Fatal("the snapshot was changed")
		}
	})
}
