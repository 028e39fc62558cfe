package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// tags and stripped are those of the Makefile.
	tags     = "disable_grpc_modules"
	stripped = "-s -w"
)

// effort is what one build took.
type effort struct {
	// wall is what one waits for. processor is the time of all its processes,
	// which depends less on what else the machine does.
	wall, processor time.Duration
}

// build builds a subject's binary. Flags and environment are added to what
// slipwayd is built with.
func build(ctx context.Context, p place, s subject, ldflags string, flags, environment []string) (effort, error) {
	arguments := append([]string{"-n", "10", "go", "build", "-tags", tags, "-ldflags", ldflags, "-o", p.binary(s)}, flags...)
	cmd := exec.CommandContext(ctx, "nice", append(arguments, s.folder)...)
	cmd.Env = append(os.Environ(), environment...)
	began := time.Now()
	if output, err := cmd.CombinedOutput(); err != nil {
		return effort{}, fmt.Errorf("build %s: %w\n%s", s.name, err, output)
	}
	used := cmd.ProcessState // with the processes that it waited for
	return effort{time.Since(began), used.UserTime() + used.SystemTime()}, nil
}

// relink builds a subject that differs from the last build in its version alone.
func relink(ctx context.Context, p place, s subject, version string) (effort, error) {
	return build(ctx, p, s, stripped+" -X main.version="+version, nil, nil)
}

// coldBuild builds a subject with nothing but its sources: the standard library
// is compiled too. It also returns what the build did.
func coldBuild(ctx context.Context, p place, s subject) (e effort, did []action, err error) {
	cache, err := os.MkdirTemp("", "slipway-footprint-cache")
	if err != nil {
		return e, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	graph := filepath.Join(p.dir, s.name+".actions")
	e, err = build(ctx, p, s, stripped, []string{"-debug-actiongraph", graph}, []string{"GOCACHE=" + cache})
	if err != nil {
		return e, nil, err
	}
	did, err = readActions(graph)
	return e, did, err
}

// linked is one package that is linked into a subject.
type linked struct{ path, module string }

// standard stands where a package belongs to no module.
const standard = "standard library"

// listLinked lists the packages of a subject.
func listLinked(ctx context.Context, folder string) ([]linked, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-tags", tags, "-deps",
		"-f", "{{.ImportPath}}\t{{with .Module}}{{.Path}}{{end}}", folder)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages of %s: %w\n%s", folder, err, complaint.String())
	}
	var out []linked
	for line := range strings.Lines(string(output)) {
		path, module, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if module == "" {
			module = standard
		}
		out = append(out, linked{path, module})
	}
	return out, nil
}
