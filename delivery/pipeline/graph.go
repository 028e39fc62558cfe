package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// parseRefID reads a reference to a stage: a string or a number.
func parseRefID(o object, name string) string {
	if !o.given(name) {
		o.refuse(name, "is required: another stage has one")
		return ""
	}
	id, problem := refID(o.fields[name])
	if problem != "" {
		o.refuse(name, "%s", problem)
	}
	return id
}

// maxRefID bounds a refId, in bytes: it is a part of the ids of deployments, which have
// to fit into 1000.
const maxRefID = 100

func refID(raw json.RawMessage) (id, problem string) {
	switch delivery.JSONKind(raw) {
	case "number":
		id = strings.TrimSpace(string(raw))
	case "string":
		id = unquote(raw)
	default:
		return "", "must be a string or a number, not " + delivery.WithArticle(delivery.JSONKind(raw))
	}
	switch {
	case id == "":
		return "", "must not be empty"
	case strings.Contains(id, "${"):
		return "", "must not be an expression"
	case len(id) > maxRefID:
		return "", fmt.Sprintf("has %d bytes; %d are allowed", len(id), maxRefID)
	case strings.ContainsAny(id, "/<~"): // of deployments' ids, of what runs before stages, of later attempts
		return "", "must not contain '/', '<' or '~'"
	default:
		return id, ""
	}
}

func parseRequisites(o object) []string {
	if o.dynamic("requisiteStageRefIds") {
		o.refuse("requisiteStageRefIds", "must not be an expression")
	}
	var out []string
	for i, raw := range o.list("requisiteStageRefIds") {
		id, problem := refID(raw)
		if problem != "" {
			o.r.refuse(fmt.Sprintf("%s/%d", o.pointer("requisiteStageRefIds"), i), "%s", problem)
		}
		// The place of a refused or repeated one is kept, so that the places in
		// the list are those in the document.
		out = append(out, id)
	}
	return out
}

// checkEdges refuses duplicate refIds, unknown requisites and cycles, and
// removes repeated requisites.
func checkEdges(r *reader, stages []StageSpec) {
	first := make(map[string]int, len(stages))
	for i, s := range stages {
		if s.RefID == "" {
			continue
		}
		if j, taken := first[s.RefID]; taken {
			r.refuse(fmt.Sprintf("/stages/%d/refId", i), "%q is the refId of /stages/%d already", s.RefID, j)
			continue
		}
		first[s.RefID] = i
	}
	for i := range stages {
		s := &stages[i]
		for j, id := range s.Requisites {
			at := fmt.Sprintf("/stages/%d/requisiteStageRefIds/%d", i, j)
			switch _, known := first[id]; {
			case id == "":
			case id == s.RefID:
				r.refuse(at, "stage %q requires itself", id)
			case !known:
				r.refuse(at, "no stage has the refId %q", id)
			}
		}
		s.Requisites = distinct(s.Requisites)
	}
	for _, cycle := range cycles(stages, first) {
		i := first[cycle[0]]
		r.refuse(fmt.Sprintf("/stages/%d/requisiteStageRefIds", i), "the stages wait for each other in a cycle: %s",
			strings.Join(append(cycle, cycle[0]), " -> "))
	}
}

func distinct(ids []string) []string {
	var out []string
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			out = append(out, id)
		}
		seen[id] = true
	}
	return out
}

// maxCycles is how many cycles are reported: a dense graph has more than anybody
// reads.
const maxCycles = 10

// cycles returns cycles of two or more stages, each starting at its first stage
// in the document and going along requisites; none only when there is none.
func cycles(stages []StageSpec, index map[string]int) [][]string {
	const (
		unseen = iota
		open
		closed
	)
	state := make([]int, len(stages))
	var path []int
	var out [][]string
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		path = append(path, i)
		for _, id := range stages[i].Requisites {
			j, known := index[id]
			if !known || j == i {
				continue
			}
			switch state[j] {
			case unseen:
				visit(j)
			case open:
				if len(out) == maxCycles {
					continue
				}
				out = append(out, named(stages, path[slices.Index(path, j):]))
			}
		}
		path = path[:len(path)-1]
		state[i] = closed
	}
	for i := range stages {
		if state[i] == unseen {
			visit(i)
		}
	}
	return out
}

// named returns the refIds of a cycle, turned so that the earliest stage leads.
func named(stages []StageSpec, cycle []int) []string {
	lead := slices.Index(cycle, slices.Min(cycle))
	out := make([]string, len(cycle))
	for i := range cycle {
		out[i] = stages[cycle[(lead+i)%len(cycle)]].RefID
	}
	return out
}
