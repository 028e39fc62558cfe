package embedded

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/server/common/log/tag"
)

func TestServerLogLevels(t *testing.T) {
	var out bytes.Buffer
	l := newServerLog(slog.New(slog.NewTextHandler(&out, nil)))
	with := l.With(tag.NewStringTag("service", "history"))
	with.Debug("chatter")
	with.Info("chatter")
	with.Warn("early")
	l.serving.Store(true)
	with.Warn("late", tag.Error(errors.New("cause")))
	l.serving.Store(false)
	with.Error("serious")
	text := out.String()
	for _, word := range []string{"chatter", "early"} {
		if strings.Contains(text, word) {
			t.Errorf("%q was logged: %s", word, text)
		}
	}
	for _, line := range []string{"level=WARN msg=late source=temporal service=history error=cause", "level=ERROR msg=serious source=temporal service=history"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q was not logged: %s", line, text)
		}
	}
}

func TestServerLogThrowsFatal(t *testing.T) {
	defer func() {
		if fatal, ok := recover().(*fatalError); !ok || fatal.Error() != "no port" {
			t.Errorf("thrown: %v", fatal)
		}
	}()
	newServerLog(slog.New(slog.DiscardHandler)).Fatal("no port")
}
