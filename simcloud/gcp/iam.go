package gcp

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// tokenLife is how long an access token of a service account is valid when the caller asks for nothing else (IAM Service
// Account Credentials API, generateAccessToken: 3,600 s).
const tokenLife = time.Hour

func iamHandlers() map[string]handler {
	return map[string]handler{"IAMCredentials.GenerateAccessToken": handle((*call).generateAccessToken)}
}

// SeedServiceAccount makes a service account that a project's user may impersonate: what it does, it does in the project.
func (c *Cloud) SeedServiceAccount(project, email string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serviceAccounts[email] = c.projects[project]
}

// generateAccessToken gives out a token of a service account. Its lifetime passes in real time: that is what clients
// go by.
func (c *call) generateAccessToken(in *credentialspb.GenerateAccessTokenRequest) (*credentialspb.GenerateAccessTokenResponse, error) {
	email := nameOf(in.GetName())
	target := c.cloud.serviceAccounts[email]
	if target == nil {
		return nil, &apiError{status: http.StatusForbidden, errorInfo: "IAM_PERMISSION_DENIED",
			message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."}
	}
	life := tokenLife
	if in.GetLifetime().AsDuration() > 0 {
		life = in.GetLifetime().AsDuration()
	}
	expires := time.Now().Add(life)
	token := fmt.Sprintf("ya29.%s.%d", strings.ReplaceAll(email, "@", "."), c.cloud.newID())
	c.cloud.tokens[token] = principal{project: target, email: email, expires: expires}
	return &credentialspb.GenerateAccessTokenResponse{AccessToken: token, ExpireTime: timestamppb.New(expires)}, nil
}
