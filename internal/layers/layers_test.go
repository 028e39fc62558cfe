package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTree applies the rules to every Go file of the repository.
func TestTree(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			// As the go command does, leave out testdata and hidden folders.
			if file != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		files++
		f, err := read(root, file)
		if err != nil {
			return err
		}
		for _, violation := range Violations(f) {
			t.Errorf("%s (%s)", violation, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("no Go file was looked at")
	}
}

func read(root, file string) (File, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return File{}, err
	}
	folder, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return File{}, err
	}
	f := File{Package: filepath.ToSlash(folder), Test: strings.HasSuffix(file, "_test.go")}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, err
		}
		f.Imports = append(f.Imports, imported)
	}
	return f, nil
}

func TestViolations(t *testing.T) {
	tests := []struct {
		folder   string
		test     bool
		imported string
		want     string // a part of the violation; empty when the import is allowed
	}{
		{"delivery", false, "encoding/json", ""},
		{"delivery", false, Module + "/store", "delivery knows nobody"},
		{"delivery", false, Module + "/delivery/rollout", "go downwards"},
		{"delivery", false, "github.com/google/go-cmp/cmp", "standard library alone"},
		{"delivery", true, "github.com/google/go-cmp/cmp", ""},
		{"delivery", true, "pgregory.net/rapid", ""},
		{"delivery", true, "gopkg.in/yaml.v3", "standard library alone"},
		{"delivery", true, Module + "/internal/golden", ""},
		{"delivery", false, Module + "/internal/golden", "support for tests"},
		{"delivery", false, "database/sql", "database/sql belongs in store"},
		{"delivery/pipeline", false, Module + "/delivery", ""},
		{"delivery/pipeline", false, Module + "/delivery/rollout", ""},
		{"delivery/pipeline", false, "github.com/expr-lang/expr", "belongs in delivery/expression alone"},
		{"delivery/expression", false, "github.com/expr-lang/expr", ""},
		{"delivery/expression", false, "gopkg.in/yaml.v3", ""},
		{"delivery/pipeline", false, "gopkg.in/yaml.v3", "standard library alone"},
		{"delivery/expression", false, "github.com/expr-langer/expr", "standard library alone"},
		{"api", false, Module + "/delivery/pipeline", ""},
		{"api", false, Module + "/api/v1", ""},
		{"api", false, Module + "/store", "api knows delivery and nothing else"},
		{"api", true, Module + "/store", "api knows delivery and nothing else"},
		{"api", true, Module + "/simcloud", ""},
		{"api", false, "github.com/gin-gonic/gin", ""},
		{"store", false, "github.com/gin-gonic/gin", "gin belongs in api alone"},
		{"workflows", false, Module + "/providers", "workflows knows delivery and nothing else"},
		{"workflows", false, "go.temporal.io/sdk/workflow", ""},
		{"workflows", false, "go.temporal.io/server/temporal", "the Temporal server belongs in workflows/embedded alone"},
		{"workflows/embedded", false, "go.temporal.io/server/temporal", ""},
		{"workflows/embedded", false, "go.temporal.io/sdk/client", ""},
		{"workflows/embedded", false, "modernc.org/sqlite", "belongs in store alone"},
		{"cmd/slipwayd", false, "go.temporal.io/sdk/client", "the Temporal SDK belongs in workflows alone"},
		{"cmd/slipwayd", false, Module + "/store", ""},
		{"cmd/slipwayd", false, Module + "/internal/golden", "support for tests"},
		{"store", false, Module + "/cmd/slipwayd", "nothing imports a command"},
		{"store", false, "modernc.org/sqlite", ""},
		{"store", false, "database/sql/driver", ""},
		{"api", false, "github.com/jackc/pgx/v5", "belongs in store alone"},
		{"providers/aws/asg", false, "github.com/aws/aws-sdk-go-v2/service/ec2", ""},
		{"providers/gcp/mig", false, "github.com/aws/aws-sdk-go-v2/service/ec2", "the AWS SDK belongs in"},
		{"providers/gcp/mig", false, "cloud.google.com/go/compute/apiv1", ""},
		{"providers/aws", false, Module + "/simcloud/aws", "providers knows delivery and nothing else"},
		{"providers/aws", true, Module + "/simcloud/aws", ""},
		{"simcloud", false, Module + "/delivery", "simcloud imports nothing of ours"},
		{"simcloud/aws", true, Module + "/providers/aws", "simcloud imports nothing of ours"},
		{"simcloud/aws", true, "github.com/aws/aws-sdk-go-v2/service/ec2", ""},
		{"simcloud/aws", false, Module + "/simcloud", ""},
		{"internal/fakecloud", false, Module + "/delivery", ""},
		{"internal/bench", false, "go.temporal.io/sdk/client", ""}, // its baseline is a bare workflow
		{"internal/bench", false, Module + "/workflows/embedded", ""},
		{"things", false, Module + "/delivery", "has no rule"},
		{"providers/aws/asg/deep", false, "fmt", "lies 4 folders deep"},
		{"api/util", false, "fmt", "named for what it does"},
	}
	for _, tt := range tests {
		got := strings.Join(Violations(File{Package: tt.folder, Test: tt.test, Imports: []string{tt.imported}}), "\n")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s (test %v) imports %s: got %q, want %q", tt.folder, tt.test, tt.imported, got, tt.want)
		}
	}
}
