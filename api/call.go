package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// maxBody bounds a request's body in bytes. Pipelines of hundreds of stages are
// well below it.
const maxBody = 1 << 20

const (
	bodyKey       = "body"
	idempotentKey = "idempotencyKey"
	jsonType      = "application/json; charset=utf-8"
)

// call makes a gin handler of a row: access rule, body, Idempotency-Key, handler.
func (s *Server) call(row route) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := s.serve(row, c); err != nil {
			s.fail(c, err)
		}
	}
}

func (s *Server) serve(row route, c *gin.Context) error {
	if err := checkPath(c); err != nil {
		return err
	}
	if err := s.authorizeRoute(c, row.access); err != nil {
		return err
	}
	if row.method == http.MethodGet || row.method == http.MethodDelete {
		return row.handle(s, c)
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	c.Set(bodyKey, body)
	if row.method == http.MethodPost && c.GetHeader("Idempotency-Key") != "" {
		return s.once(row, c, body)
	}
	return row.handle(s, c)
}

func readBody(c *gin.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: "payload_too_large", title: "The body is too large",
			message: fmt.Sprintf("the body is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, delivery.Errorf(delivery.Invalid, "read body: %w", err)
	}
	return body, nil
}

func bodyOf(c *gin.Context) []byte {
	body, _ := c.Get(bodyKey)
	b, _ := body.([]byte)
	return b
}

// once gives the first answer again to a request whose Idempotency-Key was seen
// with the same request. Only successes are kept: what was refused did nothing
// and may be tried again under its key.
func (s *Server) once(row route, c *gin.Context, body []byte) error {
	key := c.GetHeader("Idempotency-Key")
	if !printable(key, 255) {
		return &failure{status: http.StatusBadRequest, code: "invalid", title: "The request is not valid",
			message: "Idempotency-Key must be 1 to 255 visible ASCII characters"}
	}
	scope := row.method + " " + row.path + " " + principalOf(c).Name
	hash := requestHash(c, body)
	unlock := s.inFlight.lock(scope + "\x00" + key)
	defer unlock()

	kept, err := s.store.Response(c.Request.Context(), scope, key, hash)
	switch delivery.KindOf(err) {
	case delivery.NotFound:
	case delivery.Invalid:
		return reusedKey()
	default:
		if err != nil {
			return err
		}
		c.Header("Idempotent-Replayed", "true")
		return send(c, kept.Status, kept.Body)
	}
	c.Set(idempotentKey, acceptedKey{key: key, hash: hash})
	recorder := &bodyRecorder{ResponseWriter: c.Writer}
	c.Writer = recorder
	if err := row.handle(s, c); err != nil {
		return err
	}
	answer := delivery.StoredResponse{RequestHash: hash, Status: recorder.Status(), Body: recorder.body}
	if _, err := s.store.RememberResponse(c.Request.Context(), scope, key, answer); err != nil {
		// The answer is out. A start is kept under its key by the store itself;
		// other requests do the same again when they are repeated.
		s.log.WarnContext(c.Request.Context(), "response not kept", "request", requestID(c), "error", err.Error())
	}
	return nil
}

func reusedKey() error {
	return &failure{status: http.StatusUnprocessableEntity, code: "idempotency_key_reused", title: "The Idempotency-Key was used before",
		message: "this Idempotency-Key was used for another request", hint: "use a new key for a new request"}
}

// requestHash tells one request from another: path, query and body.
func requestHash(c *gin.Context, body []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.Request.URL.EscapedPath()), []byte(c.Request.URL.RawQuery), body} {
		fmt.Fprintf(h, "%d\x00", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// acceptedKey is a request's Idempotency-Key with the hash of the request.
type acceptedKey struct{ key, hash string }

func acceptedKeyOf(c *gin.Context) acceptedKey {
	value, _ := c.Get(idempotentKey)
	k, _ := value.(acceptedKey)
	return k
}

// bodyRecorder keeps a copy of what a handler writes.
type bodyRecorder struct {
	gin.ResponseWriter
	body []byte
}

func (r *bodyRecorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return r.ResponseWriter.Write(b)
}

// keyedLocks makes requests with the same key wait for each other.
type keyedLocks struct {
	mu    sync.Mutex
	locks map[string]*keyedLock
}

type keyedLock struct {
	mu    sync.Mutex
	users int
}

func (k *keyedLocks) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = make(map[string]*keyedLock)
	}
	l := k.locks[key]
	if l == nil {
		l = &keyedLock{}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.locks, key)
		}
	}
}
