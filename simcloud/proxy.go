package simcloud

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

// trip is one request on its way through a load balancer; it travels in the request's context.
type trip struct {
	group   *TargetGroup
	target  *target
	started time.Time
}

type tripKey struct{}

func tripOf(ctx context.Context) *trip { return ctx.Value(tripKey{}).(*trip) }

// forward sends a request to a target of the group and answers with what it says. The request ends with the target's
// deregistration delay at the latest.
func (l *LoadBalancer) forward(w http.ResponseWriter, r *http.Request, group *TargetGroup) {
	chosen := group.pick()
	if chosen == nil {
		l.unavailable(w, http.StatusServiceUnavailable)
		return
	}
	defer group.done(chosen)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(chosen.life, cancel)()
	ctx = context.WithValue(ctx, tripKey{}, &trip{group: group, target: chosen, started: time.Now()})
	l.proxy.ServeHTTP(w, r.WithContext(ctx))
}

func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = tripOf(r.In.Context()).target.instance.reachable()
	r.Out.Host = r.In.Host
	r.SetXForwarded()
}

func countAnswer(response *http.Response) error {
	t := tripOf(response.Request.Context())
	t.group.answered(response.StatusCode, time.Since(t.started))
	return nil
}

// fail answers a request whose target did not: 504 for a timeout, else 502. A client that went away is not counted.
func (l *LoadBalancer) fail(w http.ResponseWriter, r *http.Request, err error) {
	t := tripOf(r.Context())
	status := http.StatusBadGateway
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		status = http.StatusGatewayTimeout
	}
	if errors.Is(err, context.Canceled) && t.target.life.Err() == nil {
		w.WriteHeader(status)
		return
	}
	t.group.unanswered(t.target, strconv.Itoa(status), err.Error())
	l.unavailable(w, status)
}

// unavailable answers as the load balancer does for itself.
func (l *LoadBalancer) unavailable(w http.ResponseWriter, status int) {
	if l.config.Unavailable != nil {
		contentType, body := l.config.Unavailable(status)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return
	}
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<html><head><title>" + text + "</title></head><body><center><h1>" + text +
		"</h1></center></body></html>\n"))
}

// buffers lends the buffers that bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 8<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
