package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// SaveApplication inserts or replaces the application of that name, which is
// stored in lower case. The first save's CreatedAt stays. Every save is kept in the
// history of documents.
func (s *Store) SaveApplication(ctx context.Context, app delivery.Application) error {
	attributes, err := document("attributes", app.Attributes)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		key, created := strings.ToLower(app.Name), int64(0)
		if err := tx.QueryRowContext(ctx, `
			INSERT INTO applications (name, attributes, created_us, updated_us, last_modified_by) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET attributes = excluded.attributes, updated_us = excluded.updated_us,
				last_modified_by = excluded.last_modified_by RETURNING created_us`,
			key, attributes, micros(app.CreatedAt), micros(app.UpdatedAt), app.LastModifiedBy).Scan(&created); err != nil {
			return err
		}
		return recordRevision(ctx, tx, &delivery.Document{Kind: delivery.ApplicationDocument, ID: key, Name: key, Applications: []string{key},
			Content: json.RawMessage(attributes), CreatedAt: fromMicros(created), UpdatedAt: app.UpdatedAt, LastModifiedBy: app.LastModifiedBy})
	})
	if err != nil {
		return fmt.Errorf("save application %s: %w", app.Name, err)
	}
	return nil
}

const selectApplication = `SELECT name, attributes, created_us, updated_us, last_modified_by FROM applications`

// Application returns the application of that name, ignoring case; NotFound when
// there is none.
func (s *Store) Application(ctx context.Context, name string) (delivery.Application, error) {
	found, err := collect(ctx, s.reads, scanApplication, selectApplication+` WHERE name = ?`, strings.ToLower(name))
	if err != nil {
		return delivery.Application{}, fmt.Errorf("read application %s: %w", name, s.classify(err))
	}
	if len(found) == 0 {
		return delivery.Application{}, delivery.Errorf(delivery.NotFound, "application %s", name)
	}
	return found[0], nil
}

// Applications returns all applications sorted by name.
func (s *Store) Applications(ctx context.Context) ([]delivery.Application, error) {
	apps, err := collect(ctx, s.reads, scanApplication, selectApplication+` ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", s.classify(err))
	}
	return apps, nil
}

// DeleteApplication removes the application, its pipelines, its strategies and its
// notification settings; their history and their executions stay. NotFound when
// there is none of that name.
func (s *Store) DeleteApplication(ctx context.Context, name string) error {
	key := strings.ToLower(name)
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipelines WHERE application = ?`, key); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM documents WHERE kind IN (?, ?)
			AND id IN (SELECT id FROM document_names n WHERE n.kind = documents.kind AND n.application = ?)`,
			string(delivery.StrategyDocument), string(delivery.NotificationDocument), key); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM applications WHERE name = ?`, key)
		if err != nil {
			return err
		}
		return oneRow(result, "application %s", name)
	})
	if err != nil {
		return fmt.Errorf("delete application %s: %w", name, err)
	}
	return nil
}

// oneRow returns NotFound with that text when the statement changed nothing.
func oneRow(result sql.Result, format string, args ...any) error {
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return delivery.Errorf(delivery.NotFound, format, args...)
	}
	return nil
}

func scanApplication(row scanner) (delivery.Application, error) {
	var app delivery.Application
	var attributes string
	var created, updated int64
	if err := row.Scan(&app.Name, &attributes, &created, &updated, &app.LastModifiedBy); err != nil {
		return app, err
	}
	app.Attributes = json.RawMessage(attributes)
	app.CreatedAt, app.UpdatedAt = fromMicros(created), fromMicros(updated)
	return app, nil
}
