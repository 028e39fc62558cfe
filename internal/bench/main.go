package main

import (
	"bytes"
	"context"
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

// settings is how much is measured.
type settings struct {
	rounds   int           // of everything that has a baseline
	samples  int           // pipelines of one caller in a round
	slice    time.Duration // of closed loops in a round
	callers  int           // closed loops
	triggers int           // triggers in a round
	reads    int           // reads of executions in a round
	parked   int           // executions in flight
	only     string
}

// part is one section of the table.
type part struct {
	name string
	run  func(ctx context.Context, s settings, out io.Writer) error
}

func parts() []part {
	return []part{{"engine", benchEngine}, {"trigger", benchTrigger}, {"list", benchList}, {"memory", benchMemory}, {"history", benchHistory}}
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 7, "rounds of A and B")
	flag.IntVar(&s.samples, "samples", 40, "pipelines of one caller in a round")
	flag.DurationVar(&s.slice, "slice", 3*time.Second, "time of the closed loops in a round")
	flag.IntVar(&s.callers, "callers", 8, "closed loops")
	flag.IntVar(&s.triggers, "triggers", 200, "triggers in a round")
	flag.IntVar(&s.reads, "reads", 40, "reads of executions in a round")
	flag.IntVar(&s.parked, "parked", 500, "executions in flight")
	flag.StringVar(&s.only, "only", "", "one part: engine, trigger, list, memory or history")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, out io.Writer) error {
	all := parts()
	if s.only != "" {
		all = slices.DeleteFunc(all, func(p part) bool { return p.name != s.only })
	}
	if len(all) == 0 || s.rounds < 1 || s.samples < 1 || s.triggers < 1 || s.reads < 1 || s.parked < 1 || s.callers < 1 || s.slice <= 0 {
		return fmt.Errorf("nothing to measure: -only is one of engine, trigger, list, memory, history, and every number at least 1")
	}
	fmt.Fprintln(out, machine())
	fmt.Fprintf(out, "%d rounds. A ratio is Slipway / baseline: of the medians, and in parentheses the lowest and highest of a round.\n", s.rounds)
	for i, p := range all {
		began := time.Now()
		fmt.Fprintf(out, "\n%d. ", i+1)
		if err := p.run(ctx, s, out); err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
		fmt.Fprintf(out, "   (%s)\n", time.Since(began).Round(time.Second))
	}
	return nil
}

// machine is one line about where and when this runs. The load says whether
// something else ran at the same time.
func machine() string {
	line := fmt.Sprintf("Slipway bench, %s: %s/%s, %d CPUs", time.Now().Format("2006-01-02 15:04"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if model := procLine("/proc/cpuinfo", "model name"); model != "" {
		line += " (" + model + ")"
	}
	line += ", " + runtime.Version()
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := bytes.Fields(load); len(fields) > 0 {
			line += ", load average " + string(fields[0])
		}
	}
	return line
}

// procLine returns the value of the first "name: value" line of a file in /proc;
// empty when there is none.
func procLine(path, name string) string {
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
