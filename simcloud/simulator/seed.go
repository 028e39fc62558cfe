package simulator

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
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

// Names of the clouds in [Options].Clouds.
const (
	cloudAWS    = "aws"
	cloudGoogle = "gcp"
)

// Regions returns the names of the seeded regions of AWS.
func Regions() []string { return []string{"us-east-1", "us-west-2"} }

// slowLatency is what storefront-2.0-slow adds to each request, in real time: slow enough to see, fast enough to answer.
const slowLatency = 400 * time.Millisecond

// brokenShare is the share of requests that storefront-2.0-broken fails.
const brokenShare = 0.1

// seed makes what exists in the clouds that are wanted.
func (s *Simulator) seed() error {
	if slices.Contains(s.options.Clouds, cloudAWS) {
		if err := seedAWS(s.AWS, s.options); err != nil {
			return err
		}
	}
	if slices.Contains(s.options.Clouds, cloudGoogle) {
		return seedGoogle(s.World, s.Google, s.options)
	}
	return nil
}

// seededSize is how many instances of a target group are healthy when the seed has settled.
func (s *Simulator) seededSize(group simcloud.TargetGroupConfig) int {
	if strings.Contains(group.ID, "/services/") {
		return 1 // a Cloud Run revision: its instances follow the traffic
	}
	return s.options.Capacity
}

// images returns the programs of the demo in an account: one that runs, a good new one, and three that go wrong in
// different ways.
func images(o Options, account string) []simcloud.Image {
	list := []simcloud.Image{
		{Name: Image},
		{Name: "storefront-1.1"},
		{Name: "storefront-2.0-broken", ErrorRate: brokenShare},
		{Name: "storefront-2.0-slow", Latency: slowLatency},
		{Name: "storefront-2.0-crash", NeverHealthy: true},
	}
	for i := range list {
		list[i].Account, list[i].Version = account, list[i].Name[len("storefront-"):]
		list[i].BootDelay, list[i].BootJitter = o.BootDelay, o.BootJitter
	}
	return list
}

func seedAWS(cloud *aws.Cloud, o Options) error {
	for _, region := range Regions() {
		cloud.SeedRegion(aws.SeedRegion{
			Account: Account, AccountID: AccountID, AccessKey: AccessKey, Region: region,
			Zones: []string{region + "a", region + "b"}, SecurityGroups: []string{securityGroup},
		})
		ids := map[string]string{}
		for _, image := range images(o, Account) {
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
