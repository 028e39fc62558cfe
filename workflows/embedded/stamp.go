package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteschema "go.temporal.io/server/schema/sqlite"

	"github.com/slipway-cd/slipway/delivery"
)

// stamp says which server's schema the files have. Temporal itself opens a file
// of an older schema without a word and fails later, where a table is missing.
type stamp struct {
	Server string `json:"server"`
	// Schema is the SHA-256 of the statements that make the schema.
	Schema string `json:"schema"`
}

func (s stamp) String() string {
	if s == (stamp{}) {
		return "an unknown version"
	}
	return fmt.Sprintf("version %s (schema %.12s)", s.Server, s.Schema)
}

func currentStamp() (stamp, error) {
	sum := sha256.New()
	err := sqliteschema.SetupSchemaOnDB(&schemaSink{exec: func(statement string) error {
		_, err := fmt.Fprintf(sum, "%s;\n", statement)
		return err
	}})
	if err != nil {
		return stamp{}, fmt.Errorf("read the server's schema: %w", err)
	}
	return stamp{Server: headers.ServerVersion, Schema: hex.EncodeToString(sum.Sum(nil))}, nil
}

// schemaSink stands in for a database where the server sets up its schema. Of
// all the methods only Exec is called.
type schemaSink struct {
	sqlplugin.AdminDB
	exec func(statement string) error
}

func (s *schemaSink) Exec(statement string, _ ...any) error { return s.exec(statement) }

// readStamp returns the zero stamp when there is none or it cannot be understood.
func (f *folder) readStamp() (stamp, error) {
	b, err := os.ReadFile(f.stampFile())
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, delivery.Errorf(delivery.Unavailable, "%s cannot be read; correct its owner and mode: %w", f.stampFile(), err)
	}
	var s stamp
	if err := json.Unmarshal(b, &s); err != nil {
		return stamp{}, nil
	}
	return s, nil
}

// writeStamp replaces the stamp as a whole: written, on the disk, then renamed.
func (f *folder) writeStamp(s stamp) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode stamp: %w", err)
	}
	fresh := f.stampFile() + ".new"
	if err := writeSynced(fresh, append(b, '\n')); err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be written: %w", f.dir, err)
	}
	if err := errors.Join(os.Rename(fresh, f.stampFile()), syncDir(f.dir)); err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be written: %w", f.dir, err)
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// retire moves the files of another server aside, when no workflow is open in
// them; else Unavailable. No files are fine.
func (f *folder) retire(ctx context.Context, made stamp, logger *slog.Logger) error {
	present, err := f.files()
	if err != nil || len(present) == 0 {
		return err
	}
	open, err := openWorkflows(ctx, f.defaultDB())
	if err != nil {
		return err
	}
	if open > 0 {
		return delivery.Errorf(delivery.Unavailable,
			"the workflow files in %s are of %s and hold %d open workflows, which this version cannot go on with; "+
				"run the version that made them until they are finished, or move the folder away to give them up", f.dir, made, open)
	}
	aside := filepath.Join(f.dir, "aside-"+time.Now().UTC().Format("20060102T150405.000"))
	if err := os.Mkdir(aside, 0o700); err != nil {
		return delivery.Errorf(delivery.Unavailable, "folder %s cannot be written: %w", f.dir, err)
	}
	for _, path := range present {
		if err := os.Rename(path, filepath.Join(aside, filepath.Base(path))); err != nil {
			return fmt.Errorf("move old workflow files aside: %w", err)
		}
	}
	logger.LogAttrs(ctx, slog.LevelWarn, "workflow files of another server version moved aside",
		slog.String("version", made.String()), slog.String("to", aside))
	return errors.Join(syncDir(aside), syncDir(f.dir))
}

// files lists the database files with SQLite's logs beside them.
func (f *folder) files() ([]string, error) {
	var present []string
	for _, db := range f.databases() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			switch _, err := os.Lstat(db + suffix); {
			case err == nil:
				present = append(present, db+suffix)
			case !errors.Is(err, fs.ErrNotExist):
				return nil, delivery.Errorf(delivery.Unavailable, "folder %s cannot be read: %w", f.dir, err)
			}
		}
	}
	return present, nil
}
