package simulator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// LockFile is the name of the file in [Options].Dir that a running simulator has locked.
const LockFile = "simulator.lock"

// ErrRunning tells that another simulator serves the folder.
var ErrRunning = errors.New("another simulator is running for this folder")

// Run starts a simulator and serves until it is told to stop (POST /stop on the control API, SIGINT, SIGTERM, the end of
// ctx) or hears no heartbeat for IdleTimeout. It holds a lock on Dir, and returns [ErrRunning] when somebody else does.
func Run(ctx context.Context, options Options) error {
	options = options.withDefaults()
	lock := flock.New(filepath.Join(options.Dir, LockFile))
	held, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	if !held {
		return fmt.Errorf("lock %s: %w", lock.Path(), ErrRunning)
	}
	defer func() { _ = lock.Unlock() }()
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	s, err := Start(ctx, options)
	if err != nil {
		return err
	}
	defer s.Close()
	options.Logger.Info("simulator ready", "aws", s.endpoints.AWS, "control", s.endpoints.Control, "dir", options.Dir)
	options.Logger.Info("simulator ends", "reason", s.wait(ctx))
	return nil
}

// wait returns why the simulator should end.
func (s *Simulator) wait(ctx context.Context) string {
	for {
		left := time.Until(time.Unix(0, s.beat.Load()).Add(s.options.IdleTimeout))
		if left <= 0 {
			return "no heartbeat"
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "interrupted"
		case <-s.stop:
			timer.Stop()
			return "asked to stop"
		case <-timer.C:
		}
	}
}
