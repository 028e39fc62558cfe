package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestURLs(t *testing.T) {
	pages := map[string]string{
		"https://x.example/v": "1.2 ${parameters.x}", "https://x.example/j": `{"a": {"b": [7]}}`, "https://x.example/broken": `{"a":`,
		"https://x.example/p": "# comment\n! too\n\na=1\n  b : two words  \nc\\ d=\\u00e9\\n\\\\\nlong = x, \\\n   y\nempty=\nalone\n",
	}
	env := Env{Parameters: json.RawMessage(`{"host":"x.example"}`), Read: func(url string) (string, error) {
		page, ok := pages[url]
		if !ok {
			return "", errors.New("the URL answered 404")
		}
		return page, nil
	}}
	for text, want := range map[string]string{
		`#fromUrl('https://x.example/v')`:                        `"1.2 ${parameters.x}"`, // and is not evaluated again
		`#fromUrl('https://' + parameters.host + '/v').length()`: `19`,
		`#jsonFromUrl('https://x.example/j').a.b[0]`:             `7`,
		`#jsonFromUrl('https://x.example/broken')`:               `#jsonFromUrl: the answer is not JSON`,
		`#fromUrl('https://x.example/none')`:                     `#fromUrl: the URL answered 404`,
		`#fromUrl(7)`:                                            `#fromUrl: a number is no string`,
		`#propertiesFromUrl('https://x.example/p')`:              `{"a":"1","alone":"","b":"two words  ","c d":"é\n\\","empty":"","long":"x, y"}`,
	} {
		document, err := json.Marshal("${" + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Evaluate(document, env)
		said := string(got)
		if err != nil {
			said = err.Error()
		}
		if said != want && (err == nil || !strings.HasSuffix(said, want)) {
			t.Errorf("%s: %s; want %s", text, said, want)
		}
		if _, err := Evaluate(document, Env{Parameters: env.Parameters}); err == nil || text != `#fromUrl(7)` && !strings.Contains(err.Error(), "only when the stage begins") {
			t.Errorf("%s is read where nothing is: %v", text, err)
		}
	}
}

func TestURLsAreBounded(t *testing.T) {
	reads := 0
	env := Env{Read: func(string) (string, error) { reads++; return "x", nil }}
	var texts []string
	for i := range maxURLs + 1 {
		texts = append(texts, fmt.Sprintf("${#fromUrl('https://x.example/%d')}", i))
	}
	document, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(document, env); err == nil || !strings.Contains(err.Error(), "/10: ") || !strings.Contains(err.Error(), "more than 10 URLs") || reads != maxURLs {
		t.Errorf("%d reads: %v", reads, err)
	}
	if !ReadsURLs(document) || ReadsURLs(json.RawMessage(`"${parameters.url}"`)) {
		t.Error("which documents read URLs is not known")
	}
}

// FuzzProperties holds that no text is read for ever or makes it panic.
func FuzzProperties(f *testing.F) {
	for _, text := range []string{"a=b", "a\\", "a\\\n", "\\u12", "=", "a:b=c\\ d", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := properties(text); err == nil && v == nil {
			t.Errorf("%q has no value", text)
		}
	})
}
