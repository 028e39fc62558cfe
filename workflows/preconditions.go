package workflows

import (
	"context"
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// preconditionsTime is how long the clouds may take to tell the size of clusters.
const preconditionsTime = 10 * time.Minute

// preconditionsKind is the stage that fails unless what it names holds. It looks
// once: its expressions when it begins, clusters and stages right after.
func preconditionsKind() stageKind {
	return stageKind{
		evaluate: func(stage json.RawMessage, env expression.Env) (json.RawMessage, error) {
			evaluate := expression.Sequence(env)
			return pipeline.EvaluatePreconditions(stage, env.Now, func(value json.RawMessage) (json.RawMessage, error) {
				return evaluate(value, nil)
			})
		},
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParsePreconditions(evaluated)
			return BegunStage{}, err
		},
		do:     (*Activities).checkPreconditions,
		within: preconditionsTime,
	}
}

func (a *Activities) checkPreconditions(ctx context.Context, s StageToDo) (any, error) {
	list, err := pipeline.ParsePreconditions(s.Stage.Context)
	if err != nil {
		return nil, err
	}
	seen := map[string]delivery.Snapshot{}
	for _, p := range list {
		for _, cluster := range p.Clusters {
			if _, known := seen[cluster.Key()]; known {
				continue
			}
			err := a.call(ctx, "observe", cluster, func(ctx context.Context, t delivery.Target) error {
				seen[cluster.Key()], err = t.Observe(ctx, cluster, pipeline.OperateCluster{Cluster: cluster}.LoadBalancer())
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	branchOnly, err := pipeline.CheckPreconditions(list, s.Execution, seen)
	if spec := s.Definition.Stage(s.Stage.RefID); branchOnly && (spec == nil || spec.OnFailure != pipeline.Ignore) {
		err = branchError{err}
	}
	return nil, err
}

// branchError is the failure of a stage that ends its branch alone where its own failure
// would end the pipeline.
type branchError struct{ error }

func (e branchError) Unwrap() error { return e.error }
