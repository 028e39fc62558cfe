package gcp

import (
	"context"
	"errors"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/slipway-cd/slipway/delivery"
)

// GRPCOptions returns the options of a client of the SDK that knows gRPC only.
// endpoint is host and port of a simulated service, which speaks without TLS;
// empty is the real one.
func (s *Session) GRPCOptions(endpoint string) []option.ClientOption {
	options := []option.ClientOption{
		option.WithoutAuthentication(), // the SDK's own: tokens come with each call
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(perCall{source: s.tokens, plain: endpoint != ""})),
	}
	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	return options
}

// perCall adds a token to every call.
type perCall struct {
	source *tokens
	plain  bool
}

// GetRequestMetadata returns the headers. Of what went wrong only the code comes
// through gRPC, so that it is chosen by the kind.
func (p perCall) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, charged, err := p.source.token(ctx)
	if err != nil {
		code := codes.Unauthenticated
		var own *delivery.Error
		if errors.As(err, &own) && own.Kind.Retryable() {
			code = codes.Unavailable
		}
		return nil, status.Error(code, err.Error())
	}
	out := map[string]string{"authorization": "Bearer " + token.Value}
	if charged != "" {
		out["x-goog-user-project"] = charged
	}
	return out, nil
}

// RequireTransportSecurity is true but for simulated services.
func (p perCall) RequireTransportSecurity() bool { return !p.plain }
