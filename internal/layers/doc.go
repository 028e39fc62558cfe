// Package layers holds the import rules of the house as a test: which package
// may know which. Violations takes what a package imports and says what is
// wrong with it; the test applies it to the whole tree.
//
//	                         cmd
//	 ┌──────────┬─────────────┼──────────────┬───────────┐
//	api     workflows     providers        store    integrations      strangers to each other
//	 └──────────┴─────────────┼──────────────┴───────────┘
//	                      delivery                                    knows nobody
//
// simcloud imports nothing of ours, internal is for tests and benchmarks, and each third-party
// family appears under one folder.
package layers
