package rollout_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func TestParseStrategy(t *testing.T) {
	defaults := rollout.Strategy{MaxSurge: rollout.Percentage(25), HealthTimeout: rollout.DefaultHealthTimeout, Deadline: rollout.DefaultDeadline, Concurrency: rollout.Queue}
	with := func(change func(*rollout.Strategy)) rollout.Strategy {
		s := defaults
		change(&s)
		return s
	}
	for _, test := range []struct {
		name, in string
		want     rollout.Strategy
	}{
		{"nothing is none", `{}`, with(func(s *rollout.Strategy) { s.Kind = rollout.None })},
		{"rolling keeps one old group", `{"strategy":"rolling"}`,
			with(func(s *rollout.Strategy) { s.Kind, s.MaxRemaining = rollout.Rolling, 2 })},
		{"numbers and percentages", `{"strategy":"Rolling","maxSurge":"10%","maxUnavailable":2,"pauseBetweenBatches":30,"maxRemainingAsgs":3}`,
			with(func(s *rollout.Strategy) {
				s.Kind, s.MaxRemaining = rollout.Rolling, 3
				s.MaxSurge, s.MaxUnavailable = rollout.Percentage(10), rollout.Instances(2)
				s.PauseBetweenBatches = 30 * time.Second
			})},
		{"unavailable alone means no surge", `{"strategy":"rolling","maxUnavailable":1}`,
			with(func(s *rollout.Strategy) {
				s.Kind, s.MaxRemaining = rollout.Rolling, 2
				s.MaxSurge, s.MaxUnavailable = rollout.Instances(0), rollout.Instances(1)
			})},
		{"Spinnaker's rolling red/black", `{"strategy":"rollingredblack","targetPercentages":[25,50],"delayBeforeCleanup":120,"scaleDown":true,"delayBeforeScaleDownSec":60,"rollback":{"onFailure":false},
			"pipelineBeforeCleanup":{"application":"a","pipelineId":"p","pipelineParameters":{"x":1}}}`,
			with(func(s *rollout.Strategy) {
				s.Kind, s.TargetPercentages, s.ScaleDown, s.KeepOnFailure = rollout.RollingRedBlack, []int{25, 50, 100}, true, true
				s.PauseBetweenBatches, s.DelayBeforeScaleDown, s.MaxRemaining = 2*time.Minute, time.Minute, 2
				s.PipelineBeforeCleanup = &rollout.PipelineRef{Application: "a", PipelineID: "p", Parameters: json.RawMessage(`{"x":1}`)}
			})},
		{"a canary without its last step", `{"strategy":"canary","concurrency":"supersede","keepOldFor":60,"steps":[{"weight":5,"size":1,"bake":600}]}`,
			with(func(s *rollout.Strategy) {
				s.Kind, s.Concurrency, s.MaxRemaining = rollout.Canary, rollout.Supersede, 2
				s.Canary = []rollout.CanaryStep{{Weight: 5, Size: 1, Bake: 10 * time.Minute}, {Weight: 100}}
				s.ScaleDown, s.DelayBeforeScaleDown = true, time.Minute
			})},
		{"red/black is blue/green", `{"strategy":"redblack","delayBeforeDisableSec":5}`,
			with(func(s *rollout.Strategy) { s.Kind, s.DelayBeforeDisable = rollout.BlueGreen, 5*time.Second })},
		{"highlander keeps one", `{"strategy":"highlander"}`,
			with(func(s *rollout.Strategy) { s.Kind, s.MaxRemaining = rollout.Highlander, 1 })},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, findings := rollout.ParseStrategy(json.RawMessage(test.in))
			if len(findings) > 0 {
				t.Fatalf("findings: %v", findings)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseStrategyNamesTheField(t *testing.T) {
	for in, pointer := range map[string]string{
		`{"strategy":"yolo"}`: "/strategy",
		`{"strategy":"rolling","maxSurge":0,"maxUnavailable":0}`:     "/maxSurge",
		`{"strategy":"rolling","maxSurge":"lots"}`:                   "/maxSurge",
		`{"strategy":"rolling","maxSurge":-1}`:                       "/maxSurge",
		`{"strategy":"rolling","maxUnavailable":"101%"}`:             "/maxUnavailable",
		`{"strategy":"rolling","pauseBetweenBatches":-5}`:            "/pauseBetweenBatches",
		`{"strategy":"rolling","pauseBetweenBatches":"x"}`:           "/pauseBetweenBatches",
		`{"strategy":"rolling","maxRemainingAsgs":0}`:                "/maxRemainingAsgs",
		`{"strategy":"rollingredblack","targetPercentages":[50,20]}`: "/targetPercentages/1",
		`{"strategy":"rollingredblack","targetPercentages":[0]}`:     "/targetPercentages/0",
		`{"strategy":"rollingredblack","pipelineBeforeCleanup":{}}`:  "/pipelineBeforeCleanup/application",
		`{"strategy":"rolling","healthTimeoutSec":999999999}`:        "/healthTimeoutSec",
		`{"strategy":"rolling","rollback":{"onFailure":"yes"}}`:      "/rollback/onFailure",
		`{"strategy":"rollingredblack","targetPercentages":["a"]}`:   "/targetPercentages/0",
		`{"strategy":"rolling","concurrency":"parallel"}`:            "/concurrency",
		`{"strategy":7}`:                                                                             "/strategy",
		`{"strategy":"dark","match":{}}`:                                                             "/match",
		`{"strategy":"dark","match":{"header":"X-Canary"}}`:                                          "/match/value",
		`{"strategy":"dark","match":{"header":"X","cookie":"y","value":"z"}}`:                        "/match/cookie",
		`{"strategy":"dark","match":{"cookie":"a b","value":"z"}}`:                                   "/match/cookie",
		`{"strategy":"dark","match":"X-Canary"}`:                                                     "/match",
		`{"strategy":"dark","size":-1}`:                                                              "/size",
		`{"strategy":"dark","scaleDown":true}`:                                                       "/scaleDown",
		`{"strategy":"dark","checks":[{"name":"e","query":"errorRate","max":1}]}`:                    "/checks",
		`{"strategy":"canary","steps":[{"weight":5,"size":3},{"weight":20},{"weight":50,"size":2}]}`: "/steps/2/size",
		`{"strategy":"canary","steps":[{"weight":5}],"maxSurge":1}`:                                  "/maxSurge",
		`{"strategy":"bluegreen","maxUnavailable":0}`:                                                "/maxUnavailable",
		`{"strategy":"canary","steps":[{"weight":5,"bake":1}],"pauseBetweenBatches":5}`:              "/pauseBetweenBatches",
		`{"strategy":"highlander","pauseBetweenBatches":5}`:                                          "/pauseBetweenBatches",
		`{"maxSurge":1}`: "/maxSurge",
		`{"strategy":"rolling","match":{"header":"X","value":"y"}}`: "/match",
		`{"strategy":"canary","steps":[{"weight":5}],"size":2}`:     "/size",
	} {
		_, findings := rollout.ParseStrategy(json.RawMessage(in))
		if len(findings) == 0 || findings[0].Pointer != pointer {
			t.Errorf("%s: findings %v, want pointer %s", in, findings, pointer)
		}
	}
}

// TestParseStrategySaysWhatIsWrong: a slip in a name and a value of the wrong type are
// told with their place and in words for people.
func TestParseStrategySaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]delivery.Finding{
		`{"strategy":"canary","steps":[{"weight":5,"bakes":500}]}`:                                  {Pointer: "/steps/0/bakes", Message: "is not known; did you mean bake?"},
		`{"strategy":"canary","steps":[{"weight":5,"pause":500}]}`:                                  {Pointer: "/steps/0/pause", Message: "is not known; known are weight, size, bake, minRequests, minRequestsTimeoutSec, gate"},
		`{"strategy":"canary","steps":[{"weight":5},{"weight":"50"}]}`:                              {Pointer: "/steps/1/weight", Message: "must be a whole number, not a string"},
		`{"strategy":"canary","steps":[{"weight":5.5}]}`:                                            {Pointer: "/steps/0/weight", Message: "must be a whole number, not 5.5"},
		`{"strategy":"canary","steps":[{"weight":5,"bake":"600"}]}`:                                 {Pointer: "/steps/0/bake", Message: "must be a number, not a string"},
		`{"strategy":"canary","steps":[5]}`:                                                         {Pointer: "/steps/0", Message: "must be an object, not a number"},
		`{"strategy":"canary","steps":{"weight":5}}`:                                                {Pointer: "/steps", Message: "must be a list, not an object"},
		`{"strategy":"canary","steps":[{"weight":5,"gate":7}]}`:                                     {Pointer: "/steps/0/gate", Message: "must be an object, not a number"},
		`{"strategy":"canary","steps":[{"weight":5,"gate":{"manualJudgement":{}}}]}`:                {Pointer: "/steps/0/gate/manualJudgement", Message: "is not known; did you mean manualJudgment?"},
		`{"strategy":"canary","steps":[{"weight":5,"gate":{"manualJudgment":{"timeoutSec":"1"}}}]}`: {Pointer: "/steps/0/gate/manualJudgment/timeoutSec", Message: "must be a number, not a string"},
		`{"rollback":{"onFail":false}}`:                                                             {Pointer: "/rollback/onFail", Message: "is not known; did you mean onFailure?"},
		`{"rollback":false}`:                                                                        {Pointer: "/rollback", Message: "must be an object, not a boolean"},
		`{"strategy":"dark","match":{"heder":"X","value":"y"}}`:                                     {Pointer: "/match/heder", Message: "is not known; did you mean header?"},
		`{"strategy":"dark","match":{"header":7,"value":"y"}}`:                                      {Pointer: "/match/header", Message: "must be a string, not a number"},
		`{"strategy":7}`:                              {Pointer: "/strategy", Message: "must be a string, not a number"},
		`{"concurrency":[]}`:                          {Pointer: "/concurrency", Message: "must be a string, not a list"},
		`{"scaleDown":"perhaps"}`:                     {Pointer: "/scaleDown", Message: "must be a boolean, not a string"},
		`{"inPlace":"true"}`:                          {Pointer: "/inPlace", Message: "must be a boolean, not a string"},
		`{"healthTimeoutSec":{}}`:                     {Pointer: "/healthTimeoutSec", Message: "must be a number, not an object"},
		`{"maxRemainingAsgs":"two"}`:                  {Pointer: "/maxRemainingAsgs", Message: "must be a whole number, not a string"},
		`{"maxSurge":{}}`:                             {Pointer: "/maxSurge", Message: `{} is neither a number of instances nor a percentage like "25%"`},
		`{"pipelineBeforeCleanup":{"application":7}}`: {Pointer: "/pipelineBeforeCleanup/application", Message: "must be a string, not a number"},
		`{"strategy":"rolling","pauseBetweenBatches":5,"checks":[{"name":"e","query":"errorRate","max":"1"}]}`:                                                                        {Pointer: "/checks/0/max", Message: "must be a number, not a string"},
		`{"strategy":"rolling","pauseBetweenBatches":5,"checks":[{"name":"e","query":"errorRate","max":1,"windows":60}]}`:                                                             {Pointer: "/checks/0/windows", Message: "is not known; did you mean window?"},
		`{"strategy":"rolling","pauseBetweenBatches":5,"checks":[{"name":"e","max":1,"query":{"cloudWatch":{"namespace":"n","metric":"m","statistic":"Sum","dimensions":{"a":1}}}}]}`: {Pointer: "/checks/0/query/cloudWatch/dimensions/a", Message: "must be a string, not a number"},
	} {
		_, findings := rollout.ParseStrategy(json.RawMessage(in))
		if len(findings) == 0 || findings[0] != want {
			t.Errorf("%s:\n got %+v\nwant %+v", in, findings, want)
		}
	}
	_, findings := rollout.ParseStrategy(json.RawMessage(`{"steps":[{"weight":"5","bakes":1},{"weight":true}],"strategy":7}`))
	if len(findings) != 4 {
		t.Errorf("found %+v, want all four", findings)
	}
}

// TestOversized: a size has to be one that the deployment can have.
func TestOversized(t *testing.T) {
	for _, test := range []struct {
		in      string
		desired int
		want    []delivery.Finding
	}{
		{`{"strategy":"canary","steps":[{"weight":5,"size":4},{"weight":50,"size":4}]}`, 4, nil},
		{`{"strategy":"canary","steps":[{"weight":5,"size":5},{"weight":50,"size":9}]}`, 4, []delivery.Finding{
			{Pointer: "/steps/0/size", Message: "is 5; must be at most the desired capacity, 4"}, {Pointer: "/steps/1/size", Message: "is 9; must be at most the desired capacity, 4"}}},
		{`{"strategy":"canary","steps":[{"weight":50},{"weight":80,"size":3}]}`, 10, []delivery.Finding{{Pointer: "/steps/1/size", Message: "is 3, fewer than the 5 of a step before it"}}},
		{`{"strategy":"dark","match":{"header":"x","value":"y"},"size":4}`, 4, nil},
		{`{"strategy":"dark","match":{"header":"x","value":"y"},"size":5}`, 4, []delivery.Finding{{Pointer: "/size", Message: "is 5; must be at most the desired capacity, 4"}}},
		{`{"strategy":"rolling"}`, 1, nil},
	} {
		s, findings := rollout.ParseStrategy(json.RawMessage(test.in))
		if len(findings) > 0 {
			t.Fatalf("%s: %v", test.in, findings)
		}
		if diff := cmp.Diff(test.want, s.Oversized(test.desired)); diff != "" {
			t.Errorf("%s of %d (-want +got):\n%s", test.in, test.desired, diff)
		}
	}
}

// TestParseStrategyTakesSpinnakersText: its fields may be written as strings, and what a
// cluster object has beside the strategy is not looked at.
func TestParseStrategyTakesSpinnakersText(t *testing.T) {
	read := func(in string) rollout.Strategy {
		t.Helper()
		s, findings := rollout.ParseStrategy(json.RawMessage(in))
		if len(findings) > 0 {
			t.Fatalf("%s: %v", in, findings)
		}
		return s
	}
	text := read(`{"strategy":"rollingredblack","maxRemainingAsgs":"3","targetPercentages":["25"," 50 "],"delayBeforeCleanup":"60","delayBeforeDisableSec":"5",
		"scaleDown":"true","delayBeforeScaleDownSec":"30","rollback":{"onFailure":"false"},"targetHealthyDeployPercentage":100,"suspendedProcesses":[],"onFailure":null}`)
	read(`{"strategy":"canary","steps":[{"weight":5}],"targetPercentages":[50],"delayBeforeDisableSec":5,"delayBeforeCleanup":5,"maxRemainingAsgs":2,"scaleDown":false,"delayBeforeScaleDownSec":9}`)
	read(`{"strategy":"","maxRemainingAsgs":2,"scaleDown":true,"delayBeforeDisableSec":0,"targetHealthyDeployPercentage":100}`)
	plain := read(`{"strategy":"rollingredblack","maxRemainingAsgs":3,"targetPercentages":[25,50],"delayBeforeCleanup":60,"delayBeforeDisableSec":5,
		"scaleDown":true,"delayBeforeScaleDownSec":30,"rollback":{"onFailure":false}}`)
	if diff := cmp.Diff(plain, text); diff != "" {
		t.Errorf("(-numbers +text):\n%s", diff)
	}
}

func TestRollingSteps(t *testing.T) {
	st := func(surge, unavailable rollout.Amount) rollout.Strategy {
		return rollout.Strategy{Kind: rollout.Rolling, MaxSurge: surge, MaxUnavailable: unavailable}
	}
	type row struct{ new, old, weight int }
	for _, test := range []struct {
		name        string
		strategy    rollout.Strategy
		old, wanted int
		want        []row
	}{
		{"a quarter at a time", st(rollout.Percentage(25), rollout.Amount{}), 12, 12, []row{{3, 9, 25}, {6, 6, 50}, {9, 3, 75}, {12, 0, 100}}},
		{"no surge shrinks first", st(rollout.Amount{}, rollout.Instances(2)), 4, 4, []row{{0, 2, 0}, {2, 0, 100}, {4, 0, 100}}},
		{"the last instance stays", st(rollout.Amount{}, rollout.Instances(1)), 3, 1, []row{{0, 1, 0}, {1, 0, 100}}},
		{"one for one", st(rollout.Amount{}, rollout.Instances(6)), 1, 1, []row{{1, 0, 100}}},
		{"all may be unavailable", st(rollout.Amount{}, rollout.Instances(3)), 3, 3, []row{{0, 1, 0}, {2, 0, 100}, {3, 0, 100}}},
		{"both", st(rollout.Instances(1), rollout.Instances(1)), 3, 3, []row{{1, 1, 50}, {3, 0, 100}}},
		{"growing", st(rollout.Instances(2), rollout.Amount{}), 2, 6, []row{{2, 1, 67}, {4, 0, 100}, {6, 0, 100}}},
		{"shrinking", st(rollout.Instances(1), rollout.Amount{}), 9, 3, []row{{1, 6, 14}, {2, 3, 40}, {3, 0, 100}}},
		{"first deployment", st(rollout.Instances(1), rollout.Amount{}), 0, 5, []row{{5, 0, 100}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sources := []rollout.RecordedGroup{{Name: "old", Capacity: delivery.Pinned(test.old), Serving: true}}
			var got []row
			for _, s := range rollout.Steps(test.strategy, "new", test.wanted, sources, true) {
				got = append(got, row{s.New, s.Old[0], (&delivery.Routing{Weights: s.Weights}).Percent("new")})
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStepsKeepTheirBounds: at every step and between two of them the number of
// instances is at most the ceiling, what stays is at least the floor, and
// weights are whole percents that add up to 100.
func TestStepsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		st := drawStrategy(rt)
		wanted := rapid.IntRange(1, 200).Draw(rt, "wanted")
		var sources []rollout.RecordedGroup
		total := 0
		for i := range rapid.IntRange(0, 3).Draw(rt, "groups") {
			n := rapid.IntRange(1, 60).Draw(rt, "size")
			total += n
			sources = append(sources, rollout.RecordedGroup{Name: string(rune('a' + i)), Capacity: delivery.Pinned(n), Serving: true})
		}
		floor, ceiling := wantedBounds(st, total, wanted)
		before, n := total, 0
		steps := rollout.Steps(st, "new", wanted, sources, true)
		for i, s := range steps {
			old := 0
			for _, o := range s.Old {
				old += o
			}
			if s.New+before > ceiling {
				rt.Fatalf("step %d: %d instances, more than %d: %+v", i, s.New+before, ceiling, steps)
			}
			if s.New+old < floor {
				rt.Fatalf("step %d: %d instances left, fewer than %d: %+v", i, s.New+old, floor, steps)
			}
			if s.New < n || old > before {
				rt.Fatalf("step %d goes back: %+v", i, steps)
			}
			sum := 0
			for j, w := range s.Weights {
				sum += w.Percent
				size := s.New
				if j < len(s.Old) {
					size = s.Old[j]
				}
				if w.Percent < 0 || w.Percent > 0 && size == 0 {
					rt.Fatalf("step %d gives %d %% to %d instances: %+v", i, w.Percent, size, steps)
				}
			}
			if sum != 100 && st.Kind != rollout.Dark { // that moves none
				rt.Fatalf("step %d: weights add up to %d: %+v", i, sum, steps)
			}
			before, n = old, s.New
		}
		if n != wanted && st.Size == 0 || st.Kind == rollout.Rolling && before != 0 {
			rt.Fatalf("ends with %d new and %d old: %+v", n, before, steps)
		}
	})
}
