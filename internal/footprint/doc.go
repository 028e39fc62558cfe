// Command footprint measures what Slipway weighs on the machine it runs on:
//
//	make footprint
//
// It builds slipwayd, each of its two roles alone, and what they are made of, and
// says for each how large it is, how many packages it links, how long a cold and a
// warm build take, when it is ready and how much memory it holds when idle.
// Nothing is asserted. docs/footprint.md says how to read the tables.
//
// The programs below are there to be measured and are no products: slipwayd has
// the role "all" alone, since api and worker need a database that they share
// and a Temporal cluster elsewhere.
//
//	worker       workflows, store and every cloud; no API, no Temporal server
//	api          API, store and the workflows' client; no cloud, no Temporal server
//	server       the Temporal server, and a relay that lets the others in
//	workeraws    the worker with AWS alone
//	workergcp    the worker with Google Cloud alone
//	workerbare   the worker with none
//	process      what these have in common
//	role         how they are wired
//
// The API alone knows the accounts and not the clouds. So it refuses a place that
// is not configured and accepts everything else about a cloud; to validate that is
// the worker's then. It cannot show clusters.
//
// It runs from the root of the repository, on Linux, since it reads /proc.
package main
