package jsonpath

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = `{"status": "DONE", "none": null, "build": {"number": 7, "steps": [{"exit.code": 0}, {"exit.code": 3, "it's": "x"}]},
 "naïve key": true, "list": [[1, 2], [3]], "": "empty"}`

func TestFind(t *testing.T) {
	var doc any
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"$.status":                              "DONE",
		"status":                                "DONE",
		"['status']":                            "DONE",
		"$.none":                                nil,
		"$.build.number":                        7.0,
		"build.number":                          7.0,
		"$.build.steps[1]['exit.code']":         3.0,
		`$["build"]["steps"][ 0 ]["exit.code"]`: 0.0,
		"$.build.steps[-1]['it\\'s']":           "x",
		`$.build.steps[-1]["it's"]`:             "x",
		"$['naïve key']":                        true,
		"$.list[0][1]":                          2.0,
		"$['']":                                 "empty",
	} {
		p, err := Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, ok := p.Find(doc)
		if !ok || !cmp.Equal(got, want) {
			t.Errorf("%s is %v, %v; want %v", path, got, ok, want)
		}
	}
	if whole, ok := (Path{}).Find(doc); !ok || !cmp.Equal(whole, doc) {
		t.Errorf("the zero path leads to %v", whole)
	}
}

func TestFindNothing(t *testing.T) {
	var doc any
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"$.missing", "$.Status", "$.status.x", "$.status[0]", "$.none.x", "$.list[2]", "$.list[-3]", "$.list.x", "$.build[0]", "$[0]"} {
		p, err := Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got, ok := p.Find(doc); ok {
			t.Errorf("%s is %v; want nothing", path, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for path, want := range map[string]string{
		"":                               "is empty",
		" ":                              "is empty",
		"$.":                             "at character 3: a name is missing",
		"$..a":                           `at character 2: ".." leads to any number`,
		"$.*":                            `at character 3: "*" leads to any number`,
		"*":                              `at character 1: "*" leads to any number`,
		"$.a[*]":                         `at character 5: "*" leads to any number`,
		"$.a[?(@.b)]":                    "filters are not known",
		"$.a.length()":                   "functions are not known",
		"$.a[0:2]":                       "several names or indexes",
		"$.a[0,1]":                       "several names or indexes",
		"$['a','b']":                     "several names or indexes",
		"$.a[":                           "brackets hold an index or a name in quotes",
		"$.a[b]":                         "brackets hold an index or a name in quotes",
		"$.a[-]":                         "brackets hold an index or a name in quotes",
		"$.a[99999999999]":               "brackets hold an index or a name in quotes",
		"$.a[1":                          `at character 6: "]" is missing`,
		"$['a":                           "the quote is not closed",
		`$['a\`:                          "the quote is not closed",
		"$a":                             `at character 2: a step begins with "." or "["`,
		"$.ä b":                          `at character 4: a step begins with "." or "["`,
		"$.a\xff":                        "is not UTF-8",
		"$" + strings.Repeat(".a", 65):   "has more than 64 steps",
		"$." + strings.Repeat("a", 1023): "has 1025 bytes; a path has 1024 at most",
	} {
		if _, err := Parse(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", path, err, want)
		}
	}
}

// FuzzParse holds that no path or document makes it panic, and that the normal form
// is the same path.
func FuzzParse(f *testing.F) {
	for _, path := range []string{"$.a.b[0]['c']", "a", `$["\\'"]`, "$[-1]", "$..a", "$[?(@.x)]", "$['", "$[1:2]"} {
		f.Add(path, document)
	}
	f.Fuzz(func(t *testing.T, text, document string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		normal := p.String()
		var doc any
		if json.Unmarshal([]byte(document), &doc) != nil {
			return
		}
		got, ok := p.Find(doc)
		if len(normal) > MaxLength {
			return // quotes and brackets make it longer
		}
		again, err := Parse(normal)
		if err != nil {
			t.Fatalf("%q is %s, which is refused: %v", text, normal, err)
		}
		if again.String() != normal {
			t.Fatalf("%q is %s and then %s", text, normal, again)
		}
		if same, found := again.Find(doc); found != ok || !cmp.Equal(same, got) {
			t.Fatalf("%q finds %v, %v; %s finds %v, %v", text, got, ok, normal, same, found)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	var doc any
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		b.Fatal(err)
	}
	p, err := Parse("$.build.steps[1]['exit.code']")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := p.Find(doc); !ok {
			b.Fatal("nothing found")
		}
	}
}
