package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"github.com/slipway-cd/slipway/delivery"
)

// folder is the server's folder, locked for this process:
//
//	slipway.lock          held by the process that uses the folder; names its pid
//	temporal.stamp.json   which server made the files
//	temporal.db           workflows, histories, timers, queues
//	visibility.db         what can be listed
//	aside-<time>/         files of another server version
type folder struct {
	dir  string
	lock *flock.Flock
}

func (f *folder) defaultDB() string    { return filepath.Join(f.dir, "temporal.db") }
func (f *folder) visibilityDB() string { return filepath.Join(f.dir, "visibility.db") }
func (f *folder) databases() []string  { return []string{f.defaultDB(), f.visibilityDB()} }
func (f *folder) stampFile() string    { return filepath.Join(f.dir, "temporal.stamp.json") }

// openFolder locks the folder and leaves sound files of this server in it.
func openFolder(ctx context.Context, dir string, logger *slog.Logger) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve folder %s: %w", dir, err)
	}
	f := &folder{dir: dir}
	if err := f.acquire(); err != nil {
		return nil, err
	}
	if err := f.prepare(ctx, logger); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) acquire() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be created; choose another or correct its parent: %w", f.dir, err)
	}
	if err := os.Chmod(f.dir, 0o700); err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s is not ours; correct its owner: %w", f.dir, err)
	}
	path := filepath.Join(f.dir, "slipway.lock")
	f.lock = flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	locked, err := f.lock.TryLock()
	if err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be locked; correct its owner and mode: %w", f.dir, err)
	}
	if !locked {
		return delivery.Errorf(delivery.Unavailable, "folder %s is in use by another process%s; stop it or choose another folder", f.dir, holder(path))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return errors.Join(delivery.Errorf(delivery.Unavailable, "folder %s cannot be written: %w", f.dir, err), f.close())
	}
	return nil
}

// holder names the process in a lock file as far as it is known.
func holder(lockFile string) string {
	b, err := os.ReadFile(lockFile)
	pid := strings.TrimSpace(string(b))
	if err != nil || pid == "" {
		return ""
	}
	return " (pid " + pid + ")"
}

// close gives the folder free. The lock file stays: removing it would let two
// processes hold locks on two files of one name.
func (f *folder) close() error {
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("unlock folder %s: %w", f.dir, err)
	}
	return nil
}

// prepare is safe to be killed at any point: the stamp is changed only when no
// file of another server is left, and files are created after the stamp.
func (f *folder) prepare(ctx context.Context, logger *slog.Logger) error {
	ours, err := currentStamp()
	if err != nil {
		return err
	}
	present, err := f.readStamp()
	if err != nil {
		return err
	}
	if present != ours {
		if err := f.retire(ctx, present, logger); err != nil {
			return err
		}
		if err := f.writeStamp(ours); err != nil {
			return err
		}
	}
	for _, path := range f.databases() {
		if err := createDatabase(ctx, path); err != nil {
			return err
		}
		if err := checkDatabase(ctx, path); err != nil {
			return err
		}
	}
	return createNamespace(f.defaultDB())
}
