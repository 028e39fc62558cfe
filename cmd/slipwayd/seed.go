package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

//go:embed seed/*.json
var seedFiles embed.FS

// seed gives an empty store the demo application and its pipelines. What is
// there already is left as it is, changed by whoever tries things out.
func seed(ctx context.Context, records *store.Store) error {
	const app = "storefront"
	if _, err := records.Application(ctx, app); delivery.KindOf(err) == delivery.NotFound {
		now := time.Now()
		if err := records.SaveApplication(ctx, delivery.Application{Name: app, CreatedAt: now, UpdatedAt: now, LastModifiedBy: delivery.System.Name,
			Attributes: json.RawMessage(`{"name":"storefront","email":"storefront@example.com","cloudProviders":"aws,gce,cloudrun","description":"The demo application"}`)}); err != nil {
			return fmt.Errorf("seed application %s: %w", app, err)
		}
	} else if err != nil {
		return fmt.Errorf("seed application %s: %w", app, err)
	}
	return fs.WalkDir(seedFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		document, err := seedFiles.ReadFile(path)
		if err != nil {
			return err
		}
		if err := seedPipeline(ctx, records, document); err != nil {
			return fmt.Errorf("seed %s: %w", path, err)
		}
		return nil
	})
}

func seedPipeline(ctx context.Context, records *store.Store, document json.RawMessage) error {
	var p struct {
		Application, Name string
		Index             int
	}
	if err := json.Unmarshal(document, &p); err != nil {
		return err
	}
	_, err := records.Pipeline(ctx, p.Application, p.Name)
	if err == nil || delivery.KindOf(err) != delivery.NotFound {
		return errors.Join(err)
	}
	_, err = records.SavePipeline(ctx, delivery.Pipeline{Application: p.Application, Name: p.Name, Index: p.Index,
		Document: document, UpdatedAt: time.Now(), LastModifiedBy: delivery.System.Name}, delivery.PipelineExpectation{})
	return err
}
