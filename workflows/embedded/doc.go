// Package embedded runs a Temporal server inside this process: its four
// services on loopback ports, its state in SQLite files in one folder. It is the
// only importer of go.temporal.io/server.
//
//	server, err := embedded.Start(ctx, embedded.Config{Dir: "data"})
//	c, err := client.DialContext(ctx, server.ClientOptions())
//	...
//	c.Close()
//	err = server.Stop()
//
// The folder belongs to one process at a time. A process that was killed leaves
// nothing to clean up: the next start goes on with the open workflows.
//
// Strangers on the same machine are refused. All ports speak mutual TLS with
// certificates that exist only in this process's memory and only for its life,
// and the frontend asks for a secret of the same kind on top.
//
// Temporal's SQLite schema has no migrations. The folder carries a stamp of the
// server that made it; files of another one are refused while workflows are open
// in them and moved aside when none is, so nothing that must outlive an upgrade
// may live only there.
package embedded
