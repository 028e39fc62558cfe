// Package providers finds the target of a cluster among the configured accounts
// and wraps every target in the same decorators:
//
//	limit   a token bucket per account and region
//	guard   the traffic guard: observes before a write that may take capacity away
//
// Target kinds live below, one folder a cloud; what they must do is written as
// tests in providertest.
package providers
