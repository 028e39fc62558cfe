// Package api serves the REST API over HTTP. It is the only importer of gin.
//
// Paths, bodies and status codes are those of Spinnaker's Gate where Gate has
// the noun, so that Spinnaker's clients work unchanged; openapi.yaml, which is
// embedded and served, describes every route. Wire types live in api/v1.
//
// A request takes this way:
//
//	server := api.New(api.Dependencies{Store: st, Engine: engine, Targets: targets})
//	httpServer := server.HTTPServer(server.Handler())
//
//	routes.go      one row of the table: method, path, access rule, handler
//	middleware.go  request id, log line, metrics, recovery, browser guard
//	call.go        access rule, body, Idempotency-Key, then the handler
//	execution.go   (say) bind, authorize, one call, render
//	problem.go     an error becomes its status and JSON document, by its kind
//
// What the package needs of the store, of the workflows and of the clouds are
// the small interfaces in server.go.
package api
