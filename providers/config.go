package providers

import (
	"context"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/asg"
)

// AccountConfig is one account of the configuration file.
type AccountConfig struct {
	// Name is what pipelines call it.
	Name string `yaml:"name"`
	// Provider is "aws".
	Provider string `yaml:"provider"`
	// AccountID is the cloud's own number. Nothing is written with credentials
	// that lead to another; empty is not checked.
	AccountID   string   `yaml:"accountId"`
	Environment string   `yaml:"environment"`
	Regions     []string `yaml:"regions"`
	// AssumeRole is the ARN of a role that is assumed with the default
	// credentials; ExternalID goes with it.
	AssumeRole string `yaml:"assumeRole"`
	ExternalID string `yaml:"externalId"`
	// Endpoint replaces the cloud's address, for a simulated account.
	Endpoint string `yaml:"endpoint"`
	// AccessKeyID and SecretAccessKey are the keys of a simulated account. Real
	// accounts take theirs from the SDK's default chain.
	AccessKeyID     string     `yaml:"accessKeyId"`
	SecretAccessKey aws.Secret `yaml:"secretAccessKey"`
	// ImageOwners are accounts whose images may be named besides the own ones.
	ImageOwners []string `yaml:"imageOwners"`
	// Settle, DeregistrationDelay and Drain: see asg.Options.
	Settle              time.Duration `yaml:"settle"`
	DeregistrationDelay time.Duration `yaml:"deregistrationDelay"`
	Drain               time.Duration `yaml:"drain"`
	// CallsPerSecond and Burst bound the pace per region; zero is the default.
	CallsPerSecond float64 `yaml:"callsPerSecond"`
	Burst          int     `yaml:"burst"`
}

// Open makes the registry of the configured accounts. It makes no call to a cloud.
func Open(ctx context.Context, accounts []AccountConfig) (*Registry, error) {
	registrations := make([]Registration, 0, len(accounts))
	for _, a := range accounts {
		if a.Provider != asg.Provider {
			return nil, delivery.Errorf(delivery.Invalid, "account %s: unknown provider %q; there is %s", a.Name, a.Provider, asg.Provider)
		}
		session, err := aws.Open(ctx, aws.Options{
			Account: a.Name, AccountID: a.AccountID, RoleARN: a.AssumeRole, ExternalID: a.ExternalID,
			Endpoint: a.Endpoint, AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey,
		})
		if err != nil {
			return nil, err
		}
		registrations = append(registrations, Registration{
			Account: delivery.Account{
				Name: a.Name, Provider: a.Provider, AccountID: a.AccountID, Environment: a.Environment, Regions: a.Regions,
			},
			Limit: Pace{PerSecond: a.CallsPerSecond, Burst: a.Burst},
			Open: func(region string) (delivery.Target, error) {
				return asg.New(session, region, asg.Options{
					Settle: a.Settle, DeregistrationDelay: a.DeregistrationDelay, Drain: a.Drain, ImageOwners: a.ImageOwners,
				}), nil
			},
		})
	}
	return New(registrations...)
}
