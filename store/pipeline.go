package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// SavePipeline stores the pipeline and one more entry of its history, and
// returns it with ID and Revision set. A pipeline without an ID is new. With an
// ID it replaces the stored one, which may have had another name or application,
// or is created with that ID; a revision once given is never given again.
//
// Invalid when the application has another pipeline of that name, ignoring case.
// Conflict when the stored one is not the expected one. A save with the key of an
// earlier one changes nothing and returns what that saved. The document is stored
// as it is given.
func (s *Store) SavePipeline(ctx context.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error) {
	saved, err := s.SavePipelines(ctx, []delivery.PipelineSave{{Pipeline: p, Expect: expect}})
	if err != nil {
		return p, err
	}
	return saved[0], nil
}

// SavePipelines makes all of the saves or none, each as SavePipeline does.
func (s *Store) SavePipelines(ctx context.Context, saves []delivery.PipelineSave) ([]delivery.Pipeline, error) {
	out := make([]delivery.Pipeline, len(saves))
	err := s.write(ctx, func(tx *sql.Tx) error {
		for i, one := range saves {
			var err error
			if out[i], err = savePipeline(ctx, tx, one); err != nil {
				return fmt.Errorf("save pipeline %s of %s: %w", one.Pipeline.Name, one.Pipeline.Application, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func savePipeline(ctx context.Context, tx *sql.Tx, save delivery.PipelineSave) (delivery.Pipeline, error) {
	p := save.Pipeline
	if earlier, found, err := savedUnder(ctx, tx, save.Expect.Key); err != nil || found {
		return earlier, err
	}
	doc, err := document("the pipeline's document", p.Document)
	if err != nil {
		return p, err
	}
	p.Application = strings.ToLower(p.Application)
	p.Name = strings.TrimSpace(p.Name)
	p.Document = json.RawMessage(doc)
	p.UpdatedAt = fromMicros(micros(p.UpdatedAt))
	if p.ID == "" {
		p.ID = newUUID()
	}
	if err := checkExpectation(ctx, tx, p, save.Expect); err != nil {
		return p, err
	}
	if err := checkName(ctx, tx, p); err != nil {
		return p, err
	}
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) + 1 FROM pipeline_revisions WHERE pipeline_id = ?`,
		p.ID).Scan(&p.Revision); err != nil {
		return p, err
	}
	return p, putPipeline(ctx, tx, p, save.Expect.Key)
}

// PipelineOfSave returns what the save with a key saved, whatever became of the pipeline
// since; NotFound when there was no such save.
func (s *Store) PipelineOfSave(ctx context.Context, key string) (delivery.Pipeline, error) {
	p, found, err := savedUnder(ctx, s.reads, key)
	switch {
	case err != nil:
		return p, fmt.Errorf("read save %s: %w", key, s.classify(err))
	case !found:
		return p, delivery.Errorf(delivery.NotFound, "no save has the key %q", key)
	}
	return p, nil
}

func savedUnder(ctx context.Context, from reader, key string) (p delivery.Pipeline, found bool, err error) {
	if key == "" {
		return p, false, nil
	}
	saves, err := collect(ctx, from, scanPipeline, `SELECT pipeline_id, `+pipelineColumns+` FROM pipeline_revisions WHERE save_key = ? AND save_key <> ''`, key)
	if err != nil || len(saves) == 0 {
		return p, false, err
	}
	return saves[0], true, nil
}

func checkExpectation(ctx context.Context, tx *sql.Tx, p delivery.Pipeline, expect delivery.PipelineExpectation) error {
	if expect == (delivery.PipelineExpectation{Key: expect.Key}) {
		return nil
	}
	var revision int
	var updated int64
	found, err := first(tx.QueryRowContext(ctx, `SELECT revision, updated_us FROM pipelines WHERE id = ?`, p.ID), &revision, &updated)
	if err != nil {
		return err
	}
	if expect.Absent {
		if found {
			return delivery.Errorf(delivery.Conflict, "the pipeline exists already")
		}
		return nil
	}
	stored := fromMicros(updated)
	if !found ||
		expect.Revision != 0 && expect.Revision != revision ||
		!expect.UpdatedAt.IsZero() && expect.UpdatedAt.UnixMilli() != stored.UnixMilli() {
		return delivery.Errorf(delivery.Conflict, "the pipeline was changed by somebody else; read it again")
	}
	return nil
}

func checkName(ctx context.Context, tx *sql.Tx, p delivery.Pipeline) error {
	var other string
	found, err := first(tx.QueryRowContext(ctx, `SELECT id FROM pipelines WHERE application = ? AND name_key = ? AND id <> ?`,
		p.Application, strings.ToLower(p.Name), p.ID), &other)
	if err != nil {
		return err
	}
	if found {
		return delivery.Errorf(delivery.Invalid, "A pipeline with name %s already exists in application %s", p.Name, p.Application)
	}
	return nil
}

func putPipeline(ctx context.Context, tx *sql.Tx, p delivery.Pipeline, key string) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO pipelines (id, application, name, name_key, position, disabled, document, revision, updated_us, last_modified_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET application = excluded.application, name = excluded.name, name_key = excluded.name_key,
			position = excluded.position, disabled = excluded.disabled, document = excluded.document, revision = excluded.revision,
			updated_us = excluded.updated_us, last_modified_by = excluded.last_modified_by`,
		p.ID, p.Application, p.Name, strings.ToLower(p.Name), p.Index, p.Disabled, string(p.Document), p.Revision,
		micros(p.UpdatedAt), p.LastModifiedBy); err != nil {
		return err
	}
	if err := putTriggers(ctx, tx, p); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO pipeline_revisions (pipeline_id, revision, application, name, position, disabled, document, updated_us, last_modified_by, save_key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.ID, p.Revision, p.Application, p.Name, p.Index, p.Disabled, string(p.Document), micros(p.UpdatedAt), p.LastModifiedBy, key)
	return err
}

const pipelineColumns = `application, name, position, disabled, document, revision, updated_us, last_modified_by`

// Pipeline returns the application's pipeline of that name, ignoring case, or of
// that id; NotFound when there is none.
func (s *Store) Pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error) {
	return s.onePipeline(ctx, fmt.Sprintf("pipeline %s of %s", nameOrID, application),
		`WHERE application = ? AND (name_key = ? OR id = ?) ORDER BY id = ?`,
		strings.ToLower(application), strings.ToLower(nameOrID), nameOrID, nameOrID)
}

// PipelineByID returns the pipeline with that id; NotFound when there is none.
func (s *Store) PipelineByID(ctx context.Context, id string) (delivery.Pipeline, error) {
	return s.onePipeline(ctx, "pipeline "+id, `WHERE id = ?`, id)
}

func (s *Store) onePipeline(ctx context.Context, what, where string, args ...any) (delivery.Pipeline, error) {
	found, err := collect(ctx, s.reads, scanPipeline, `SELECT id, `+pipelineColumns+` FROM pipelines `+where, args...)
	if err != nil {
		return delivery.Pipeline{}, fmt.Errorf("read %s: %w", what, s.classify(err))
	}
	if len(found) == 0 {
		return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "%s", what)
	}
	return found[0], nil
}

// Pipelines returns the application's pipelines sorted by index and name; with
// an empty name those of every application, sorted by application first.
func (s *Store) Pipelines(ctx context.Context, application string) ([]delivery.Pipeline, error) {
	key := strings.ToLower(application)
	found, err := collect(ctx, s.reads, scanPipeline, `SELECT id, `+pipelineColumns+` FROM pipelines
		WHERE ? = '' OR application = ? ORDER BY application, position, name_key`, key, key)
	if err != nil {
		return nil, fmt.Errorf("list pipelines of %s: %w", application, s.classify(err))
	}
	return found, nil
}

// PipelinesSavedSince returns the pipelines that were saved at a time or later, in the
// order of their last saves; with the zero time all of them.
func (s *Store) PipelinesSavedSince(ctx context.Context, since time.Time) ([]delivery.Pipeline, error) {
	found, err := collect(ctx, s.reads, scanPipeline, `SELECT id, `+pipelineColumns+` FROM pipelines WHERE updated_us >= ? ORDER BY updated_us, id`, micros(since))
	if err != nil {
		return nil, fmt.Errorf("list pipelines saved since %s: %w", since.Format(time.RFC3339), s.classify(err))
	}
	return found, nil
}

// DeletePipeline removes the application's pipeline of that name, ignoring case;
// its history and its executions stay. NotFound when there is none, or when it is not
// the one with the id; an empty id is any.
func (s *Store) DeletePipeline(ctx context.Context, application, name, id string) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM pipelines WHERE application = ? AND name_key = ? AND (? = '' OR id = ?)`,
			strings.ToLower(application), strings.ToLower(name), id, id)
		if err != nil {
			return err
		}
		return oneRow(result, "pipeline %s of %s", name, application)
	})
	if err != nil {
		return fmt.Errorf("delete pipeline %s of %s: %w", name, application, err)
	}
	return nil
}

// PipelineHistory returns the saves of a pipeline, newest first and at most
// limit of them; zero is no limit. It is empty for an id never saved.
func (s *Store) PipelineHistory(ctx context.Context, id string, limit int) ([]delivery.Pipeline, error) {
	found, err := collect(ctx, s.reads, scanPipeline, `SELECT pipeline_id, `+pipelineColumns+` FROM pipeline_revisions
		WHERE pipeline_id = ? ORDER BY revision DESC LIMIT ?`, id, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read history of pipeline %s: %w", id, s.classify(err))
	}
	return found, nil
}

// PipelineRevision returns one save of a pipeline; NotFound when there is none of
// that number.
func (s *Store) PipelineRevision(ctx context.Context, id string, revision int) (delivery.Pipeline, error) {
	found, err := collect(ctx, s.reads, scanPipeline, `SELECT pipeline_id, `+pipelineColumns+` FROM pipeline_revisions
		WHERE pipeline_id = ? AND revision = ?`, id, revision)
	if err != nil {
		return delivery.Pipeline{}, fmt.Errorf("read revision %d of pipeline %s: %w", revision, id, s.classify(err))
	}
	if len(found) == 0 {
		return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "revision %d of pipeline %s", revision, id)
	}
	return found[0], nil
}

func scanPipeline(row scanner) (delivery.Pipeline, error) {
	var p delivery.Pipeline
	var doc string
	var updated int64
	if err := row.Scan(&p.ID, &p.Application, &p.Name, &p.Index, &p.Disabled, &doc, &p.Revision, &updated, &p.LastModifiedBy); err != nil {
		return p, err
	}
	p.Document = json.RawMessage(doc)
	p.UpdatedAt = fromMicros(updated)
	return p, nil
}

// newUUID returns a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails; the program ends when the system has no randomness
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
