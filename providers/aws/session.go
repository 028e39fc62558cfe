package aws

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	// attempts is the SDK's default; a call that fails three times goes back to
	// the caller, who knows whether to go on.
	attempts = 3
	// firstBackoff bounds the random pause before the second attempt, twice as
	// much that before the third. It is far below the SDK's 20 s: three quick
	// attempts get over a broken connection, everything longer is the caller's to
	// pace. The SDK's own backoff with a maximum below a second is no random pause
	// at all (aws/retry/jitter_backoff.go): all callers would come back together.
	firstBackoff = 200 * time.Millisecond
	// attemptTimeout bounds one HTTP exchange: 3 x 8 s + 0.6 s < 30 s.
	attemptTimeout = 8 * time.Second
)

// Options says how to reach one account. The zero value uses the SDK's default
// credential chain against the real AWS.
type Options struct {
	// Account is the configured name, used for role session names and messages.
	Account string
	// AccountID is the number of the account that the credentials must lead to;
	// empty is not checked.
	AccountID string
	// RoleARN is assumed with the default chain's credentials; empty for none.
	RoleARN string
	// ExternalID is passed with RoleARN; empty for none.
	ExternalID string
	// Endpoint replaces the address of every service, for a simulated account.
	Endpoint string
	// AccessKeyID and SecretAccessKey replace the default chain. They are meant
	// for simulated accounts; real ones take their keys from the environment.
	AccessKeyID     string
	SecretAccessKey Secret
}

// Secret is a text that does not print itself.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[hidden]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[hidden]" }

// Session is an account's way into AWS. It is safe for concurrent use.
type Session struct {
	account   string
	accountID string
	config    aws.Config
	verified  atomic.Bool
}

// Open prepares a session. It makes no call to AWS: wrong credentials show at
// the first use.
func Open(ctx context.Context, o Options) (*Session, error) {
	loads := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
		config.WithRetryer(newRetryer),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
	}
	if o.Endpoint != "" {
		loads = append(loads, config.WithBaseEndpoint(o.Endpoint))
	}
	if o.AccessKeyID != "" {
		static := credentials.NewStaticCredentialsProvider(o.AccessKeyID, string(o.SecretAccessKey), "")
		loads = append(loads, config.WithCredentialsProvider(static))
	}
	cfg, err := config.LoadDefaultConfig(ctx, loads...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration of account %s: %w", o.Account, err)
	}
	s := &Session{account: o.Account, accountID: o.AccountID, config: cfg}
	if o.RoleARN != "" {
		s.config.Credentials = aws.NewCredentialsCache(assumeRole(cfg, o))
	}
	return s, nil
}

// Config returns the SDK configuration for a region. The credentials and the
// connections are shared by all regions of the session.
func (s *Session) Config(region string) aws.Config {
	cfg := s.config.Copy()
	cfg.Region = region
	return cfg
}

// Account returns the configured name of the account.
func (s *Session) Account() string { return s.account }

// Verify returns Denied when the credentials lead to another account than the
// configured one: nothing may be written there. It asks STS until it got an
// answer that fits, and never again.
func (s *Session) Verify(ctx context.Context, region string) error {
	if s.accountID == "" || s.verified.Load() {
		return nil
	}
	who, err := sts.NewFromConfig(s.Config(region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Classify(err, "verify the credentials of account %s", s.account)
	}
	if got := aws.ToString(who.Account); got != s.accountID {
		return delivery.Errorf(delivery.Denied, "the credentials of account %s lead to AWS account %s; configured is %s", s.account, got, s.accountID)
	}
	s.verified.Store(true)
	return nil
}

func assumeRole(cfg aws.Config, o Options) aws.CredentialsProvider {
	if cfg.Region == "" {
		cfg = cfg.Copy()
		cfg.Region = "us-east-1" // STS needs some region; tokens are valid in all of them.
	}
	return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), o.RoleARN, func(a *stscreds.AssumeRoleOptions) {
		a.RoleSessionName = "slipway-" + o.Account
		if o.ExternalID != "" {
			a.ExternalID = aws.String(o.ExternalID)
		}
	})
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts = attempts
		r.Backoff = retry.BackoffDelayerFunc(backoff)
	})
}

// backoff is the pause after the attempt of that number. The SDK counts attempts
// from 1, or from 0 when AWS_NEW_RETRIES_2026 is set.
func backoff(attempt int, _ error) (time.Duration, error) {
	return rand.N(firstBackoff << max(attempt-1, 0)), nil
}
