// Command bench measures Slipway on the machine it runs on and prints a table:
//
//	make bench
//
// Whatever depends on the machine is measured against a baseline in the same
// process, in turns (A B A B ...), and printed as a ratio: the ratio of the
// medians, and the lowest and the highest ratio of a single round. Nothing is
// asserted. docs/performance.md says how to read the table.
//
// It runs from the root of the repository, since it builds cmd/slipwayd.
package main
