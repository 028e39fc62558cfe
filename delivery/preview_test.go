package delivery

import (
	"strings"
	"testing"
)

func TestMatchValidate(t *testing.T) {
	for _, test := range []struct {
		match Match
		want  string // pointers
	}{
		{Match{}, ""},
		{Match{Header: "X-Canary", Value: "a b; c"}, ""},
		{Match{Cookie: "canary", Value: "a-1"}, ""},
		{Match{Header: "X-Canary"}, "/value"},
		{Match{Header: "X Canary", Value: "a"}, "/header"},
		{Match{Header: "X-Canary\r\n", Value: "a"}, "/header"},
		{Match{Header: "X-Canary", Value: "a\nb"}, "/value"},
		{Match{Header: "X-Canary", Value: " a"}, "/value"},
		{Match{Header: "cookie", Value: "a"}, "/header"},
		{Match{Cookie: "a=b", Value: "a"}, "/cookie"},
		{Match{Cookie: "canary", Value: "a;b"}, "/value"},
		{Match{Header: "X", Cookie: "y", Value: "a"}, "/cookie"},
	} {
		var got []string
		for _, f := range test.match.Validate() {
			got = append(got, f.Pointer)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: findings at %q, want %q", test.match, got, test.want)
		}
	}
}

func TestPreviews(t *testing.T) {
	canary := Match{Header: "X-Canary", Value: "always"}
	r := &Routing{Previews: []Preview{{ServerGroup: "a", URL: "https://a"}, {ServerGroup: "b", Match: canary}}}
	if r.Preview("a") != nil || r.Preview("b") == nil || (*Routing)(nil).Preview("b") != nil {
		t.Error("only a rule has to be taken away")
	}
	if r.PreviewBy("a", Match{}) == nil || r.PreviewBy("b", Match{}) != nil || r.PreviewBy("b", Match{Header: "x-canary", Value: "always"}) == nil {
		t.Error("a way to a group is known by its match; the names of headers have no case")
	}
	if r.Matched(Match{}) != nil || r.Matched(canary).ServerGroup != "b" {
		t.Error("only a rule takes requests from others")
	}
}

func TestGuardPreview(t *testing.T) {
	seen := Snapshot{Groups: []ServerGroup{{Name: "sick", HealthSources: []string{"s"}},
		{Name: "well", HealthSources: []string{"s"}, Instances: []Instance{{Health: []Health{{Source: "s", State: HealthUp}}}}}}}
	match := &Match{Header: "X", Value: "y"}
	for _, test := range []struct {
		change Change
		want   Kind
	}{
		{Change{Kind: CreatePreview, Group: "sick", Match: match}, Guarded},
		{Change{Kind: CreatePreview, Group: "gone", Match: match}, Guarded},
		{Change{Kind: CreatePreview, Group: "well"}, Invalid},
		{Change{Kind: CreatePreview, Group: "well", Match: match}, Internal},
		{Change{Kind: DeletePreview, Group: "sick"}, Internal},
	} {
		err := Guard(seen, test.change)
		if test.want == Internal && err != nil || test.want != Internal && KindOf(err) != test.want {
			t.Errorf("%s: %v", test.change, err)
		}
	}
}
