// Package store records what must outlive the process: applications, pipelines
// with their history, executions and deployments with their events, and the
// small counters that make a deploy safe to repeat (sequence numbers, fencing
// tokens, idempotency keys).
//
// It records and never decides. Every write is one transaction, and a nil error
// means that it is on the disk. While an execution runs, its workflow is the
// truth and the row here is a projection with a growing version; after it ended
// the row is the record.
//
//	s, err := store.Open(ctx, store.Config{Path: "data/slipway.db"})
//	first, created, err := s.CreateExecution(ctx, new)   // execution, keys and outbox row
//	stored, err := s.ProjectExecution(ctx, e, events)    // compare-and-set on e.Version
//
// Errors: Invalid, NotFound and Conflict where a method says so; Unavailable
// when the database itself cannot serve (damaged, full, unwritable, locked).
//
// SQLite is the dialect of one node. Its migrations lie in migrations/sqlite; a
// dialect has to pass storetest.
package store
