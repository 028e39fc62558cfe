package main

import (
	"cmp"
	"debug/elf"
	"debug/gosym"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// action is one step of a build, as the go command's -debug-actiongraph writes it.
type action struct {
	// Mode is "build" for compiling a package and "link" for the binary.
	Mode    string
	Package string
	// CmdUser and CmdSys are processor time.
	CmdUser, CmdSys time.Duration
}

func readActions(path string) ([]action, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []action
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

// function is one function of a binary.
type function struct {
	name string
	// folder is the path of its package; empty for what the compiler makes for
	// types of all packages.
	folder string
	// size is the bytes of machine code.
	size uint64
}

// readFunctions reads the functions of a binary, which a stripped one still has:
// a panic prints them.
func readFunctions(path string) (out []function, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, lines := file.Section(".text"), file.Section(".gopclntab")
	if text == nil || lines == nil {
		return nil, fmt.Errorf("%s is no Go binary", path)
	}
	raw, err := lines.Data()
	if err != nil {
		return nil, fmt.Errorf("read functions of %s: %w", path, err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(raw, text.Addr))
	if err != nil {
		return nil, fmt.Errorf("read functions of %s: %w", path, err)
	}
	for _, f := range table.Funcs {
		// The linker writes a dot in a path's last element as %2e.
		out = append(out, function{f.Name, strings.ReplaceAll(f.PackageName(), "%2e", "."), f.End - f.Entry})
	}
	return out, nil
}

// part is what one module contributes to a subject.
type part struct {
	module   string
	packages int
	code     uint64        // bytes of machine code
	compile  time.Duration // processor time; zero when no cold build was measured
}

// byModule adds up what a binary consists of, largest code first.
func byModule(packages []linked, functions []function, did []action) []part {
	module := make(map[string]string, len(packages))
	parts := map[string]*part{}
	of := func(folder string) *part {
		name := cmp.Or(module[folder], "of no package")
		if parts[name] == nil {
			parts[name] = &part{module: name}
		}
		return parts[name]
	}
	for _, p := range packages {
		module[p.path] = p.module
		of(p.path).packages++
	}
	for _, f := range functions {
		of(f.folder).code += f.size
	}
	for _, a := range did {
		if a.Mode == "build" {
			of(a.Package).compile += a.CmdUser + a.CmdSys
		}
	}
	var out []part
	for _, p := range parts {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b part) int { return cmp.Or(cmp.Compare(b.code, a.code), strings.Compare(a.module, b.module)) })
	return out
}

// sum adds parts up to one.
func sum(name string, parts []part) part {
	total := part{module: name}
	for _, p := range parts {
		total.packages += p.packages
		total.code += p.code
		total.compile += p.compile
	}
	return total
}

// dominant splits parts, which are in the order of their code, into those that are
// among the n largest or among the n slowest to compile, and the rest.
func dominant(parts []part, n int) (named, rest []part) {
	n = min(n, len(parts))
	slow := slices.SortedStableFunc(slices.Values(parts), func(a, b part) int { return cmp.Compare(b.compile, a.compile) })
	for i, p := range parts {
		if i < n || (p.compile > 0 && slices.Contains(slow[:n], p)) {
			named = append(named, p)
		} else {
			rest = append(rest, p)
		}
	}
	return named, rest
}

// operations counts the exported methods of an SDK's client that a binary holds:
// with a client out of the reach of reflection those that are called, otherwise
// all that it has.
func operations(functions []function, client string) int {
	n := 0
	for _, f := range functions {
		method, ok := strings.CutPrefix(f.name, client+".") // "Read.func1" and "Read-fm" are parts of Read
		if ok && method != "" && method[0] >= 'A' && method[0] <= 'Z' && !strings.ContainsAny(method, ".-") {
			n++
		}
	}
	return n
}
