package wirefaults

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

// kind is a target kind that deployments are carried out on.
type kind struct {
	name  string
	cloud cloud
	// account is all that is configured but the address and the times.
	account providers.AccountConfig
	region  string
	// cluster and group are the seeded ones, loadBalancer is what the traffic goes
	// in at.
	cluster, group, loadBalancer string
	// good is the image of a version that works, crashing of one that is never
	// healthy; broken fails a tenth of its requests; slow takes 0.4 s of real time for
	// each answer, so that requests are always in flight.
	good, crashing, broken, slow string
	// seeded is the image of the seeded server group.
	seeded string
	// imageField is how a stage names the image.
	imageField string
	// object are the fields of the cluster object that only this kind has, with a
	// %q for the image.
	object string
	// launch matches the launch of an instance by the cloud itself. It is empty when
	// launches do not fail.
	launch simcloud.Match
	// sized is true when a server group has a size of its own and its instances are
	// seen. Otherwise it keeps its capacity and is healthy as one.
	sized bool
	// ahead is how many instances an update in place may replace before the load balancer
	// has heard of the new ones.
	ahead int
	// dark are the fields of a dark release; empty where the seeded load balancer leads
	// nobody to one.
	dark string
}

// cloud is one of the simulator's clouds.
type cloud struct {
	// name is that in [simulator.Options].
	name string
	// principal matches who the deployments act as: machines are launched by the
	// cloud itself.
	principal string
	api       func(*simulator.Simulator) http.Handler
	// endpoint is the address of the api without losses, entrance the URL of a load
	// balancer.
	endpoint func(*simulator.Simulator) string
	entrance func(s *simulator.Simulator, name, region string) string
	// action names a call, and tells whether it writes.
	action func(r *http.Request, body string) (name string, write bool)
	// attempts is how many answers of a call are lost at the most: as many as the
	// SDK asks for by itself, and more than one.
	attempts int
}

// kinds are all target kinds. A schedule's seed chooses one.
func kinds() []kind { return []kind{asgKind(), migKind(), runKind()} }

func asgKind() kind {
	return kind{
		name: "asg", cloud: amazon(), region: "us-east-1",
		account: providers.AccountConfig{Name: simulator.Account, Provider: "aws", AccountID: simulator.AccountID,
			AccessKeyID: simulator.AccessKey, SecretAccessKey: "simulated", DeregistrationDelay: drain},
		cluster: simulator.Cluster, group: simulator.Group, loadBalancer: simulator.LoadBalancer,
		imageField: "amiName", seeded: simulator.Image, good: "storefront-1.1", crashing: "storefront-2.0-crash", broken: "storefront-2.0-broken", slow: "storefront-2.0-slow",
		object: `"cloudProvider":"aws","stack":"prod","amiName":%q,"availabilityZones":{"us-east-1":["us-east-1a","us-east-1b"]},
			"loadBalancers":["storefront"],"securityGroups":["storefront"],"instanceType":"m6i.large","healthCheckGracePeriod":15`,
		launch: simcloud.Match{Service: "ec2", Action: "RunInstances"}, sized: true,
		dark: `"strategy":"dark","match":{"header":"X-Canary","value":"always"}`,
	}
}

func amazon() cloud {
	return cloud{
		name: "aws", principal: "arn:aws:iam::*:user/*", action: amazonAction, attempts: 3,
		api:      func(s *simulator.Simulator) http.Handler { return s.AWS },
		endpoint: func(s *simulator.Simulator) string { return s.Endpoints().AWS },
		entrance: func(s *simulator.Simulator, _, region string) string { return s.LoadBalancer(region) },
	}
}

// key is what the auditor calls the cluster.
func (k kind) key() string { return k.account.Name + "/" + k.region + "/" + k.cluster }

// owns tells whether a machine belongs to a server group of the cluster.
func (k kind) owns(l simcloud.Launch) bool {
	return l.Region == k.region && strings.HasPrefix(l.Group, k.cluster+"-v")
}

// healthy is how many instances of a group of that size are to be seen healthy.
func (k kind) healthy(size int) int {
	if k.sized {
		return size
	}
	return 1
}

// operationStage is the JSON of a stage about the cluster.
func (k kind) operationStage(fields string) string {
	return fmt.Sprintf(`{"cloudProvider":%q,"credentials":%q,"region":%q,"cluster":%q,%s}`, k.account.Provider, k.account.Name, k.region, k.cluster, fields)
}

// stage is the JSON of a deploy stage with fields of strategy and capacity.
func (k kind) stage(fields, image string) string {
	return fmt.Sprintf(`{"clusters":[{"account":%q,"application":"storefront",%s,%s}]}`, k.account.Name, fields, fmt.Sprintf(k.object, image))
}
