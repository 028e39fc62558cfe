package gcp

import (
	"context"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func monitoringHandlers() map[string]handler {
	return map[string]handler{
		"MetricService.ListTimeSeries":        handle((*call).listTimeSeries),
		"MetricService.CreateTimeSeries":      handle((*call).createTimeSeries),
		"MetricService.ListMetricDescriptors": handle((*call).listMetricDescriptors),
	}
}

// Monitoring returns a server of Cloud Monitoring: its clients speak gRPC. Tokens, faults, limits and events are those of
// the other services. The caller serves and stops it.
func (c *Cloud) Monitoring() *grpc.Server {
	server := grpc.NewServer(grpc.UnaryInterceptor(c.intercept))
	monitoringpb.RegisterMetricServiceServer(server, &monitoringpb.UnimplementedMetricServiceServer{})
	return server
}

// intercept answers every call: the registered server only tells which methods there are.
func (c *Cloud) intercept(ctx context.Context, in any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	asked := time.Now()
	name := strings.ReplaceAll(strings.TrimPrefix(info.FullMethod, "/google.monitoring.v3."), "/", ".")
	e := &exchange{cloud: c, method: c.router.methods[serviceMonitoring+"/"+name]}
	if named, ok := in.(interface{ GetName() string }); ok {
		e.path = named.GetName()
	}
	output, refusal := e.answerMessage(ctx, in.(proto.Message))
	e.record(refusal)
	switch {
	case !wait(ctx, c.options.Latency-time.Since(asked)):
		return nil, status.FromContextError(ctx.Err()).Err()
	case e.broken: // what a client makes of a connection that breaks
		return nil, status.Error(codes.Unavailable, "error reading from server: connection reset by peer")
	case refusal != nil:
		return nil, refusal.rpc(serviceMonitoring)
	default:
		return output, nil
	}
}

func (e *exchange) answerMessage(ctx context.Context, input proto.Message) (proto.Message, *apiError) {
	var authorization string
	if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get("authorization")) > 0 {
		authorization = md.Get("authorization")[0]
	}
	if refusal := e.authenticate(authorization); refusal != nil {
		return nil, refusal
	}
	e.request = fromMessage(e.method, input)
	if refusal := e.request.check(); refusal != nil {
		return nil, refusal
	}
	return e.carryOut(ctx)
}

// fromMessage is the request that came as a message. Numbers, booleans and enums are given, as far as one can tell: on
// the wire their zero value looks as if they were not.
func fromMessage(m *method, input proto.Message) *request {
	r := &request{method: m, input: input, given: map[string]bool{}}
	fields := input.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !field.HasPresence() && !field.IsList() && !field.IsMap() && field.Kind() != protoreflect.StringKind {
			r.given[string(field.Name())] = true
		}
	}
	return r
}

// rpc is the error as gRPC carries it.
func (e *apiError) rpc(service string) error {
	out := status.New(codes.Code(code.Code_value[e.canonical()]), e.message)
	if e.errorInfo != "" {
		detailed, err := out.WithDetails(&errdetails.ErrorInfo{Reason: e.errorInfo, Domain: service + ".googleapis.com"})
		if err == nil {
			out = detailed
		}
	}
	return out.Err()
}
