package wirefaults

import (
	"net/http"

	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

func migKind() kind {
	return kind{
		name: "mig", cloud: google(), region: "us-central1",
		account: providers.AccountConfig{Name: simulator.GoogleAccount, Provider: "gce", Project: simulator.Project,
			AccessToken: simulator.GoogleToken, DrainingTimeout: drain},
		cluster: simulator.Cluster, group: simulator.Group, loadBalancer: simulator.LoadBalancer,
		imageField: "image", seeded: simulator.GoogleImage, good: "storefront-1-1", crashing: "storefront-2-0-crash", broken: "storefront-2-0-broken", slow: "storefront-2-0-slow",
		object: `"cloudProvider":"gce","stack":"prod","image":%q,"region":"us-central1","regional":true,
			"availabilityZones":{"us-central1":["us-central1-a","us-central1-b"]},"loadBalancers":["storefront"],"instanceType":"e2-small",
			"network":"default","autoHealingPolicy":{"healthCheck":"storefront","initialDelaySec":15}`,
		launch: simcloud.Match{Service: "compute", Action: "instances.insert"}, sized: true, ahead: 2, // a zone each
	}
}

func runKind() kind {
	const repository = "us-docker.pkg.dev/" + simulator.Project + "/storefront/storefront:"
	return kind{
		name: "run", cloud: google(), region: "us-central1",
		account: providers.AccountConfig{Name: simulator.GoogleAccount, Provider: "cloudrun", Project: simulator.Project,
			AccessToken: simulator.GoogleToken},
		cluster: simulator.Service, group: simulator.Revision, loadBalancer: simulator.Service,
		imageField: "image", seeded: simulator.ContainerImage, good: repository + "1.1", crashing: repository + "2.0-crash", broken: repository + "2.0-broken", slow: repository + "2.0-slow",
		object: `"cloudProvider":"cloudrun","stack":"run","image":%q,"region":"us-central1"`,
		dark:   `"strategy":"dark"`,
	}
}

func google() cloud {
	return cloud{
		name: "gcp", principal: "user@" + simulator.Project + ".iam.gserviceaccount.com", action: googleAction, attempts: 2,
		api:      func(s *simulator.Simulator) http.Handler { return s.Google },
		endpoint: func(s *simulator.Simulator) string { return s.Endpoints().GCP.REST },
		entrance: (*simulator.Simulator).GoogleLoadBalancer,
	}
}
