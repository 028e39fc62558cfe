package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// stageType is one entry of the table of stage types.
type stageType struct {
	name string
	// check reports what is wrong with a stage of this type before its
	// expressions are evaluated.
	check func(stage object)
}

// stageTypes is the table of stage types, sorted by name.
func stageTypes() []stageType {
	types := []stageType{
		{name: CreateServerGroupType, check: func(o object) { readCreateServerGroup(o) }},
		{name: CloneType, check: func(o object) { readClone(o) }},
		{name: DeployType, check: func(o object) { readDeploy(o) }},
		{name: DeployManifestType, check: func(o object) { readManifestStage(o) }},
		{name: EvaluateVariablesType, check: func(o object) { readVariables(o) }},
		{name: EvaluateArtifactsType, check: func(o object) { readContents(o) }},
		{name: FindArtifactType, check: func(o object) { readFindArtifact(o) }},
		{name: ChildType, check: func(o object) { readChild(o) }},
		{name: MonitorType, check: func(o object) { readMonitored(o) }},
		{name: SavePipelineType, check: checkSavePipeline},
		{name: UpdatePipelineType, check: checkSavePipeline},
		{name: DeletePipelineType, check: func(o object) { readDeletePipeline(o) }},
		{name: NoopType, check: func(object) {}},
		{name: PreconditionsType, check: func(o object) { readPreconditions(o) }},
		{name: ManualJudgmentType, check: func(o object) { readManualJudgment(o) }},
		{name: WaitType, check: func(o object) { readWait(o) }},
		{name: WaitUntilType, check: func(o object) { readWaitUntil(o) }},
		{name: WebhookStageType, check: func(o object) { readWebhook(o) }},
	}
	for name, read := range findTypes() {
		types = append(types, stageType{name: name, check: func(o object) { read(o) }})
	}
	for _, kind := range append(rollout.Operations(), PromoteType) {
		types = append(types, stageType{name: string(kind), check: func(o object) { readOperate(o, kind) }})
	}
	for _, kind := range rollout.Rollbacks() {
		types = append(types, stageType{name: string(kind), check: func(o object) { readRollback(o, kind) }})
	}
	slices.SortFunc(types, func(a, b stageType) int { return cmp.Compare(a.name, b.name) })
	return types
}

// checkType lets the stage's type check the stage, or refuses an unknown type.
func checkType(o object, name string) {
	known := stageTypes()
	for _, t := range known {
		if t.name == name {
			t.check(o)
			return
		}
	}
	names := make([]string, len(known))
	for i, t := range known {
		names[i] = t.name
	}
	message := fmt.Sprintf("%q is not a known stage type", name)
	if near := nearest(name, names); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	o.refuse("type", "%s (known: %s)", message, strings.Join(names, ", "))
}

// nearest returns the candidates that look like the word.
func nearest(word string, candidates []string) []string { return delivery.Nearest(word, candidates) }
