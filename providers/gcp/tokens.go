package gcp

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"cloud.google.com/go/auth/httptransport"
	"cloud.google.com/go/compute/metadata"
	"google.golang.org/api/googleapi"

	"github.com/slipway-cd/slipway/delivery"
)

// scope covers all APIs; what the account may do is decided by its roles.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// tokens is a source of access tokens: a fixed one, application default
// credentials, or a service account's. Looking for default credentials may ask
// the machine's metadata server, so it happens at the first use; a search that
// failed is made anew at the next.
type tokens struct {
	account     string
	static      Secret
	impersonate string
	exchange    *http.Client // authorized for the base credentials; with impersonate

	mu    sync.Mutex
	found *auth.Credentials
}

// token returns a valid token and the project that is charged for calls, which
// is empty except with credentials of a person.
func (t *tokens) token(ctx context.Context) (*auth.Token, string, error) {
	if t.static != "" {
		return &auth.Token{Value: string(t.static)}, "", nil
	}
	found, err := t.credentials()
	if err != nil {
		return nil, "", t.refused(err)
	}
	token, err := found.Token(ctx)
	if err != nil {
		return nil, "", t.refused(err)
	}
	charged, err := found.QuotaProjectID(ctx)
	if err != nil {
		return nil, "", t.refused(err)
	}
	return token, charged, nil
}

func (t *tokens) credentials() (*auth.Credentials, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found != nil {
		return t.found, nil
	}
	var found *auth.Credentials
	var err error
	if t.impersonate != "" {
		found, err = impersonate.NewCredentials(&impersonate.CredentialsOptions{
			TargetPrincipal: t.impersonate, Scopes: []string{scope}, Client: t.exchange,
		})
	} else {
		found, err = credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}, UseSelfSignedJWT: true})
	}
	if err != nil {
		return nil, err
	}
	t.found = found
	return found, nil
}

// refused gives a failure to get a token its kind. Of the cause it keeps the
// text alone: "not found" from the token service says nothing about the resource
// that the call was for, and the SDK would take it for the call's own answer.
func (t *tokens) refused(err error) error {
	var own *delivery.Error
	if errors.As(err, &own) {
		return err // of the base credentials
	}
	out := &delivery.Error{Kind: delivery.Denied, Message: "get a token of account " + t.account, Cause: errors.New(err.Error())}
	if t.impersonate != "" {
		out.Message = "get a token of service account " + t.impersonate
	}
	switch status := answerOfTokens(err); {
	case status == http.StatusTooManyRequests:
		out.Kind = delivery.Throttled
	case status == http.StatusRequestTimeout, status >= 500, status == 0 && unreachable(err):
		out.Kind = delivery.Transient
	}
	return out
}

// answerOfTokens returns the HTTP status in a failure to get a token; zero when
// nobody answered.
func answerOfTokens(err error) int {
	var api *googleapi.Error
	var oauth *auth.Error
	var machine *metadata.Error
	switch {
	case errors.As(err, &api):
		return api.Code
	case errors.As(err, &oauth) && oauth.Response != nil:
		return oauth.Response.StatusCode
	case errors.As(err, &machine):
		return machine.Code
	default:
		return 0
	}
}

// authorized adds a token to every request.
type authorized struct {
	source *tokens
	base   http.RoundTripper
}

func (a authorized) RoundTrip(request *http.Request) (*http.Response, error) {
	token, charged, err := a.source.token(request.Context())
	if err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	out := request.Clone(request.Context())
	httptransport.SetAuthHeader(token, out)
	if charged != "" {
		out.Header.Set("X-Goog-User-Project", charged)
	}
	return a.base.RoundTrip(out)
}

// checked turns a refusal into an error that carries its status: the package
// that fetches tokens of service accounts keeps only its text.
type checked struct{ base http.RoundTripper }

func (c checked) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := c.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if err := googleapi.CheckResponse(answer); err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
}
