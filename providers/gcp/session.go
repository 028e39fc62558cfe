package gcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/api/option"

	"github.com/slipway-cd/slipway/delivery"
)

// attemptTimeout bounds one HTTP exchange, with the fetching of a token when one
// is due: three of them fit in the 30 s of a change.
const attemptTimeout = 8 * time.Second

// Options says how to reach one account. The zero value of what is optional uses
// application default credentials against the real Google Cloud.
type Options struct {
	// Account is the configured name, used in messages.
	Account string
	// Project is the id of the project, for example "shop-prod". Required.
	Project string
	// Impersonate is the e-mail address of the service account whose tokens are
	// used; the base credentials must be allowed to create them. Empty for none.
	Impersonate string
	// Endpoint replaces the address of every service, for a simulated account.
	Endpoint string
	// AccessToken replaces application default credentials. It is meant for
	// simulated accounts; real ones take their credentials from the environment.
	AccessToken Secret
}

// Secret is a text that does not print itself.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[hidden]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[hidden]" }

// Session is an account's way into Google Cloud. It is safe for concurrent use.
type Session struct {
	account  string
	project  string
	endpoint string
	client   *http.Client
}

// Open prepares a session. It makes no call to Google Cloud: wrong or missing
// credentials show at the first use.
func Open(_ context.Context, o Options) (*Session, error) {
	if o.Project == "" {
		return nil, delivery.Errorf(delivery.Invalid, "account %s names no project", o.Account)
	}
	connections := http.DefaultTransport.(*http.Transport).Clone()
	connections.MaxIdleConnsPerHost = 100 // as the SDK's own client; all calls go to few hosts
	source := &tokens{account: o.Account, static: o.AccessToken}
	if o.Impersonate != "" {
		exchange := http.RoundTripper(connections)
		if o.Endpoint != "" {
			to, err := url.Parse(o.Endpoint)
			if err != nil || to.Host == "" {
				return nil, delivery.Errorf(delivery.Invalid, "account %s: %q is no address of an endpoint", o.Account, o.Endpoint)
			}
			exchange = redirected{to: to, base: connections}
		}
		base := source
		source = &tokens{account: o.Account, impersonate: o.Impersonate,
			exchange: &http.Client{Transport: checked{authorized{source: base, base: exchange}}}}
	}
	return &Session{
		account: o.Account, project: o.Project, endpoint: o.Endpoint,
		client: &http.Client{Timeout: attemptTimeout, Transport: authorized{source: source, base: connections}},
	}, nil
}

// Account returns the configured name of the account.
func (s *Session) Account() string { return s.account }

// Project returns the id of the account's project.
func (s *Session) Project() string { return s.project }

// ClientOptions returns the options of a REST client of the SDK. Connections and
// tokens are shared by all clients of the session.
func (s *Session) ClientOptions() []option.ClientOption {
	options := []option.ClientOption{option.WithHTTPClient(s.client)}
	if s.endpoint != "" {
		options = append(options, option.WithEndpoint(s.endpoint))
	}
	return options
}

// redirected sends every request to another address: the package that fetches
// tokens of service accounts knows the real one only.
type redirected struct {
	to   *url.URL
	base http.RoundTripper
}

func (r redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	out := request.Clone(request.Context())
	out.URL.Scheme, out.URL.Host, out.Host = r.to.Scheme, r.to.Host, r.to.Host
	answer, err := r.base.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", r.to.Host, err)
	}
	return answer, nil
}
