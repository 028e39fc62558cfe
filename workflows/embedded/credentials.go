package embedded

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/rpc/encryption"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	// nodeName is the subject of the services' certificate, for both ends.
	nodeName = "slipway-temporal-node"
	// clientName is the subject of this process's clients.
	clientName = "slipway-temporal-client"
	// lifetime of the certificates. They die with the process; this only has to
	// be longer than any process runs.
	lifetime = 20 * 365 * 24 * time.Hour
	// skew allows a clock that is set back after the start.
	skew = 365 * 24 * time.Hour
)

// credentials lets this process in and keeps everybody else out. All of it is
// made at the start and never leaves the memory.
//
// The history, matching and worker services have no authorizer, so TLS with a
// required client certificate guards all four ports. The frontend's authorizer
// adds the second lock: a caller is a service of the server by its certificate,
// or a client by its certificate and the secret.
type credentials struct {
	authorities  *x509.CertPool
	node, client tls.Certificate
	bearer       bearer
}

var (
	_ authorization.Authorizer  = (*credentials)(nil)
	_ authorization.ClaimMapper = (*credentials)(nil)
)

func newCredentials() (*credentials, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority key: %w", err)
	}
	template := certificate(1, "slipway-temporal-authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	c := &credentials{authorities: x509.NewCertPool(), bearer: newBearer()}
	c.authorities.AddCert(authority)
	if c.node, err = issue(certificate(2, nodeName), authority, key); err != nil {
		return nil, err
	}
	if c.client, err = issue(certificate(3, clientName), authority, key); err != nil {
		return nil, err
	}
	return c, nil
}

func certificate(serial int64, name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func issue(template, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key of %s: %w", template.Subject.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate of %s: %w", template.Subject.CommonName, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// serverTLS is what the services listen and call each other with.
func (c *credentials) serverTLS() encryption.TLSConfigProvider {
	listen := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.node},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.authorities,
	}
	dial := c.dial(c.node)
	return &encryption.FixedTLSConfigProvider{
		InternodeServerConfig: listen, InternodeClientConfig: dial,
		FrontendServerConfig: listen, FrontendClientConfig: dial,
	}
}

// clientTLS is what clients of this process call the frontend with.
func (c *credentials) clientTLS() *tls.Config { return c.dial(c.client) }

func (c *credentials) dial(as tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{as},
		RootCAs: c.authorities, ServerName: nodeName,
	}
}

// GetClaims makes an administrator of the server's own services and of a client
// with the secret. Denied for everybody else.
func (c *credentials) GetClaims(info *authorization.AuthInfo) (*authorization.Claims, error) {
	if info.TLSSubject == nil {
		return nil, delivery.Errorf(delivery.Denied, "call without a certificate")
	}
	switch info.TLSSubject.CommonName {
	case nodeName:
	case clientName:
		if subtle.ConstantTimeCompare([]byte(info.AuthToken), []byte(c.bearer.value())) != 1 {
			return nil, delivery.Errorf(delivery.Denied, "call without the secret of this start")
		}
	default:
		return nil, delivery.Errorf(delivery.Denied, "call by %s", info.TLSSubject.CommonName)
	}
	return &authorization.Claims{Subject: info.TLSSubject.CommonName, System: authorization.RoleAdmin}, nil
}

// Authorize allows a call that GetClaims let in, and no other.
func (c *credentials) Authorize(_ context.Context, caller *authorization.Claims, _ *authorization.CallTarget) (authorization.Result, error) {
	if caller == nil || caller.System != authorization.RoleAdmin {
		return authorization.Result{Decision: authorization.DecisionDeny}, nil
	}
	return authorization.Result{Decision: authorization.DecisionAllow}, nil
}

// bearer is the secret of one start. It redacts itself in prints and logs.
type bearer struct{ secret [32]byte }

func newBearer() bearer {
	var b bearer
	rand.Read(b.secret[:]) // never fails; the program ends when the system has no randomness
	return b
}

func (b bearer) value() string { return "Bearer " + hex.EncodeToString(b.secret[:]) }

// GetHeaders implements the SDK's HeadersProvider.
func (b bearer) GetHeaders(context.Context) (map[string]string, error) {
	return map[string]string{"authorization": b.value()}, nil
}

// Format implements fmt.Formatter, for every verb.
func (bearer) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }
