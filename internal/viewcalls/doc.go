// Package viewcalls counts what the views of the REST API cost: how many calls a
// cloud gets for one request about an application. The promise is that it depends
// on the application alone. Requests go through everything that ships, the REST
// API over HTTP and the clouds' SDKs, to a simulated account, once with nothing else in
// it and once with 20,000 resources of others.
//
// The package consists of tests.
package viewcalls
