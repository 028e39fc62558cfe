package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-cd/slipway/delivery"
)

// wholeCheck is the size in bytes up to which every page of a file is checked at
// the start, about a second's work.
const wholeCheck = 256 << 20

// openDatabase opens a file outside the server; its plugin never closes a
// connection it opened once.
func openDatabase(path string) (*sql.DB, error) {
	query := url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(wal)", "synchronous(full)", "busy_timeout(10000)"}}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open(sqlite.PluginName, u.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// createDatabase makes the file (0600; SQLite gives its logs the same mode) and
// the server's schema, in one transaction, where they are missing.
func createDatabase(ctx context.Context, path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
	case err != nil:
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be written; correct its owner and mode: %w", filepath.Dir(path), err)
	default:
		if err := file.Close(); err != nil {
			return fmt.Errorf("close %s: %w", path, err)
		}
	}
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return unusable(path, err)
	}
	defer tx.Rollback() // no effect after the commit
	var tables int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&tables); err != nil {
		return unusable(path, err)
	}
	if tables > 0 {
		return nil
	}
	if err := sqliteschema.SetupSchemaOnDB(&schemaSink{exec: func(statement string) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	}}); err != nil {
		return unusable(path, err)
	}
	if err := tx.Commit(); err != nil {
		return unusable(path, err)
	}
	return nil
}

// checkDatabase looks for damage and reads back that the write-ahead log is in use.
func checkDatabase(ctx context.Context, path string) (err error) {
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return unusable(path, err)
	}
	if mode != "wal" {
		return delivery.Errorf(delivery.Unavailable, "%s has journal mode %s, not wal; put the folder on a local file system", path, mode)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if info.Size() > wholeCheck {
		return nil
	}
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return unusable(path, err)
	}
	if verdict != "ok" {
		return unusable(path, errors.New(verdict))
	}
	return nil
}

func unusable(path string, err error) error {
	return delivery.Errorf(delivery.Unavailable,
		"%s is damaged or cannot be written; restore it from a backup, or move its folder away to give up the open workflows: %w", path, err)
}

// openWorkflows counts the open workflows in a file, the server's own excepted.
// A missing file holds none.
func openWorkflows(ctx context.Context, path string) (open int, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	db, err := openDatabase(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&tables); err != nil {
		return 0, unusable(path, err)
	}
	if tables == 0 { // killed before the schema was made
		return 0, nil
	}
	const completed = 3 // WORKFLOW_EXECUTION_STATE_COMPLETED
	system := primitives.MustParseUUID(primitives.SystemNamespaceID)
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM current_executions WHERE state < ? AND namespace_id <> ?`,
		completed, []byte(system)).Scan(&open); err != nil {
		return 0, unusable(path, err)
	}
	return open, nil
}

// createNamespace makes the namespace where it is missing, without waiting for
// the server's caches as its API would.
func createNamespace(path string) error {
	ns, err := sqliteschema.NewNamespaceConfig(clusterName, Namespace, false, nil)
	if err != nil {
		return fmt.Errorf("describe namespace: %w", err)
	}
	ns.Detail.Config.Retention = durationpb.New(retention)
	if err := sqliteschema.CreateNamespaces(sqlConfig(path), ns); err != nil {
		return unusable(path, err)
	}
	return nil
}
