package pipeline

import "github.com/slipway-cd/slipway/delivery"

// RecordedDeploy returns what a stage of a recorded execution deployed, or is to
// deploy, to one cluster. NotFound when it did not, or was not begun.
func RecordedDeploy(e delivery.Execution, refID string, cluster delivery.Cluster) (DeployCluster, error) {
	stage := e.Stage(refID)
	if stage == nil {
		return DeployCluster{}, delivery.Errorf(delivery.NotFound, "stage %s of execution %s", refID, e.ID)
	}
	deploy, err := ParseDeploy(stage.Type, stage.Context)
	if err != nil {
		return DeployCluster{}, err
	}
	for _, c := range deploy.Clusters {
		if c.Cluster == cluster {
			return c, nil
		}
	}
	return DeployCluster{}, delivery.Errorf(delivery.NotFound, "cluster %s in stage %s of execution %s", cluster.Key(), refID, e.ID)
}
