package pipeline

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// expecting is the field of a pipeline that expects an image "shop", with more about it.
func expecting(more string) string {
	return `,"expectedArtifacts":[{"id":"x","displayName":"image","matchArtifact":{"type":"docker/image","name":"shop.*"}` + more + `}]`
}

func TestArtifacts(t *testing.T) {
	const one, two = `{"type":"docker/image","name":"shop","version":"1","own":true}`, `{"type":"docker/image","name":"shop2"}`
	for name, row := range map[string]struct {
		more, given string
		ids         []string
		prior       map[string]Artifact
		want        string
	}{
		"given":             {"", `[` + one + `]`, []string{"x"}, nil, `[` + one + `]`},
		"given twice":       {"", `[` + one + `,` + one + `]`, []string{"x"}, nil, `[` + one + `]`},
		"given unasked":     {"", `[` + one + `]`, nil, nil, `[` + one + `]`},
		"not given":         {"", `[{"type":"docker/image","name":"ashop"}]`, []string{"x"}, nil, "/expectedArtifacts/0 Unmatched expected artifact image could not be resolved"},
		"not asked for":     {"", `[]`, nil, nil, `[]`},
		"two of them":       {"", `[` + one + `,` + two + `]`, []string{"x"}, nil, "/expectedArtifacts/0 Expected artifact image matches 2 of the given artifacts"},
		"two, unasked":      {"", `[` + one + `,` + two + `]`, nil, nil, `[]`},
		"default":           {`,"useDefaultArtifact":true,"defaultArtifact":` + two, `[]`, nil, nil, `[` + two + `]`},
		"given and default": {`,"useDefaultArtifact":true,"defaultArtifact":` + two, `[` + one + `]`, nil, nil, `[` + one + `]`},
		"earlier":           {`,"usePriorArtifact":true,"useDefaultArtifact":true,"defaultArtifact":` + two, `[]`, nil, map[string]Artifact{"x": {Name: "earlier"}}, `[{"name":"earlier"}]`},
		"no earlier one":    {`,"usePriorArtifact":true,"useDefaultArtifact":true,"defaultArtifact":` + two, `[]`, nil, nil, `[` + two + `]`},
		"earlier unwanted":  {"", `[]`, []string{"x"}, map[string]Artifact{"x": {Name: "earlier"}}, "/expectedArtifacts/0 Unmatched expected artifact image could not be resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(withTrigger(`{"type":"webhook","source":"s"}`, expecting(row.more)))
			if err != nil {
				t.Fatal(err, delivery.FindingsOf(err))
			}
			given, err := ParseArtifacts(json.RawMessage(row.given))
			if err != nil {
				t.Fatal(err)
			}
			resolved, err := d.ResolveArtifacts(row.ids, given, row.prior)
			bound := []Artifact{}
			for _, r := range resolved {
				bound = append(bound, r.Bound)
			}
			got := asJSON(t, bound)
			for _, f := range delivery.FindingsOf(err) {
				got = f.Pointer + " " + f.Message
			}
			var a, b any
			if json.Unmarshal([]byte(got), &a) == nil && json.Unmarshal([]byte(row.want), &b) == nil {
				if diff := cmp.Diff(b, a); diff != "" {
					t.Errorf("artifacts (-want +got):\n%s", diff)
				}
			} else if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func asJSON(t interface{ Fatal(...any) }, value any) string {
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestExpectedArtifactsAreChecked(t *testing.T) {
	_, err := Parse(json.RawMessage(`{"stages":[],"expectedArtifacts":[{"id":"x","matchArtifact":{"name":"(","version":"${a}"}},{"id":"x","useDefaultArtifact":true},{}]}`))
	var got []string
	for _, f := range delivery.FindingsOf(err) {
		got = append(got, f.Pointer)
	}
	want := []string{"/expectedArtifacts/0/matchArtifact/name", "/expectedArtifacts/0/matchArtifact/version", "/expectedArtifacts/1/defaultArtifact", "/expectedArtifacts/1/id", "/expectedArtifacts/2/id"}
	if diff := cmp.Diff(want, sorted(got)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestTriggersWaitForTheirArtifacts: a trigger that needs artifacts fires with them,
// and without them where the pipeline has others to fall back on.
func TestTriggersWaitForTheirArtifacts(t *testing.T) {
	const hook = `{"type":"webhook","source":"ci","expectedArtifactIds":["x"]}`
	const image = `{"artifacts":[{"type":"docker/image","name":"shop","custom":1}]}`
	for body, row := range map[string]map[string]bool{
		image: {"": true, `,"usePriorArtifact":true`: true},
		`{}`:  {"": false, `,"usePriorArtifact":true`: true, `,"useDefaultArtifact":true,"defaultArtifact":{"name":"a"}`: true},
		`{"artifacts":[{"type":"docker/image","name":"other"}]}`: {"": false},
	} {
		for more, want := range row {
			if _, ok := fire(t, hook, expecting(more), "webhook", "ci", body, headers()); ok != want {
				t.Errorf("%s with %q fires: %v", body, more, ok)
			}
		}
	}
}

// TestWhatIsBoundMatches: whatever is given, what an expected artifact is bound to
// matches it, is its default, or is the earlier one; and what fires a trigger can be
// resolved unless there is too much of it.
func TestWhatIsBoundMatches(t *testing.T) {
	name := rapid.SampledFrom([]string{"shop", "shop2", "other", ""})
	rapid.Check(t, func(t *rapid.T) {
		prior, byDefault := rapid.Bool().Draw(t, "prior"), rapid.Bool().Draw(t, "default")
		more := fmt.Sprintf(`,"usePriorArtifact":%v,"useDefaultArtifact":%v,"defaultArtifact":{"name":"default"}`, prior, byDefault)
		d, err := Parse(withTrigger(`{"type":"webhook","source":"ci","expectedArtifactIds":["x"]}`, expecting(more)))
		if err != nil {
			t.Fatal(err)
		}
		var given []Artifact
		for range rapid.IntRange(0, 4).Draw(t, "artifacts") {
			given = append(given, Artifact{Type: "docker/image", Name: name.Draw(t, "name"), Version: name.Draw(t, "version")})
		}
		earlier := map[string]Artifact{}
		if rapid.Bool().Draw(t, "earlier") {
			earlier["x"] = Artifact{Name: "earlier"}
		}
		resolved, err := d.ResolveArtifacts([]string{"x"}, given, earlier)
		matching := map[string]bool{}
		for _, a := range given {
			if d.Artifacts[0].matches(a) {
				matching[a.Name+"@"+a.Version] = true
			}
		}
		switch {
		case len(matching) > 1:
			if err == nil {
				t.Fatalf("%v is ambiguous, but bound to %v", given, resolved[0].Bound)
			}
		case len(matching) == 1:
			if err != nil || !d.Artifacts[0].matches(resolved[0].Bound) {
				t.Fatalf("%v: %v, %v", given, resolved, err)
			}
		case prior && len(earlier) > 0:
			if err != nil || resolved[0].Bound.Name != "earlier" {
				t.Fatalf("%v, %v", resolved, err)
			}
		case byDefault:
			if err != nil || resolved[0].Bound.Name != "default" {
				t.Fatalf("%v, %v", resolved, err)
			}
		default:
			if err == nil {
				t.Fatalf("bound to %v out of nothing", resolved)
			}
		}
		if err == nil && !d.bring([]string{"x"}, given) {
			t.Fatalf("%v can be resolved and does not fire", given)
		}
	})
}
