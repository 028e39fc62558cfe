// Package refusals sends bad input through everything that ships: the REST API
// over HTTP, the store on a file, the registry of targets with the AWS SDK, and a
// simulated cloud. Each piece tests its own checks; here the promise as a whole is
// tested: what is wrong is refused with 400 and the name of the field before
// anything is created, be it a record or a piece in a cloud.
//
// The package consists of tests.
package refusals
