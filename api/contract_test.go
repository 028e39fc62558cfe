package api_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// contractRow is one path of Gate's with the calls that show what it promises.
type contractRow struct {
	path  string
	marks string
	calls []contractCall
}

type contractCall struct {
	line                        int
	method, request, body, want string
	status                      int
}

// readContract reads testdata/contract.txt, which explains itself.
func readContract(t *testing.T) []contractRow {
	t.Helper()
	var rows []contractRow
	for n, line := range contractLines(t, "testdata/contract.txt") {
		cells := strings.Split(strings.ReplaceAll(line, " | | ", " |  | "), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 2 && len(cells) != 6 {
			t.Fatalf("contract.txt:%d: %d cells", n, len(cells))
		}
		at := slices.IndexFunc(rows, func(r contractRow) bool { return r.path == cells[0] })
		if at < 0 {
			at = len(rows)
			rows = append(rows, contractRow{path: cells[0], marks: cells[1]})
		}
		if len(cells) == 2 {
			continue
		}
		method, request, _ := strings.Cut(cells[2], " ")
		status, err := strconv.Atoi(cells[4])
		if err != nil {
			t.Fatalf("contract.txt:%d: %v", n, err)
		}
		rows[at].calls = append(rows[at].calls, contractCall{n, method, request, cells[3], cells[5], status})
	}
	return rows
}

// contractLines yields the lines of a file by their number, without comments.
func contractLines(t *testing.T, file string) func(yield func(int, string) bool) {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = text.Close() })
	return func(yield func(int, string) bool) {
		lines := bufio.NewScanner(text)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") && !yield(n, line) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestContract calls every path of Gate's that is served, and compares status and
// shape of the answer with what Spinnaker's clients rely on.
func TestContract(t *testing.T) {
	world := newContractWorld(t)
	for _, row := range readContract(t) {
		for _, call := range row.calls {
			t.Run(fmt.Sprintf("%d %s", call.line, row.path), func(t *testing.T) {
				world.t = t
				request, body, _ := strings.Cut(world.fill(call.request+"\n"+call.body), "\n")
				a := world.do(call.method, request, body).want(call.status)
				checkManners(t, a)
				if err := checkShape(call.want, a.body); err != nil {
					t.Errorf("%s: %v in %s", a.what, err, a.body)
				}
				if call.method == "GET" {
					world.repeat(request, a)
				}
			})
		}
	}
}

// checkManners holds for every answer.
func checkManners(t *testing.T, a answer) {
	t.Helper()
	if a.status >= 300 && a.status < 400 {
		t.Errorf("%s: a redirect; spin would follow it and take what it finds for the answer", a.what)
	}
	if a.header.Get("X-SPINNAKER-REQUEST-ID") == "" {
		t.Errorf("%s: no X-SPINNAKER-REQUEST-ID", a.what)
	}
	if len(a.body) > 0 && a.body[0] != 'Y' && !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("%s: content type %q; spin decodes JSON only when it is named", a.what, a.header.Get("Content-Type"))
	}
}

// emptyParameters are those that spin sends without a value.
const emptyParameters = "statuses=&scopes=&application=&reason=&limit=&expand=&provider="

// repeat asks the same with a doubled slash, and with empty parameters.
func (w *contractWorld) repeat(request string, first answer) {
	w.t.Helper()
	if got := w.do("GET", "/"+request, "").status; got != first.status {
		w.t.Errorf("with a doubled slash: %d, want %d", got, first.status)
	}
	path, query, _ := strings.Cut(request, "?")
	for _, parameter := range strings.Split(emptyParameters, "&") {
		if !strings.Contains("&"+query, "&"+parameter) {
			query += "&" + parameter
		}
	}
	if a := w.do("GET", path+"?"+query, ""); a.status != first.status {
		w.t.Errorf("with empty parameters: %d, want %d: %s", a.status, first.status, a.body)
	}
}

// TestEveryPathIsAccountedFor: a path of Gate's is called, or docs/spinnaker.md says why
// it is not served.
func TestEveryPathIsAccountedFor(t *testing.T) {
	unserved, h, rows := readUnserved(t), newHarness(t), readContract(t)
	for _, row := range rows {
		called := len(row.calls) > 0
		switch {
		case !called && !unserved[row.path]:
			t.Errorf("%s is neither called in contract.txt, nor in docs/spinnaker.md as not served", row.path)
		case unserved[row.path] && called:
			t.Errorf("%s is in docs/spinnaker.md as not served, and in contract.txt with a call", row.path)
		case unserved[row.path] && h.serves(row.path):
			t.Errorf("%s is served, but docs/spinnaker.md says that it is not", row.path)
		}
	}
	for path := range unserved {
		if !slices.ContainsFunc(rows, func(r contractRow) bool { return r.path == path }) {
			t.Errorf("%s is no path of contract.txt", path)
		}
	}
}

// readUnserved returns the paths in the first cells of the table "Not served".
func readUnserved(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/spinnaker.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Not served\n")
	if !found {
		t.Fatal("docs/spinnaker.md has no section Not served")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	out, quoted := map[string]bool{}, regexp.MustCompile("`([A-Z]+ /[^`]*)`")
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		for _, path := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if out[path[1]] = true; strings.TrimSpace(cells[2]) == "" {
				t.Errorf("docs/spinnaker.md says of %s no reason", path[1])
			}
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// serves reports whether a path of the contract has a route, whatever its parameters
// are called.
func (h *harness) serves(path string) bool {
	h.t.Helper()
	method, path, _ := strings.Cut(path, " ")
	if inside, all := strings.CutSuffix(path, "/**"); all {
		code := fmt.Sprint(h.do(method, inside+"/x", "").get("code"))
		return code != "no_such_path" && code != "method_not_allowed"
	}
	for template, item := range h.doc.Paths.Map() {
		if placeholder.ReplaceAllString(template, "{}") == placeholder.ReplaceAllString(path, "{}") && item.GetOperation(method) != nil {
			return true
		}
	}
	return false
}
