package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings is what is measured, and how often.
type settings struct {
	only, subjects string
	rounds         int // of what takes seconds
	readings       int // of the memory
}

// section is a part of the output. What suffers most from other work on the
// machine comes first.
type section struct {
	name string
	run  func(ctx context.Context, m *measurement) error
}

func sections() []section {
	return []section{{"size", measureSize}, {"run", measureRuns}, {"relink", measureRelinks}, {"cold", measureColdBuilds}, {"parts", listParts}}
}

func main() {
	var s settings
	flag.StringVar(&s.only, "only", "", "sections, comma separated: size, run, relink, cold, parts; all when empty")
	flag.StringVar(&s.subjects, "subjects", "", "subjects, comma separated; all when empty; slipwayd and server in any case")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of starts and of warm builds")
	flag.IntVar(&s.readings, "readings", 3, "rounds of idle memory, more than two minutes each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

// measurement is one run of the program.
type measurement struct {
	settings
	out      io.Writer
	place    place
	subjects []subject
	figures  map[string]*figures // by the subject's name
}

// figures is what is known of one subject.
type figures struct {
	size     series // MB
	packages []linked
	actions  []action
}

func run(ctx context.Context, s settings, out io.Writer) (err error) {
	chosen := sections()
	for _, name := range strings.Split(s.only, ",") {
		if name != "" && !slices.ContainsFunc(chosen, func(one section) bool { return one.name == name }) {
			return fmt.Errorf("there is no section %q", name)
		}
	}
	if s.rounds < 1 || s.readings < 1 {
		return errors.New("-rounds and -readings must be at least 1")
	}
	m := &measurement{settings: s, out: out, figures: map[string]*figures{}}
	if m.subjects, err = choose(subjects(), s.subjects); err != nil {
		return err
	}
	if m.place.dir, err = os.MkdirTemp("", "slipway-footprint"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.place.dir)) }()
	fmt.Fprintln(out, machine())
	fmt.Fprintf(out, "A ratio is to %s in the same run: of the medians, and in parentheses the lowest and highest of a round.\n", shipped)
	if err := m.prepare(ctx); err != nil {
		return err
	}
	for _, one := range chosen {
		if s.only != "" && !slices.Contains(strings.Split(s.only, ","), one.name) {
			continue
		}
		began := time.Now()
		if err := one.run(ctx, m); err != nil {
			return fmt.Errorf("measure %s: %w", one.name, err)
		}
		fmt.Fprintf(out, "   (%s)\n", time.Since(began).Round(time.Second))
	}
	return nil
}

// prepare builds every subject, so that the caches are warm from here on.
func (m *measurement) prepare(ctx context.Context) error {
	if err := m.place.writeConfig(); err != nil {
		return err
	}
	for _, s := range m.subjects {
		if _, err := build(ctx, m.place, s, stripped, nil, nil); err != nil {
			return err
		}
		file, err := os.Stat(m.place.binary(s))
		if err != nil {
			return err
		}
		packages, err := listLinked(ctx, s.folder)
		if err != nil {
			return err
		}
		m.figures[s.name] = &figures{size: series{float64(file.Size()) / 1e6}, packages: packages}
	}
	return nil
}

// machine is one line about where and when this runs. The load says whether
// something else ran at the same time.
func machine() string {
	line := fmt.Sprintf("Slipway footprint, %s: %s/%s, %d CPUs", time.Now().Format("2006-01-02 15:04"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if model := firstValue("/proc/cpuinfo", "model name"); model != "" {
		line += " (" + model + ")"
	}
	line += ", " + runtime.Version()
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(load), " ")
		line += ", load average " + one
	}
	return line
}

// firstValue returns the value of the first "name: value" line of a file; empty
// when there is none.
func firstValue(path, name string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
