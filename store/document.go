package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// ChangeDocuments makes all of the changes or none, in their order, and returns the
// documents as they are stored, those that were deleted with their last content.
//
// Conflict when a stored document is not the expected one, Invalid when another
// document has the name in one of the applications, NotFound when there is nothing
// to delete.
func (s *Store) ChangeDocuments(ctx context.Context, changes ...delivery.DocumentChange) ([]delivery.Document, error) {
	out := make([]delivery.Document, len(changes))
	err := s.write(ctx, func(tx *sql.Tx) error {
		for i, change := range changes {
			var err error
			if out[i], err = changeDocument(ctx, tx, change); err != nil {
				return fmt.Errorf("change %s %s: %w", change.Document.Kind, change.Document.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func changeDocument(ctx context.Context, tx *sql.Tx, change delivery.DocumentChange) (delivery.Document, error) {
	d, err := normalized(change.Document)
	if err != nil {
		return d, err
	}
	stored, err := documentIn(ctx, tx, d.Kind, d.ID)
	absent := delivery.KindOf(err) == delivery.NotFound
	if err != nil && !absent {
		return d, err
	}
	switch expect := change.Expect; {
	case expect.Absent && !absent:
		return d, delivery.Errorf(delivery.Conflict, "%s %s exists already", d.Kind, d.ID)
	case expect.Revision != 0 && (absent || stored.Revision != expect.Revision):
		return d, delivery.Errorf(delivery.Conflict, "%s %s was changed by somebody else; read it again", d.Kind, d.ID)
	case change.Delete && absent:
		return d, err
	}
	if change.Delete {
		stored.UpdatedAt, stored.LastModifiedBy, stored.Deleted = d.UpdatedAt, d.LastModifiedBy, true
		d = stored
	}
	if d.CreatedAt = d.UpdatedAt; !absent {
		d.CreatedAt = stored.CreatedAt
	}
	if err := recordRevision(ctx, tx, &d); err != nil {
		return d, err
	}
	if change.Delete {
		_, err = tx.ExecContext(ctx, `DELETE FROM documents WHERE kind = ? AND id = ?`, string(d.Kind), d.ID)
		return d, err
	}
	return d, putDocument(ctx, tx, d)
}

// normalized is the document in the form in which it is stored and compared.
func normalized(d delivery.Document) (delivery.Document, error) {
	content, err := document("the document", d.Content)
	if err != nil {
		return d, err
	}
	d.Content = json.RawMessage(content)
	d.Name = strings.TrimSpace(d.Name)
	applications := []string{}
	for _, name := range d.Applications {
		applications = append(applications, strings.ToLower(name))
	}
	slices.Sort(applications)
	d.Applications = slices.Compact(applications)
	d.UpdatedAt, d.Deleted = fromMicros(micros(d.UpdatedAt)), false
	if d.ID == "" {
		d.ID = newUUID()
	}
	return d, nil
}

func putDocument(ctx context.Context, tx *sql.Tx, d delivery.Document) error {
	applications, err := encode("applications", d.Applications)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO documents (kind, id, applications, name, document, revision, created_us, updated_us, last_modified_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET applications = excluded.applications, name = excluded.name, document = excluded.document,
			revision = excluded.revision, updated_us = excluded.updated_us, last_modified_by = excluded.last_modified_by`,
		string(d.Kind), d.ID, applications, d.Name, string(d.Content), d.Revision, micros(d.CreatedAt), micros(d.UpdatedAt), d.LastModifiedBy); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM document_names WHERE kind = ? AND id = ?`, string(d.Kind), d.ID); err != nil {
		return err
	}
	for _, application := range scopesOf(d) {
		if err := claimName(ctx, tx, d, application); err != nil {
			return err
		}
	}
	return nil
}

// scopesOf are the applications in which the name of a document is unique.
func scopesOf(d delivery.Document) []string {
	if len(d.Applications) == 0 {
		return []string{""}
	}
	return d.Applications
}

func claimName(ctx context.Context, tx *sql.Tx, d delivery.Document, application string) error {
	result, err := tx.ExecContext(ctx, `INSERT INTO document_names (kind, application, name_key, id) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, application, name_key) DO NOTHING`, string(d.Kind), application, strings.ToLower(d.Name), d.ID)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	switch {
	case err != nil:
		return err
	case n == 0 && application == "":
		return delivery.Errorf(delivery.Invalid, "A %s with name %s already exists", d.Kind, d.Name)
	case n == 0:
		return delivery.Errorf(delivery.Invalid, "A %s with name %s already exists in application %s", d.Kind, d.Name, application)
	default:
		return nil
	}
}

// recordRevision gives a document its next revision and keeps it in the history.
func recordRevision(ctx context.Context, tx *sql.Tx, d *delivery.Document) error {
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) + 1 FROM document_revisions WHERE kind = ? AND id = ?`,
		string(d.Kind), d.ID).Scan(&d.Revision); err != nil {
		return err
	}
	applications, err := encode("applications", d.Applications)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO document_revisions (kind, id, revision, applications, name, document, created_us, updated_us, last_modified_by, deleted)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(d.Kind), d.ID, d.Revision, applications, d.Name, string(d.Content),
		micros(d.CreatedAt), micros(d.UpdatedAt), d.LastModifiedBy, d.Deleted)
	return err
}

const documentColumns = `kind, id, applications, name, document, revision, created_us, updated_us, last_modified_by`

// Document returns a document; NotFound when there is none.
func (s *Store) Document(ctx context.Context, kind delivery.DocumentKind, id string) (delivery.Document, error) {
	d, err := documentIn(ctx, s.reads, kind, id)
	if err != nil {
		return d, fmt.Errorf("read %s: %w", kind, s.classify(err))
	}
	return d, nil
}

func documentIn(ctx context.Context, from reader, kind delivery.DocumentKind, id string) (delivery.Document, error) {
	found, err := collect(ctx, from, scanDocument, `SELECT `+documentColumns+`, 0 FROM documents WHERE kind = ? AND id = ?`, string(kind), id)
	switch {
	case err != nil:
		return delivery.Document{}, err
	case len(found) == 0:
		return delivery.Document{}, delivery.Errorf(delivery.NotFound, "%s %s", kind, id)
	default:
		return found[0], nil
	}
}

// Documents returns an application's documents of a kind by name; with an empty
// application all of that kind.
func (s *Store) Documents(ctx context.Context, kind delivery.DocumentKind, application string) ([]delivery.Document, error) {
	query, args := `SELECT `+documentColumns+`, 0 FROM documents WHERE kind = ?`, []any{string(kind)}
	if application != "" {
		query += ` AND id IN (SELECT id FROM document_names WHERE kind = ? AND application = ?)`
		args = append(args, string(kind), strings.ToLower(application))
	}
	found, err := collect(ctx, s.reads, scanDocument, query+` ORDER BY lower(name), id`, args...)
	if err != nil {
		return nil, fmt.Errorf("list documents of kind %s: %w", kind, s.classify(err))
	}
	return found, nil
}

// DocumentHistory returns the changes of a document, newest first and at most limit of
// them; zero is no limit. It is empty for an id never saved.
func (s *Store) DocumentHistory(ctx context.Context, kind delivery.DocumentKind, id string, limit int) ([]delivery.Document, error) {
	found, err := collect(ctx, s.reads, scanDocument, `SELECT `+documentColumns+`, deleted FROM document_revisions
		WHERE kind = ? AND id = ? ORDER BY revision DESC LIMIT ?`, string(kind), id, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read history of %s %s: %w", kind, id, s.classify(err))
	}
	return found, nil
}

func scanDocument(row scanner) (delivery.Document, error) {
	var d delivery.Document
	var applications, content string
	var created, updated int64
	if err := row.Scan(&d.Kind, &d.ID, &applications, &d.Name, &content, &d.Revision, &created, &updated, &d.LastModifiedBy, &d.Deleted); err != nil {
		return d, err
	}
	d.Content = json.RawMessage(content)
	d.CreatedAt, d.UpdatedAt = fromMicros(created), fromMicros(updated)
	return d, json.Unmarshal([]byte(applications), &d.Applications)
}
