package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	for _, row := range []struct {
		in   series
		want string
	}{
		{nil, "-"}, {series{7}, "7.00"}, {series{30, 10, 20}, "20.0"}, {series{100, 400, 200, 300}, "250"},
	} {
		if got := row.in.String(); got != row.want {
			t.Errorf("%v reads %q, want %q", []float64(row.in), got, row.want)
		}
	}
	if got := (series{}).median(); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestAgainst(t *testing.T) {
	for _, row := range []struct {
		in, base series
		want     string
	}{
		{nil, series{1}, "-"}, {series{1}, nil, "-"},
		{series{3}, series{4}, "0.75"},
		{series{2, 4, 9}, series{2, 2, 3}, "2.00 (1.00-3.00)"},
	} {
		if got := row.in.against(row.base); got != row.want {
			t.Errorf("%v against %v reads %q, want %q", []float64(row.in), []float64(row.base), got, row.want)
		}
	}
}

func TestParseMemory(t *testing.T) {
	const rollup = `00400000-7ffc5d1f0000 ---p 00000000 00:00 0                              [rollup]
Rss:               42900 kB
Pss:               41500 kB
Pss_Dirty:         11000 kB
Anonymous:         11400 kB
LazyFree:              0 kB
`
	got, err := parseMemory(rollup)
	if want := (memory{resident: 42900, proportional: 41500, anonymous: 11400}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, broken := range []string{"", strings.Replace(rollup, "Pss:", "Pas:", 1), strings.Replace(rollup, "42900", "much", 1)} {
		if _, err := parseMemory(broken); err == nil {
			t.Errorf("no error for %q", broken)
		}
	}
}

func TestReadMemoryOfThisProcess(t *testing.T) {
	m, err := readMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if m.anonymous <= 0 || m.resident < m.anonymous || m.resident < m.proportional {
		t.Errorf("got %+v", m)
	}
}

func TestSteady(t *testing.T) {
	level := slices.Repeat([]int{5000}, settleReadings)
	for _, row := range []struct {
		in   []int
		want bool
	}{
		{nil, false}, {level[1:], false}, {level, true},
		{append([]int{90000}, level...), true}, // it was more once
		{append(level[1:], 5000+settleSpan), true},
		{append(level[1:], 5001+settleSpan), false},
	} {
		if got := steady(row.in); got != row.want {
			t.Errorf("steady(%v) is %v", row.in, got)
		}
	}
}

func TestChoose(t *testing.T) {
	all := subjects()
	for _, row := range []struct{ names, want string }{
		{"", "slipwayd worker api server workeraws workergcp workerbare"},
		{"api", "slipwayd api server"},
		{"worker,api", "slipwayd worker api server"},
		{"slipwayd", "slipwayd server"},
	} {
		got, err := choose(slices.Clone(all), row.names)
		if err != nil || names(got) != row.want {
			t.Errorf("choose %q: got %q, %v; want %q", row.names, names(got), err, row.want)
		}
	}
	if _, err := choose(all, "worker,wrong"); err == nil || !strings.Contains(err.Error(), `"wrong"`) {
		t.Errorf("error of an unknown name is %v", err)
	}
}

func names(all []subject) string {
	var out []string
	for _, s := range all {
		out = append(out, s.name)
	}
	return strings.Join(out, " ")
}

func TestByModule(t *testing.T) {
	packages := []linked{{"fmt", standard}, {"a.org/x", "a.org/x"}, {"a.org/x/y", "a.org/x"}}
	functions := []function{{"fmt.Print", "fmt", 5}, {"a.org/x.F", "a.org/x", 10}, {"a.org/x/y.G", "a.org/x/y", 20}, {"type:.eq.z", "", 1}}
	did := []action{{"build", "fmt", 3 * time.Second, time.Second}, {"link", "fmt", time.Hour, 0}, {"build", "a.org/x/y", time.Second, 0}}
	got := byModule(packages, functions, did)
	want := []part{{"a.org/x", 2, 30, time.Second}, {standard, 1, 5, 4 * time.Second}, {"of no package", 0, 1, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDominant(t *testing.T) {
	parts := []part{{"large", 1, 9, 0}, {"both", 1, 8, 7 * time.Second}, {"neither", 2, 3, time.Second}, {"slow", 1, 2, 8 * time.Second}, {"small", 4, 1, 0}}
	for _, row := range []struct {
		n           int
		named, rest part
	}{
		{2, part{"", 3, 19, 15 * time.Second}, part{"", 6, 4, time.Second}},
		{9, part{"", 9, 23, 16 * time.Second}, part{}},
	} {
		named, rest := dominant(parts, row.n)
		if got := sum("", named); got != row.named {
			t.Errorf("%d of each: named %+v, want the sum %+v", row.n, named, row.named)
		}
		if got := sum("", rest); got != row.rest {
			t.Errorf("%d of each: rest %+v, want the sum %+v", row.n, rest, row.rest)
		}
	}
}

func TestOperations(t *testing.T) {
	const client = "a.org/sdk.(*Client)"
	var functions []function
	for _, name := range []string{client + ".Read", client + ".Write", client + ".Write.func1", client + ".Write-fm", client + ".invoke", client + "Pool.Get", "a.org/sdk.New"} {
		functions = append(functions, function{name: name})
	}
	if got := operations(functions, client); got != 2 {
		t.Errorf("got %d operations, want Read and Write", got)
	}
}

func TestReadFunctions(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	functions, err := readFunctions(self)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(functions, func(f function) bool { return strings.HasSuffix(f.name, "footprint.TestReadFunctions") })
	if at < 0 || functions[at].size == 0 || functions[at].folder != "github.com/slipway-cd/slipway/internal/footprint" {
		t.Errorf("this test is not among %d functions as it should be", len(functions))
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFunctions(broken); err == nil {
		t.Error("no error for a file that is no binary")
	}
}

func TestReadActions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "actions")
	const graph = `[{"ID":0,"Mode":"build","Package":"fmt","CmdReal":5000000,"CmdUser":3000000,"CmdSys":1000000}]`
	if err := os.WriteFile(path, []byte(graph), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readActions(path)
	if want := []action{{"build", "fmt", 3 * time.Millisecond, time.Millisecond}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
