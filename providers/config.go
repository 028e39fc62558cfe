package providers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// AccountConfig is one account of the configuration file. Which fields may be
// set follows from Provider; a field of another provider is refused.
type AccountConfig struct {
	// Name is what pipelines call it.
	Name string `yaml:"name"`
	// Provider is "aws", "gce" (managed instance groups and Cloud Run of a Google
	// Cloud project) or "cloudrun" (Cloud Run alone).
	Provider    string   `yaml:"provider"`
	Environment string   `yaml:"environment"`
	Regions     []string `yaml:"regions"`
	// Endpoint replaces the cloud's address, for a simulated account.
	Endpoint string `yaml:"endpoint"`
	// Settle and Drain: see the Options of the target kinds.
	Settle time.Duration `yaml:"settle"`
	Drain  time.Duration `yaml:"drain"`
	// CallsPerSecond and Burst bound the pace per region and target kind; zero is
	// the default.
	CallsPerSecond float64 `yaml:"callsPerSecond"`
	Burst          int     `yaml:"burst"`

	// AccountID is the number of an AWS account. Nothing is written with
	// credentials that lead to another; empty is not checked.
	AccountID string `yaml:"accountId"`
	// AssumeRole is the ARN of a role that is assumed with the default
	// credentials; ExternalID goes with it.
	AssumeRole string `yaml:"assumeRole"`
	ExternalID string `yaml:"externalId"`
	// AccessKeyID and SecretAccessKey are the keys of a simulated AWS account. Real
	// accounts take theirs from the SDK's default chain.
	AccessKeyID     string     `yaml:"accessKeyId"`
	SecretAccessKey aws.Secret `yaml:"secretAccessKey"`
	// ImageOwners are accounts whose images may be named besides the own ones.
	ImageOwners []string `yaml:"imageOwners"`
	// DeregistrationDelay: see asg.Options.
	DeregistrationDelay time.Duration `yaml:"deregistrationDelay"`

	// Project is the id of a Google Cloud project.
	Project string `yaml:"project"`
	// Impersonate is the e-mail of a service account that is impersonated with the
	// application default credentials.
	Impersonate string `yaml:"impersonate"`
	// AccessToken is the bearer token of a simulated project. Real ones use the
	// application default credentials.
	AccessToken gcp.Secret `yaml:"accessToken"`
	// DrainingTimeout: see mig.Options.
	DrainingTimeout time.Duration `yaml:"drainingTimeout"`
}

// clouds has for each provider of an account what opens it.
var clouds = map[string]func(context.Context, AccountConfig) (Registration, error){
	"aws": openAWS, "gce": openGoogle, "cloudrun": openGoogle,
}

// Open makes the registry of the configured accounts. It makes no call to a cloud.
func Open(ctx context.Context, accounts []AccountConfig) (*Registry, error) {
	registrations := make([]Registration, 0, len(accounts))
	for _, a := range accounts {
		open, ok := clouds[a.Provider]
		if !ok {
			return nil, delivery.Errorf(delivery.Invalid, "account %s: unknown provider %q; there are %s", a.Name, a.Provider,
				strings.Join(slices.Sorted(maps.Keys(clouds)), ", "))
		}
		registration, err := open(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		registration.Limit = Pace{PerSecond: a.CallsPerSecond, Burst: a.Burst}
		registrations = append(registrations, registration)
	}
	return New(registrations...)
}

// account is what every provider's account has.
func (a AccountConfig) account(id string) delivery.Account {
	return delivery.Account{Name: a.Name, Provider: a.Provider, AccountID: id, Environment: a.Environment, Regions: a.Regions}
}

// refuse returns Invalid when a setting is given that the account's provider
// does not know. given has the settings by their keys.
func (a AccountConfig) refuse(given map[string]bool) error {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] {
			return delivery.Errorf(delivery.Invalid, "%s is no setting of provider %q", key, a.Provider)
		}
	}
	return nil
}
