package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	requestIDHeader = "X-SPINNAKER-REQUEST-ID"
	requestIDKey    = "requestID"
	errorKey        = "error"
)

// identify gives the request its id: the client's own, or a new one.
func identify(c *gin.Context) {
	id := c.GetHeader(requestIDHeader)
	if !printable(id, 128) {
		id = ulid.Make().String()
	}
	c.Set(requestIDKey, id)
	c.Header(requestIDHeader, id)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
}

func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

// observe writes one log line and one measurement for each request.
func (s *Server) observe(c *gin.Context) {
	start := s.now()
	c.Next()
	took := s.now().Sub(start)
	status := c.Writer.Status()
	s.metrics.request(c.Request.Method, c.FullPath(), status, took)

	level := slog.LevelDebug
	if c.Request.Method != http.MethodGet || status >= http.StatusBadRequest {
		level = slog.LevelInfo
	}
	attributes := []slog.Attr{
		slog.String("method", c.Request.Method), slog.String("path", c.Request.URL.EscapedPath()),
		slog.Int("status", status), slog.Duration("took", took),
		slog.String("request", requestID(c)), slog.String("user", principalOf(c).Name),
	}
	if err, failed := errorOf(c); failed {
		attributes = append(attributes, slog.String("error", err.Error()))
		if status == http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	s.log.LogAttrs(c.Request.Context(), level, "request", attributes...)
}

func errorOf(c *gin.Context) (error, bool) {
	value, _ := c.Get(errorKey)
	err, ok := value.(error)
	return err, ok
}

// fail renders an error and keeps it for the log.
func (s *Server) fail(c *gin.Context, err error) {
	c.Set(errorKey, err)
	if c.Writer.Written() {
		c.Abort() // a stream broke off; its status is gone out already
		return
	}
	s.renderProblem(c, err)
}

// rescue turns a panic of a handler into a 500.
func (s *Server) rescue(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		s.fail(c, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	}()
	c.Next()
}

// guardBrowsers refuses what a web page of another site makes a browser on this
// machine send: requests to a foreign host name that resolves to loopback (DNS
// rebinding), and writes from another origin. Programs are not affected.
func (s *Server) guardBrowsers() gin.HandlerFunc {
	origins := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		if !s.knownHost(c.Request.Host) {
			s.fail(c, &failure{status: http.StatusForbidden, code: "host_not_allowed", title: "Access is denied",
				message: "this host name is not allowed", hint: "use localhost or 127.0.0.1"})
			return
		}
		if err := origins.Check(c.Request); err != nil {
			s.fail(c, delivery.Errorf(delivery.Denied, "cross-origin request: %w", err))
		}
	}
}

func (s *Server) knownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "localhost" || slices.Contains(s.hosts, name) {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// noRoute answers a path that no route has.
func (s *Server) noRoute(c *gin.Context) {
	s.fail(c, &failure{status: http.StatusNotFound, code: "no_such_path", title: "Not found",
		message: "no such path: " + c.Request.URL.EscapedPath(), hint: "GET /openapi.yaml lists every path"})
}

// noMethod answers a path that has routes for other methods; gin has set Allow.
func (s *Server) noMethod(c *gin.Context) {
	s.fail(c, &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", title: "Method not allowed",
		message: c.Request.Method + " is not allowed here; allowed: " + c.Writer.Header().Get("Allow")})
}
