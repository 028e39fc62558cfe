package gcp

import (
	"maps"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// computePlane is Compute Engine's data plane of one project: its groups' machines and its load balancers.
type computePlane struct {
	project *project
	// targets are the backend services at work, by path; checks those that judge a group's instances for autohealing, by the
	// group's path.
	targets map[string]*simcloud.TargetGroup
	checks  map[string]*simcloud.TargetGroup
	// balancers are the URL maps at work, by path.
	balancers map[string]*simcloud.LoadBalancer
}

func newComputePlane(p *project) *computePlane {
	return &computePlane{
		project: p, targets: map[string]*simcloud.TargetGroup{}, checks: map[string]*simcloud.TargetGroup{},
		balancers: map[string]*simcloud.LoadBalancer{},
	}
}

// computeHandlers is the table of Compute Engine's methods.
func computeHandlers() map[string]handler {
	table := map[string]handler{}
	for _, part := range []map[string]handler{
		groupHandlers(), trafficHandlers(), placeHandlers(), operationHandlers(),
	} {
		maps.Copy(table, part)
	}
	return table
}

// groupHandlers are the methods about machines.
func groupHandlers() map[string]handler {
	return map[string]handler{
		"Images.Get":           handle((*call).getImage),
		"Images.GetFromFamily": handle((*call).getImageFromFamily),
		"Images.List":          handle((*call).listImages),

		"InstanceTemplates.Insert":       handle((*call).insertGlobalTemplate),
		"InstanceTemplates.Get":          handle((*call).getGlobalTemplate),
		"RegionInstanceTemplates.Insert": handle((*call).insertTemplate),
		"RegionInstanceTemplates.Get":    handle((*call).getTemplate),
		"RegionInstanceTemplates.List":   handle((*call).listTemplates),
		"RegionInstanceTemplates.Delete": handle((*call).deleteTemplate),

		"RegionInstanceGroupManagers.Insert":                  handle((*call).insertGroup),
		"RegionInstanceGroupManagers.Get":                     handle((*call).getGroup),
		"RegionInstanceGroupManagers.List":                    handle((*call).listGroups),
		"RegionInstanceGroupManagers.Patch":                   handle((*call).patchGroup),
		"RegionInstanceGroupManagers.Resize":                  handle((*call).resizeGroup),
		"RegionInstanceGroupManagers.Delete":                  handle((*call).deleteGroup),
		"RegionInstanceGroupManagers.ListManagedInstances":    handle((*call).listManagedInstances),
		"RegionInstanceGroupManagers.ListErrors":              handle((*call).listGroupErrors),
		"RegionInstanceGroupManagers.RecreateInstances":       handle((*call).recreateInstances),
		"RegionInstanceGroupManagers.DeleteInstances":         handle((*call).deleteInstances),
		"RegionInstanceGroupManagers.ApplyUpdatesToInstances": handle((*call).applyUpdates),

		"RegionInstanceGroups.Get":           handle((*call).getInstanceGroup),
		"RegionInstanceGroups.ListInstances": handle((*call).listGroupInstances),

		"RegionAutoscalers.Insert": handle((*call).insertAutoscaler),
		"RegionAutoscalers.Get":    handle((*call).getAutoscaler),
		"RegionAutoscalers.List":   handle((*call).listAutoscalers),
		"RegionAutoscalers.Patch":  handle((*call).patchAutoscaler),
		"RegionAutoscalers.Delete": handle((*call).deleteAutoscaler),

		"Instances.Get":  handle((*call).getInstance),
		"Instances.List": handle((*call).listInstances),
	}
}

// trafficHandlers are the methods about load balancing.
func trafficHandlers() map[string]handler {
	return map[string]handler{
		"RegionHealthChecks.Insert": handle((*call).insertRegionHealthCheck),
		"RegionHealthChecks.Get":    handle((*call).getRegionHealthCheck),
		"RegionHealthChecks.List":   handle((*call).listRegionHealthChecks),
		"RegionHealthChecks.Delete": handle((*call).deleteRegionHealthCheck),
		"HealthChecks.Insert":       handle((*call).insertHealthCheck),
		"HealthChecks.Get":          handle((*call).getHealthCheck),
		"HealthChecks.List":         handle((*call).listHealthChecks),
		"HealthChecks.Delete":       handle((*call).deleteHealthCheck),

		"RegionBackendServices.Insert":    handle((*call).insertBackendService),
		"RegionBackendServices.Get":       handle((*call).getBackendService),
		"RegionBackendServices.List":      handle((*call).listBackendServices),
		"RegionBackendServices.Patch":     handle((*call).patchBackendService),
		"RegionBackendServices.Update":    handle((*call).updateBackendService),
		"RegionBackendServices.Delete":    handle((*call).deleteBackendService),
		"RegionBackendServices.GetHealth": handle((*call).getBackendHealth),

		"RegionUrlMaps.Insert":   handle((*call).insertURLMap),
		"RegionUrlMaps.Get":      handle((*call).getURLMap),
		"RegionUrlMaps.List":     handle((*call).listURLMaps),
		"RegionUrlMaps.Patch":    handle((*call).patchURLMap),
		"RegionUrlMaps.Update":   handle((*call).updateURLMap),
		"RegionUrlMaps.Delete":   handle((*call).deleteURLMap),
		"RegionUrlMaps.Validate": handle((*call).validateURLMap),
		"UrlMaps.Get":            handle((*call).getGlobalURLMap),
		"UrlMaps.List":           handle((*call).listGlobalURLMaps),

		"RegionTargetHttpProxies.Insert": handle((*call).insertProxy),
		"RegionTargetHttpProxies.Get":    handle((*call).getProxy),
		"RegionTargetHttpProxies.List":   handle((*call).listProxies),
		"ForwardingRules.Insert":         handle((*call).insertForwardingRule),
		"ForwardingRules.Get":            handle((*call).getForwardingRule),
		"ForwardingRules.List":           handle((*call).listForwardingRules),
	}
}

// placeHandlers are the methods about what every project has.
func placeHandlers() map[string]handler {
	return map[string]handler{
		"Networks.Get":     handle((*call).getNetwork),
		"Networks.List":    handle((*call).listNetworks),
		"Subnetworks.Get":  handle((*call).getSubnetwork),
		"Subnetworks.List": handle((*call).listSubnetworks),
		"Regions.Get":      handle((*call).getRegion),
		"Regions.List":     handle((*call).listRegions),
		"Zones.Get":        handle((*call).getZone),
		"Zones.List":       handle((*call).listZones),
		"MachineTypes.Get": handle((*call).getMachineType),
	}
}

// operationHandlers are the methods about operations.
func operationHandlers() map[string]handler {
	return map[string]handler{
		"RegionOperations.Get":            handle((*call).getRegionOperation),
		"RegionOperations.List":           handle((*call).listRegionOperations),
		"RegionOperations.Wait":           handle((*call).waitRegionOperation),
		"ZoneOperations.Get":              handle((*call).getZoneOperation),
		"ZoneOperations.List":             handle((*call).listZoneOperations),
		"ZoneOperations.Wait":             handle((*call).waitZoneOperation),
		"GlobalOperations.Get":            handle((*call).getGlobalOperation),
		"GlobalOperations.List":           handle((*call).listGlobalOperations),
		"GlobalOperations.Wait":           handle((*call).waitGlobalOperation),
		"GlobalOperations.AggregatedList": handle((*call).aggregateOperations),
	}
}

// reconcile lets time act on the project's groups: machines boot and end, groups make, judge, repair and delete
// instances, and backend services learn of them. It runs at every tick and after every write.
func (p *computePlane) reconcile(now time.Time) {
	groups := p.groups()
	for _, g := range groups {
		p.followMembers(g, now)
		p.heal(g, now)
		p.boundByAutoscaler(g)
		p.matchTarget(g, now)
	}
	p.syncBackends()
	for _, g := range groups {
		p.launchMembers(g, now)
		p.endMembers(g)
		p.finishGroupDeletion(g, now)
		p.summarize(g)
	}
}
