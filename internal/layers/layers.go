package layers

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/slipway-cd/slipway"

// maxDepth is how deep a package's folder may lie: providers/aws/asg is 3.
const maxDepth = 3

// File is what the rules need to know of one Go file.
type File struct {
	// Package is the folder relative to the module, for example "providers/aws".
	Package string
	Test    bool
	Imports []string
}

// strangers are the folders that stand on delivery and do not know each other.
var strangers = [...]string{"api", "workflows", "providers", "store", "integrations"}

// family is a group of third-party packages with the folders that may import them.
type family struct {
	name     string
	prefixes []string
	folders  []string
}

var families = [...]family{
	{"gin", []string{"github.com/gin-gonic", "github.com/gin-contrib"}, []string{"api"}},
	{"OpenAPI", []string{"github.com/getkin/kin-openapi"}, []string{"api"}},
	{"the Temporal server", []string{"go.temporal.io/server"}, []string{"workflows/embedded"}},
	{"the Temporal SDK", []string{"go.temporal.io"}, []string{"workflows"}},
	// The simulator as a whole is tried with the SDK by its composing package.
	{"the AWS SDK", []string{"github.com/aws"}, []string{"providers/aws", "simcloud/aws", "simcloud/simulator"}},
	{"the Google Cloud SDK", []string{"cloud.google.com", "google.golang.org/api"}, []string{"providers/gcp", "simcloud/gcp"}},
	// The embedded server keeps its own file, apart from the store's.
	{"database/sql", []string{"database/sql"}, []string{"store", "workflows/embedded"}},
	{"a SQL driver or migrations", []string{"modernc.org/sqlite", "github.com/jackc", "github.com/pressly/goose"}, []string{"store"}},
	{"expr-lang", []string{"github.com/expr-lang"}, []string{"delivery/expression"}},
}

// domainLibraries are what folders of the domain may import beside the standard
// library, where no family is theirs: #readYaml reads YAML.
var domainLibraries = map[string][]string{
	"delivery/expression": {"gopkg.in/yaml.v3"},
}

// testLibraries are what tests of the domain may import beside the standard library.
var testLibraries = [...]string{"pgregory.net/rapid", "github.com/google/go-cmp"}

// Violations returns one sentence for each rule that the file breaks.
func Violations(f File) []string {
	var out []string
	add := func(format string, args ...any) {
		out = append(out, f.Package+": "+fmt.Sprintf(format, args...))
	}
	if depth := strings.Count(f.Package, "/") + 1; depth > maxDepth {
		add("lies %d folders deep; %d is the most", depth, maxDepth)
	}
	if slices.Contains([]string{"util", "utils", "helper", "helpers", "common"}, path.Base(f.Package)) {
		add("a package is named for what it does")
	}
	for _, imported := range f.Imports {
		if reason := forbidden(f, imported); reason != "" {
			add("imports %s: %s", imported, reason)
		}
	}
	return out
}

// forbidden returns why the file may not import a package; empty when it may.
func forbidden(f File, imported string) string {
	if own, ok := strings.CutPrefix(imported, Module+"/"); ok {
		return forbiddenOwn(f, own)
	}
	if imported == Module {
		return "the module's root is no package"
	}
	if imported == "database/sql" || strings.HasPrefix(imported, "database/sql/") || !standard(imported) {
		return forbiddenForeign(f, imported)
	}
	return ""
}

func forbiddenOwn(f File, own string) string {
	top := first(f.Package)
	if first(own) == "internal" {
		if f.Test || top == "internal" {
			return ""
		}
		return "internal is support for tests"
	}
	switch {
	case top == "internal":
		return ""
	case first(own) == "cmd":
		return "nothing imports a command"
	case top == "cmd":
		return ""
	case top == "simcloud":
		if first(own) != "simcloud" {
			return "simcloud imports nothing of ours"
		}
		return ""
	case top == "delivery":
		return forbiddenDomain(f, own)
	case slices.Contains(strangers[:], top):
		if first(own) == top || first(own) == "delivery" || (f.Test && first(own) == "simcloud") {
			return ""
		}
		return top + " knows delivery and nothing else of ours"
	default:
		return "the folder " + top + " has no rule; add it to internal/layers"
	}
}

func forbiddenDomain(f File, own string) string {
	if first(own) != "delivery" {
		return "delivery knows nobody"
	}
	if f.Package == "delivery" && !f.Test {
		return "imports inside delivery go downwards: its subpackages import it"
	}
	return ""
}

func forbiddenForeign(f File, imported string) string {
	for _, fam := range families {
		if !within(imported, fam.prefixes) {
			continue
		}
		if within(f.Package, fam.folders) || first(f.Package) == "internal" {
			return ""
		}
		return fam.name + " belongs in " + strings.Join(fam.folders, " and ") + " alone"
	}
	if first(f.Package) != "delivery" || within(imported, domainLibraries[f.Package]) || (f.Test && within(imported, testLibraries[:])) {
		return ""
	}
	return "delivery imports the standard library alone"
}

// within reports whether a path is one of the folders or lies in one.
func within(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return p == folder || strings.HasPrefix(p, folder+"/")
	})
}

func first(p string) string {
	head, _, _ := strings.Cut(p, "/")
	return head
}

// standard reports whether an import path is of the standard library: its first
// element has no dot.
func standard(imported string) bool { return !strings.Contains(first(imported), ".") }
