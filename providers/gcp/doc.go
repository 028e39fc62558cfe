// Package gcp holds what every Google Cloud target kind needs: a session that
// turns an account of the configuration into SDK client options, and the one
// table that turns Google's error reasons into kinds of error.
//
//	session, err := gcp.Open(ctx, gcp.Options{Account: "prod", Project: "shop-prod", Impersonate: email})
//	target, err := cloudrun.New(ctx, session, "europe-west1", cloudrun.Options{})
//
// The SDK repeats reads that were answered 503 and never repeats a write; every
// other wait is the caller's, who sees the kind of the error.
//
// The package imports no service's messages: they are large, and a process that
// uses one target kind should link only that kind's.
package gcp
