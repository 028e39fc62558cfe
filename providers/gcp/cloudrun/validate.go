package cloudrun

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
)

// Validate checks a spec without changing anything. Findings that need no call to
// Cloud Run come alone, so that a spec of the wrong shape costs none. Whether the
// image is there only the revision tells: Cloud Run looks for it then.
func (t *Target) Validate(ctx context.Context, cluster delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, found := parseSettings(spec)
	if len(found) > 0 {
		return found, nil
	}
	if found = s.check(cluster, t.project); len(found) > 0 {
		return found, nil
	}
	if _, found, err := t.source(ctx, s.from, cluster); err != nil || len(found) > 0 {
		return found, err
	}
	service, err := t.service(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var f findings
	if service.GetDeleteTime() != nil {
		f.refuse("", "service %s is being deleted", cluster.Name())
	}
	if spec.Capacity.Max == 0 && spec.Capacity.Validate() == nil {
		f = append(f, delivery.Finding{Pointer: "/capacity/max", Warning: true,
			Message: "is 0, which Cloud Run takes for its own limit of 100 instances"})
	}
	return f, nil
}
