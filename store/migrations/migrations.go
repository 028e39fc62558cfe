// Package migrations holds the store's schema, one folder of goose files a
// dialect. A file that was released is never edited; a change is a new file.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql
var files embed.FS

// SQLite returns the migrations of the SQLite dialect.
func SQLite() (fs.FS, error) { return fs.Sub(files, "sqlite") }
