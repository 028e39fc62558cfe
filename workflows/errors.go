package workflows

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/slipway-cd/slipway/delivery"
)

// overKind is the type of the error by which an activity learns that its
// execution is over already.
const overKind = "execution_over"

// overError is the error of an execution that is over.
type overError struct{ execution delivery.ExecutionID }

func (e overError) Error() string { return "execution " + string(e.execution) + " is over" }

func executionOver(id delivery.ExecutionID) error { return overError{id} }

// applicationError makes an activity's error one that Temporal understands: the
// kind is its type, kinds that nobody can wait out are not retried, and a
// throttled call is repeated when the other side asked for it.
func applicationError(err error) error {
	var over overError
	if errors.As(err, &over) {
		return temporal.NewNonRetryableApplicationError(err.Error(), overKind, nil)
	}
	return asApplicationError(err, delivery.KindOf(err).Retryable())
}

// waitedOut is applicationError for reads that are repeated whatever the error.
func waitedOut(err error) error { return asApplicationError(err, true) }

func asApplicationError(err error, retry bool) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err // Temporal knows a cancel when it sees one
	}
	options := temporal.ApplicationErrorOptions{NonRetryable: !retry, Details: []any{delivery.FindingsOf(err)}}
	var e *delivery.Error
	if errors.As(err, &e) {
		options.NextRetryDelay = e.RetryAfter
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), delivery.KindOf(err).String(), options)
}

// failureOf reads an activity's error back. A timeout is Transient: whether the
// last attempt had an effect is unknown.
func failureOf(step string, err error) delivery.Failure {
	f := delivery.Failure{Kind: delivery.Transient.String(), Step: step, Message: err.Error()}
	var application *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &timeout):
		f.Message = "no answer in time"
		if cause := timeout.Unwrap(); cause != nil {
			inner := failureOf(step, cause)
			f.Kind, f.Message = inner.Kind, inner.Message
		}
	case errors.As(err, &application):
		f.Kind, f.Message = application.Type(), application.Message()
		var findings []delivery.Finding
		if application.HasDetails() && application.Details(&findings) == nil {
			f.Findings = findings
		}
	}
	return f
}

// failed is the result of a stage that an error of Temporal ended.
func failed(step string, err error) stageResult {
	f := failureOf(step, err)
	return stageResult{failure: &f}
}

func kindIs(err error, kind string) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.Type() == kind
}
