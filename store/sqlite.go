package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store/migrations"
)

const (
	// readers bounds concurrent reads; in WAL mode they wait for nobody.
	readers = 8
	// wholeCheck is the size in bytes up to which every page of the file is
	// checked at open. It takes about a second at this size; a larger file is
	// checked as its pages are read.
	wholeCheck = 256 << 20
)

// pragma is a setting that must be in force on every connection, with the value
// that SQLite reports when it is.
type pragma struct{ name, value, reported string }

func pragmas() []pragma {
	return []pragma{
		// A commit appends to the log, and readers do not wait for the writer.
		{"journal_mode", "wal", "wal"},
		// A commit is on the disk before it returns, power loss included.
		{"synchronous", "full", "2"},
		// Milliseconds. Only a backup or a foreign process can hold the lock.
		{"busy_timeout", "10000", "10000"},
		{"foreign_keys", "on", "1"},
	}
}

// Open opens the file, creates it when it is missing, and brings its schema up
// to date. Unavailable, with the path and what to do, when the folder cannot be
// written, the file is damaged, or a newer version of Slipway wrote it.
func Open(ctx context.Context, config Config) (*Store, error) {
	path, err := filepath.Abs(config.Path)
	if err != nil {
		return nil, fmt.Errorf("resolve path %s: %w", config.Path, err)
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	s := &Store{path: path, listeners: map[chan struct{}]struct{}{}}
	if s.writes, err = sql.Open("sqlite", dsn(path, "immediate")); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s.writes.SetMaxOpenConns(1)
	if s.reads, err = sql.Open("sqlite", dsn(path, "deferred", "query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.writes.Close())
	}
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(s.classify(err), s.Close())
	}
	return s, nil
}

// prepareFile creates the folder (0700) and the file (0600; SQLite gives its log
// the same mode) and proves that both can be written.
func prepareFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return delivery.Errorf(delivery.Unavailable, "data folder %s cannot be created; choose another or correct its parent: %w", dir, err)
	}
	probe, err := os.CreateTemp(dir, ".write-probe-*")
	if err != nil {
		return delivery.Errorf(delivery.Unavailable, "data folder %s cannot be written; correct its owner and mode or choose another: %w", dir, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return delivery.Errorf(delivery.Unavailable, "data folder %s cannot be written: %w", dir, err)
	}
	// An existing file is not touched here: closing a file drops the locks that
	// this process holds on it.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return delivery.Errorf(delivery.Unavailable, "store %s cannot be created; correct its folder's owner and mode: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return delivery.Errorf(delivery.Unavailable, "store %s cannot be closed: %w", path, err)
	}
	return nil
}

// dsn puts every pragma into the data source's name, so that each connection the
// pools ever open has them.
func dsn(path, lock string, more ...string) string {
	query := url.Values{"_txlock": {lock}}
	for _, p := range pragmas() {
		query.Add("_pragma", fmt.Sprintf("%s(%s)", p.name, p.value))
	}
	for _, p := range more {
		query.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

func (s *Store) start(ctx context.Context) error {
	for _, db := range []*sql.DB{s.writes, s.reads} {
		if err := s.verifyPragmas(ctx, db); err != nil {
			return err
		}
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	return s.migrate(ctx)
}

// verifyPragmas reads the settings back: a file system without shared memory
// silently refuses WAL, and a misspelt pragma is silently ignored.
func (s *Store) verifyPragmas(ctx context.Context, db *sql.DB) error {
	for _, p := range pragmas() {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return fmt.Errorf("read pragma %s: %w", p.name, err)
		}
		if !strings.EqualFold(got, p.reported) {
			return delivery.Errorf(delivery.Unavailable, "store %s: pragma %s is %s, not %s; put the data folder on a local file system",
				s.path, p.name, got, p.reported)
		}
	}
	return nil
}

// check looks for damage before anything is written.
func (s *Store) check(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("stat %s: %w", s.path, err)
	}
	if info.Size() > wholeCheck {
		return nil
	}
	var verdict string
	if err := s.writes.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	if verdict != "ok" {
		return s.damaged(verdict)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := migrations.SQLite()
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.writes, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > newest {
		return delivery.Errorf(delivery.Unavailable, "store %s has schema version %d and this program knows %d; run the newer version that wrote it",
			s.path, current, newest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	return nil
}

func (s *Store) damaged(reason string) error {
	return delivery.Errorf(delivery.Unavailable, "store %s is damaged (%s); restore it from a backup, or move it away to start empty", s.path, reason)
}

// classify gives SQLite's own troubles a kind and a text that names the file and
// what to do. Every other error stays as it is.
func (s *Store) classify(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the low byte is the primary code, the rest says more
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return s.damaged(e.Error())
	case sqlite3.SQLITE_FULL:
		return delivery.Errorf(delivery.Unavailable, "store %s: the disk is full; make room: %w", s.path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
		return delivery.Errorf(delivery.Unavailable, "store %s cannot be read and written; check its folder's owner, mode and disk: %w", s.path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return delivery.Errorf(delivery.Unavailable, "store %s is locked by another process: %w", s.path, err)
	default:
		return err
	}
}
