package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const (
	// eventPage is how many events are read from the store at once.
	eventPage = 256
	// eventPoll is how long a stream waits at most for another process's events,
	// which the store of this process is not told of.
	eventPoll = time.Second
	// eventWrite bounds one write to a client that does not read.
	eventWrite = 30 * time.Second
)

// streamEvents sends the progress of an execution as server-sent events: first
// what has happened, then what happens, until the execution and its deployments
// are over. Last-Event-ID resumes after that event. A stream that is resumed
// after its end is answered 204, which makes browsers stop reconnecting.
func (s *Server) streamEvents(c *gin.Context) error {
	q := queryOf(c)
	follow := q.flag("follow", true)
	after, err := lastEventID(c, q)
	if err != nil {
		return err
	}
	e, err := s.executionOf(c, read, "", "Execution")
	if err != nil {
		return err
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	stream := &eventStream{c: c, execution: e.ID, after: after}
	changes, cancel := s.store.Subscribe()
	defer cancel()
	for silent := s.now(); ; {
		over, err := s.isOver(c.Request.Context(), e.ID) // before the events are read, so that the last ones are among them
		if err != nil {
			return err
		}
		sent, err := s.sendEvents(stream)
		if err != nil {
			return err
		}
		if over || !follow {
			return stream.end(over)
		}
		if sent > 0 {
			silent = s.now()
		} else if !stream.open || s.now().Sub(silent) >= s.heartbeat {
			silent = s.now()
			if err := stream.comment(); err != nil {
				return err
			}
		}
		select {
		case <-changes:
		case <-time.After(min(eventPoll, s.heartbeat)):
		case <-s.stopped:
			return nil
		case <-c.Request.Context().Done():
			return nil
		}
	}
}

func lastEventID(c *gin.Context, q *query) (int64, error) {
	text := c.GetHeader("Last-Event-ID")
	if text == "" {
		text = q.text("lastEventId")
	}
	if text == "" {
		return 0, q.err()
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		q.refuse("lastEventId", "Last-Event-ID must be the id of an event: a whole number")
	}
	return id, q.err()
}

// isOver reports whether nothing more will happen: the execution and all of its
// deployments are complete. A canceled execution may still be rolling back.
func (s *Server) isOver(ctx context.Context, id delivery.ExecutionID) (bool, error) {
	e, err := s.store.Execution(ctx, id)
	if err != nil || !e.Status.Complete() {
		return false, err
	}
	deployments, err := s.store.Deployments(ctx, id)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(deployments, func(d delivery.Deployment) bool { return !d.Status.Complete() }), nil
}

// sendEvents sends what was recorded since the last call and says how much it was.
func (s *Server) sendEvents(stream *eventStream) (int, error) {
	for sent := 0; ; {
		events, err := s.store.Events(stream.c.Request.Context(), stream.execution, stream.after, eventPage)
		if err != nil {
			return sent, err
		}
		for _, event := range events {
			if err := stream.send(event); err != nil {
				return sent, err
			}
			sent++
		}
		if len(events) < eventPage {
			return sent, stream.flush()
		}
	}
}

// eventStream writes server-sent events to one client.
type eventStream struct {
	c         *gin.Context
	execution delivery.ExecutionID
	// after is the id of the last event that was sent or that the client had.
	after int64
	open  bool
}

func (t *eventStream) start() error {
	if t.open {
		return nil
	}
	t.open = true
	// The server's ReadTimeout counts from the start of the request; past it the
	// request's context would be canceled. A writer without deadlines has none.
	if err := http.NewResponseController(t.c.Writer).SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("clear read deadline: %w", err)
	}
	t.c.Header("Content-Type", "text/event-stream; charset=utf-8")
	t.c.Header("X-Accel-Buffering", "no")
	t.c.Status(http.StatusOK)
	t.c.Writer.WriteHeaderNow()
	return nil
}

func (t *eventStream) send(e delivery.Event) error {
	data, err := json.Marshal(presentEvent(e))
	if err != nil {
		return fmt.Errorf("encode event %d: %w", e.ID, err)
	}
	t.after = e.ID
	return t.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data))
}

// comment keeps proxies from closing a silent stream.
func (t *eventStream) comment() error {
	if err := t.write(": alive\n\n"); err != nil {
		return err
	}
	return t.flush()
}

func (t *eventStream) write(text string) error {
	if err := t.start(); err != nil {
		return err
	}
	// A writer without deadlines has no slow client either.
	err := http.NewResponseController(t.c.Writer).SetWriteDeadline(time.Now().Add(eventWrite))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := t.c.Writer.WriteString(text); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

func (t *eventStream) flush() error {
	if t.open {
		t.c.Writer.Flush()
	}
	return nil
}

// end closes a stream after its last event. Nothing more will ever come when the
// execution is over.
func (t *eventStream) end(over bool) error {
	if t.open {
		return t.flush()
	}
	if over && t.after > 0 {
		return send(t.c, http.StatusNoContent, nil)
	}
	if err := t.start(); err != nil {
		return err
	}
	return t.flush()
}

func presentEvent(e delivery.Event) v1.Event {
	return v1.Event{ID: e.ID, Execution: string(e.Execution), Key: e.Key, At: v1.MillisOf(e.At), Type: string(e.Type), Data: orEmpty(e.Data)}
}
