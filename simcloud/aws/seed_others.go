package aws

import "fmt"

// SeedOthers describes what others have in an account's region: Auto Scaling groups without instances, target groups and
// launch templates that nobody routes to.
type SeedOthers struct {
	AccountID, Region string
	// Count is how many of each there are.
	Count int
	// Image is the id of the launch templates' image.
	Image string
	// Tags returns the tags of the nth of each.
	Tags func(n int) map[string]string
}

// SeedOthers puts Count launch templates, target groups and Auto Scaling groups "other<n>-v000" into a region.
func (c *Cloud) SeedOthers(seed SeedOthers) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[seed.AccountID]
	if a == nil {
		return fmt.Errorf("seed others: account %s does not exist", seed.AccountID)
	}
	r := c.regionOf(a, seed.Region)
	who := principal{Account: a, ARN: "arn:aws:iam::" + a.ID + ":root", UserID: a.ID}
	for n := range seed.Count {
		name := fmt.Sprintf("other%d-v000", n)
		s := seeder{
			seed: SeedCluster{AccountID: seed.AccountID, Region: seed.Region, Group: name, TargetGroup: name, Image: seed.Image, Tags: seed.Tags(n)},
			call: &call{cloud: c, region: r, data: r.data, account: a, principal: who, action: "Seed", now: c.world.Clock.Now()},
		}
		if err := s.unrouted(); err != nil {
			return fmt.Errorf("seed %s: %w", name, err)
		}
	}
	return nil
}

// unrouted makes a group that no load balancer leads to.
func (s *seeder) unrouted() error {
	template, err := s.template()
	if err != nil {
		return err
	}
	target, err := s.target()
	if err != nil {
		return err
	}
	return s.group(template, target)
}
