package simulator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// What the seed of Google Cloud is made of.
const (
	// GoogleAccount is the name of the seeded account, Project its project.
	GoogleAccount = "gcp-sim"
	Project       = "slipway-sim"
	// GoogleToken is the access token of its user.
	GoogleToken = "ya29.simulated"
	// GoogleImage is the name of the image that the managed instance groups run; ContainerImage that of the services.
	GoogleImage    = "storefront-1-0"
	ContainerImage = "us-docker.pkg.dev/" + Project + "/storefront/storefront:1.0"
	// HealthCheck is the name of the health check of each region.
	HealthCheck = "storefront"
	// Service is the name of the Cloud Run service of each region, which is its cluster's too, Revision that of its revision.
	Service  = "storefront-run"
	Revision = "storefront-run-v000"
)

// GoogleRegions returns the seeded regions of Google Cloud with the letters of their zones.
func GoogleRegions() map[string][]string {
	return map[string][]string{"us-central1": {"a", "b", "c", "f"}, "europe-west1": {"b", "c", "d"}}
}

// seedGoogle makes a project with a managed instance group behind a load balancer and a Cloud Run service in each region.
func seedGoogle(world *simcloud.World, cloud *gcp.Cloud, o Options) error {
	cloud.SeedProject(gcp.SeedProject{Account: GoogleAccount, Project: Project, Token: GoogleToken, Regions: GoogleRegions()})
	for _, image := range images(o, GoogleAccount) {
		if _, err := world.Images.Publish(image); err != nil {
			return fmt.Errorf("publish image %s: %w", image.Name, err)
		}
	}
	for _, region := range slices.Sorted(maps.Keys(GoogleRegions())) {
		if err := cloud.SeedCluster(gcp.SeedCluster{
			Project: Project, Region: region, LoadBalancer: LoadBalancer, Group: Group, Image: GoogleImage, HealthCheck: HealthCheck,
			Capacity: simcloud.Capacity{Min: o.Capacity, Max: o.Capacity, Desired: o.Capacity}, DrainSeconds: int(o.Drain / time.Second),
			Tags: map[string]string{
				"slipway:application": application, "slipway:cluster": Cluster, "slipway:server-group": Group,
				"slipway:deployment": "seed", "slipway:change": "seed",
				"slipway:image": GoogleImage, "slipway:image-id": "projects/" + Project + "/global/images/" + GoogleImage,
			},
		}); err != nil {
			return err
		}
		if err := cloud.SeedService(gcp.SeedService{
			Project: Project, Region: region, Service: Service, Revision: Revision, Image: ContainerImage,
			Annotations: map[string]string{
				"slipway.dev/application": application, "slipway.dev/cluster": Service, "slipway.dev/server-group": Revision,
				"slipway.dev/deployment": "seed", "slipway.dev/change": "seed",
				"slipway.dev/image": ContainerImage, "slipway.dev/capacity": fmt.Sprintf("0,10,%d", o.Capacity),
			},
		}); err != nil {
			return err
		}
	}
	return nil
}
