package pipeline

import (
	"encoding/json"
	"maps"
)

// CreateServerGroupType is the stage type that deploys to the one cluster that
// the stage itself describes, as a task's job does.
const CreateServerGroupType = "createServerGroup"

// readCreateServerGroup reads a stage with the fields of one cluster of a deploy
// stage. Its account may also be called credentials.
func readCreateServerGroup(o object) DeployStage {
	cluster := o
	if o.given("credentials") {
		account := readCredentials(o)
		cluster.fields = maps.Clone(o.fields)
		if account != "" && !o.given("account") {
			cluster.fields["account"] = o.fields["credentials"]
		}
	}
	settings, err := json.Marshal(cluster.fields)
	if err != nil {
		o.r.refuse(o.at, "is not an object: %v", err)
	}
	stage := DeployStage{Clusters: readCluster(cluster, settings, 0)}
	for i := range stage.Clusters {
		stage.Clusters[i].Pointer = ""
	}
	return stage
}
