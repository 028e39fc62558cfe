package main

import (
	"context"
	"fmt"
	"time"
)

// measureSize prints what prepare found.
func measureSize(_ context.Context, m *measurement) error {
	t := newTable(m.out, "Size of the binaries, MB, and packages linked into them", "", "MB", "ratio", "packages", "")
	base := m.figures[shipped].size
	for _, s := range m.subjects {
		f := m.figures[s.name]
		t.row(s.name, f.size.String(), f.size.against(base), fmt.Sprint(len(f.packages)), s.what)
	}
	return t.flush()
}

// measureRelinks builds the subjects in turns with another version each time.
func measureRelinks(ctx context.Context, m *measurement) error {
	wall, processor := map[string]series{}, map[string]series{}
	for round := range m.rounds {
		for _, s := range m.subjects {
			e, err := relink(ctx, m.place, s, fmt.Sprintf("footprint-%d-%d", time.Now().Unix(), round))
			if err != nil {
				return err
			}
			wall[s.name] = append(wall[s.name], e.wall.Seconds())
			processor[s.name] = append(processor[s.name], e.processor.Seconds())
		}
	}
	t := newTable(m.out, "Warm build, s: another version is linked in, nothing is compiled", "", "s", "ratio", "CPU s", "ratio")
	for _, s := range m.subjects {
		t.row(s.name, wall[s.name].String(), wall[s.name].against(wall[shipped]),
			processor[s.name].String(), processor[s.name].against(processor[shipped]))
	}
	return t.flush()
}

// measureColdBuilds builds with an empty build cache, once each.
func measureColdBuilds(ctx context.Context, m *measurement) error {
	t := newTable(m.out, "Cold build, s: the build cache is empty, the module cache is not", "", "s", "ratio", "CPU s", "ratio")
	var base [2]series
	for _, s := range m.subjects {
		if !s.cold {
			continue
		}
		e, did, err := coldBuild(ctx, m.place, s)
		if err != nil {
			return err
		}
		m.figures[s.name].actions = did
		wall, processor := series{e.wall.Seconds()}, series{e.processor.Seconds()}
		if s.name == shipped {
			base = [2]series{wall, processor}
		}
		t.row(s.name, wall.String(), wall.against(base[0]), processor.String(), processor.against(base[1]))
	}
	return t.flush()
}

// listParts prints which modules the slowest and largest subjects consist of.
func listParts(_ context.Context, m *measurement) error {
	for _, s := range m.subjects {
		if !s.cold {
			continue
		}
		f := m.figures[s.name]
		functions, err := readFunctions(m.place.binary(s))
		if err != nil {
			return err
		}
		parts := byModule(f.packages, functions, f.actions)
		all := sum("all", parts)
		named, rest := dominant(parts, listed)
		t := newTable(m.out, s.name+" by module: machine code, MB, and compiling in the cold build, CPU s", "", "MB", "share", "packages", "CPU s")
		for _, p := range append([]part{all}, append(named, sum(fmt.Sprintf("%d more", len(rest)), rest))...) {
			t.row(p.module, fmt.Sprintf("%.2f", float64(p.code)/1e6), fmt.Sprintf("%.0f %%", 100*float64(p.code)/float64(all.code)),
				fmt.Sprint(p.packages), fmt.Sprintf("%.1f", p.compile.Seconds()))
		}
		if err := t.flush(); err != nil {
			return err
		}
		fmt.Fprintf(m.out, "   %d calls of %s are in it\n", operations(functions, widest), widest)
	}
	return nil
}

const (
	// listed is how many modules are named: so many of the largest, and so many of
	// those that take longest to compile.
	listed = 10
	// widest is the client with the most calls of all that Slipway links.
	widest = "github.com/aws/aws-sdk-go-v2/service/ec2.(*Client)"
)
