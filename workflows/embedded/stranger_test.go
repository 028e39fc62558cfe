package embedded

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/api/historyservice/v1"
	"go.temporal.io/server/api/matchingservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func startServer(t *testing.T) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// calls has one call that each service answers to who is let in.
func calls() [services]func(t *testing.T, c *grpc.ClientConn) error {
	return [services]func(*testing.T, *grpc.ClientConn) error{
		frontend: func(t *testing.T, c *grpc.ClientConn) error {
			_, err := workflowservice.NewWorkflowServiceClient(c).ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
			return err
		},
		history: func(t *testing.T, c *grpc.ClientConn) error {
			_, err := historyservice.NewHistoryServiceClient(c).DescribeHistoryHost(t.Context(), &historyservice.DescribeHistoryHostRequest{})
			return err
		},
		matching: func(t *testing.T, c *grpc.ClientConn) error {
			_, err := matchingservice.NewMatchingServiceClient(c).ListTaskQueuePartitions(t.Context(), &matchingservice.ListTaskQueuePartitionsRequest{})
			return err
		},
		worker: func(t *testing.T, c *grpc.ClientConn) error {
			_, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			return err
		},
	}
}

func connect(t *testing.T, address string, with grpccredentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(with))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestStrangersAreRefusedOnEveryPort tries what another user of the machine can
// try, and one call with the server's own certificate, which shows that the call
// itself is sound.
func TestStrangersAreRefusedOnEveryPort(t *testing.T) {
	s := startServer(t)
	foreign, err := newCredentials()
	if err != nil {
		t.Fatal(err)
	}
	strangers := map[string]grpccredentials.TransportCredentials{
		"plain text":               insecure.NewCredentials(),
		"TLS without certificate":  grpccredentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
		"certificate of its own":   grpccredentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{foreign.node}}),
		"an earlier start's trust": grpccredentials.NewTLS(foreign.dial(foreign.node)),
	}
	for name, with := range strangers {
		for service, call := range calls() {
			t.Run(fmt.Sprintf("%s/%s", name, names()[service]), func(t *testing.T) {
				err := call(t, connect(t, s.ports.address(serviceAt(service)), with))
				if status.Code(err) != codes.Unavailable {
					t.Errorf("error = %v, want a connection that cannot be made", err)
				}
			})
		}
	}
	for service, call := range calls() {
		t.Run(fmt.Sprintf("the server itself/%s", names()[service]), func(t *testing.T) {
			err := call(t, connect(t, s.ports.address(serviceAt(service)), grpccredentials.NewTLS(s.credentials.dial(s.credentials.node))))
			if code := status.Code(err); code == codes.Unavailable || code == codes.PermissionDenied {
				t.Errorf("error = %v, want an answer", err)
			}
		})
	}
}

func serviceAt(i int) service { return service(i) }

// TestFrontendAsksForTheSecret has the client's certificate and lacks or forges
// the secret.
func TestFrontendAsksForTheSecret(t *testing.T) {
	s := startServer(t)
	c := connect(t, s.ports.address(frontend), grpccredentials.NewTLS(s.credentials.clientTLS()))
	for _, row := range []struct {
		name, header string
		want         codes.Code
	}{
		{"none", "", codes.PermissionDenied},
		{"another", newBearer().value(), codes.PermissionDenied},
		{"cut short", s.credentials.bearer.value()[:40], codes.PermissionDenied},
		{"this start's", s.credentials.bearer.value(), codes.OK},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx := t.Context()
			if row.header != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", row.header)
			}
			_, signal := workflowservice.NewWorkflowServiceClient(c).ListOpenWorkflowExecutions(ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: Namespace})
			_, operate := operatorservice.NewOperatorServiceClient(c).ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: Namespace})
			_, health := grpc_health_v1.NewHealthClient(c).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "temporal.api.workflowservice.v1.WorkflowService"})
			for what, err := range map[string]error{"workflow service": signal, "operator service": operate, "health": health} {
				if got := status.Code(err); got != row.want {
					t.Errorf("%s: %v (%v), want %v", what, got, err, row.want)
				}
			}
		})
	}
	t.Run("SDK client without it", func(t *testing.T) {
		options := s.ClientOptions()
		options.HeadersProvider = nil
		if c, err := client.DialContext(t.Context(), options); err == nil {
			c.Close()
			t.Error("the client was let in")
		}
	})
}

func TestSecretsAreNotPrinted(t *testing.T) {
	b := newBearer()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", b, "b", &b)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", b, "b", &b)
	text := fmt.Sprintf("%v %+v %#v %s %x %d %v", b, b, b, b, b, b, &b) + log.String()
	for _, secret := range []string{b.value()[7:], fmt.Sprint(b.secret), fmt.Sprint(b.secret[0], b.secret[1])} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
}
