package providers

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/asg"
)

func openAWS(ctx context.Context, a AccountConfig) (Registration, error) {
	if err := a.refuse(map[string]bool{"project": a.Project != "", "impersonate": a.Impersonate != "",
		"accessToken": a.AccessToken != "", "drainingTimeout": a.DrainingTimeout != 0}); err != nil {
		return Registration{}, err
	}
	session, err := aws.Open(ctx, aws.Options{
		Account: a.Name, AccountID: a.AccountID, RoleARN: a.AssumeRole, ExternalID: a.ExternalID,
		Endpoint: a.Endpoint, AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey,
	})
	if err != nil {
		return Registration{}, err
	}
	return Registration{Account: a.account(a.AccountID), Open: map[string]Opener{
		asg.Provider: func(region string) (delivery.Target, error) {
			return asg.New(session, region, asg.Options{
				Settle: a.Settle, DeregistrationDelay: a.DeregistrationDelay, Drain: a.Drain, ImageOwners: a.ImageOwners,
			}), nil
		},
	}}, nil
}
