// Package aws holds what every AWS target kind needs: a session that turns an
// account of the configuration into SDK configuration, and the one table that
// turns AWS error codes into kinds of error.
//
//	session, err := aws.Open(ctx, aws.Options{Account: "prod", RoleARN: role, ExternalID: id})
//	target := asg.New(session, "us-east-1", asg.Options{})
//
// The SDK's own retryer makes three attempts with short pauses; everything
// longer is the caller's, who sees the kind of the error.
package aws
