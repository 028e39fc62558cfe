package providers

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/providers/gcp/cloudrun"
	"github.com/slipway-cd/slipway/providers/gcp/mig"
)

func openGoogle(ctx context.Context, a AccountConfig) (Registration, error) {
	if err := a.refuse(map[string]bool{"accountId": a.AccountID != "", "assumeRole": a.AssumeRole != "", "externalId": a.ExternalID != "",
		"accessKeyId": a.AccessKeyID != "", "secretAccessKey": a.SecretAccessKey != "", "imageOwners": len(a.ImageOwners) > 0,
		"deregistrationDelay": a.DeregistrationDelay != 0,
		"drainingTimeout":     a.DrainingTimeout != 0 && a.Provider == cloudrun.Provider}); err != nil {
		return Registration{}, err
	}
	if a.Project == "" {
		return Registration{}, delivery.Errorf(delivery.Invalid, "project is missing: the id of the Google Cloud project")
	}
	session, err := gcp.Open(ctx, gcp.Options{
		Account: a.Name, Project: a.Project, Impersonate: a.Impersonate, Endpoint: a.Endpoint, AccessToken: a.AccessToken,
	})
	if err != nil {
		return Registration{}, err
	}
	out := Registration{Account: a.account(a.Project), Open: map[string]Opener{
		cloudrun.Provider: func(region string) (delivery.Target, error) {
			return cloudrun.New(ctx, session, region, cloudrun.Options{Settle: a.Settle, Drain: a.Drain})
		},
	}}
	if a.Provider == mig.Provider {
		out.Account.Serves = []string{mig.Provider, cloudrun.Provider}
		out.Open[mig.Provider] = func(region string) (delivery.Target, error) {
			return mig.New(session, region, mig.Options{Settle: a.Settle, DrainingTimeout: a.DrainingTimeout, Drain: a.Drain})
		}
	}
	return out, nil
}
