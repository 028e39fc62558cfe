package simulator

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
)

// What the seed is made of.
const (
	// Account is the name of the seeded account, AccountID its number.
	Account   = "aws-sim"
	AccountID = "123456789012"
	// AccessKey is the access key id of its user. Any secret goes with it.
	AccessKey = "AKIASIMULATED0000000"
	// LoadBalancer is the name of the load balancer of each region.
	LoadBalancer = "storefront"
	// Cluster is the name of the seeded cluster, Group that of its server group.
	Cluster = "storefront-prod"
	Group   = "storefront-prod-v000"
	// Image is the name of the image that Group runs.
	Image = "storefront-1.0"

	application   = "storefront"
	securityGroup = "storefront"
)

// Regions returns the names of the seeded regions.
func Regions() []string { return []string{"us-east-1", "us-west-2"} }

// slowLatency is what storefront-2.0-slow adds to each request, in real time: slow enough to see, fast enough to answer.
const slowLatency = 400 * time.Millisecond

// brokenShare is the share of requests that storefront-2.0-broken fails.
const brokenShare = 0.1

// images returns the programs of the demo: one that runs, a good new one, and three that go wrong in different ways.
func images(o Options) []simcloud.Image {
	list := []simcloud.Image{
		{Name: Image},
		{Name: "storefront-1.1"},
		{Name: "storefront-2.0-broken", ErrorRate: brokenShare},
		{Name: "storefront-2.0-slow", Latency: slowLatency},
		{Name: "storefront-2.0-crash", NeverHealthy: true},
	}
	for i := range list {
		list[i].Account, list[i].Version = Account, list[i].Name[len("storefront-"):]
		list[i].BootDelay, list[i].BootJitter = o.BootDelay, o.BootJitter
	}
	return list
}

func seed(cloud *aws.Cloud, o Options) error {
	for _, region := range Regions() {
		cloud.SeedRegion(aws.SeedRegion{
			Account: Account, AccountID: AccountID, AccessKey: AccessKey, Region: region,
			Zones: []string{region + "a", region + "b"}, SecurityGroups: []string{securityGroup},
		})
		ids := map[string]string{}
		for _, image := range images(o) {
			image.Region = region
			published, err := cloud.SeedImage(image)
			if err != nil {
				return err
			}
			ids[image.Name] = published.ID
		}
		err := cloud.SeedCluster(aws.SeedCluster{
			AccountID: AccountID, Region: region, LoadBalancer: LoadBalancer, Group: Group,
			TargetGroup: targetGroup(region), Image: Image, SecurityGroup: securityGroup, DrainSeconds: int(o.Drain / time.Second),
			Capacity: simcloud.Capacity{Min: o.Capacity, Max: o.Capacity, Desired: o.Capacity},
			Tags: map[string]string{
				"Name": Group, "slipway:application": application, "slipway:cluster": Cluster, "slipway:server-group": Group,
				"slipway:deployment": "seed", "slipway:change": "seed",
				"slipway:image": Image, "slipway:image-id": ids[Image],
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// targetGroup is the name that a delivery tool gives the target group of the seeded server group: a hash, as names may
// have 32 characters only.
func targetGroup(region string) string {
	sum := sha256.Sum256([]byte(Account + "/" + region + "/" + Cluster + "/" + Group))
	return fmt.Sprintf("sw-%x", sum[:10])
}
