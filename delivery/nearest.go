package delivery

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the candidates that differ from a word in at most a third of
// its letters, but two at least and six at most; the nearest first. It is for
// proposals where a name is unknown.
func Nearest(word string, candidates []string) []string {
	limit := min(max(2, len(word)/3), 6)
	distance := func(candidate string) int {
		return editDistance(strings.ToLower(word), strings.ToLower(candidate))
	}
	var out []string
	for _, c := range candidates {
		if distance(c) <= limit {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	return out
}

// editDistance counts the insertions, deletions and replacements of bytes that
// turn a into b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
