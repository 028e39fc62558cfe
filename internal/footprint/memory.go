package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// forced is how long a process runs before its memory is read. Go's runtime
	// collects garbage two minutes after the last time when nothing else makes it
	// to, and gives what is free back to the system.
	forced = 135 * time.Second
	// The memory has settled when settleReadings lie within settleSpan KiB.
	settleStep     = time.Second
	settleReadings = 10
	settleSpan     = 1024
	settleLimit    = 5 * time.Minute
)

// memory is a process's share of the machine's memory in KiB.
type memory struct {
	// resident counts every page that is mapped in, with those of the binary.
	resident int
	// proportional counts a page that n processes share as an nth of one.
	proportional int
	// anonymous is without the pages that can be read again from a file.
	anonymous int
}

// readMemory reads the sums over all mappings of a process.
func readMemory(pid int) (memory, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	raw, err := os.ReadFile(path)
	if err != nil {
		return memory{}, err
	}
	m, err := parseMemory(string(raw))
	if err != nil {
		return m, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

func parseMemory(rollup string) (memory, error) {
	var m memory
	wanted := map[string]*int{"Rss": &m.resident, "Pss": &m.proportional, "Anonymous": &m.anonymous}
	for line := range strings.Lines(rollup) {
		name, value, _ := strings.Cut(line, ":")
		into, ok := wanted[name]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		*into = n
		delete(wanted, name)
	}
	if len(wanted) > 0 {
		return m, fmt.Errorf("%d of Rss, Pss and Anonymous are missing", len(wanted))
	}
	return m, nil
}

// settled waits until no process's memory moves, and reads it.
func settled(ctx context.Context, processes []*running) ([]memory, error) {
	began := time.Now()
	now := make([]memory, len(processes))
	history := make([][]int, len(processes))
	ticker := time.NewTicker(settleStep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
		still := true
		for i, p := range processes {
			var err error
			if now[i], err = readMemory(p.cmd.Process.Pid); err != nil {
				return nil, err
			}
			history[i] = append(history[i], now[i].resident)
			still = still && steady(history[i])
		}
		if passed := time.Since(began); passed > settleLimit || (still && passed > forced) {
			return now, nil
		}
	}
}

// steady reports whether the last readings lie close together.
func steady(readings []int) bool {
	if len(readings) < settleReadings {
		return false
	}
	last := readings[len(readings)-settleReadings:]
	return slices.Max(last)-slices.Min(last) <= settleSpan
}
