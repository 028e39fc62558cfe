package refusals

import "encoding/json"

// instanceGroup returns the cluster object of a deploy stage to Compute Engine.
func instanceGroup(changes ...string) string {
	return changed(map[string]json.RawMessage{
		"account": json.RawMessage(`"gcp-sim"`), "application": json.RawMessage(`"storefront"`),
		"cloudProvider": json.RawMessage(`"gce"`), "stack": json.RawMessage(`"prod"`),
		"strategy": json.RawMessage(`"rolling"`), "maxSurge": json.RawMessage(`1`),
		"capacity": json.RawMessage(`{"min":1,"max":1,"desired":1}`), "region": json.RawMessage(`"us-central1"`),
		"loadBalancers": json.RawMessage(`["storefront"]`), "instanceType": json.RawMessage(`"e2-small"`),
		"image": json.RawMessage(`"storefront-1-1"`),
	}, changes...)
}

// service returns the cluster object of a deploy stage to Cloud Run.
func service(changes ...string) string {
	return changed(map[string]json.RawMessage{
		"account": json.RawMessage(`"gcp-sim"`), "application": json.RawMessage(`"storefront"`),
		"cloudProvider": json.RawMessage(`"cloudrun"`), "stack": json.RawMessage(`"run"`),
		"strategy": json.RawMessage(`"rolling"`), "maxSurge": json.RawMessage(`1`),
		"capacity": json.RawMessage(`{"min":0,"max":10,"desired":3}`), "region": json.RawMessage(`"us-central1"`),
		"image": json.RawMessage(`"us-docker.pkg.dev/slipway-sim/storefront/storefront:1.1"`),
	}, changes...)
}

// badGoogleStarts are wrong in what only the configuration and Google Cloud can tell.
func badGoogleStarts() []badStart {
	return []badStart{
		{"an account without Auto Scaling groups", cluster("account", `"gcp-sim"`), nothing, at + "/cloudProvider"},
		{"a region of another account", instanceGroup("region", `"us-east-1"`), nothing, at + "/region"},
		{"an unknown image of Compute Engine", instanceGroup("image", `"storefront-9-9"`), nothing, at + "/image"},
		{"an image name that Compute Engine cannot have", instanceGroup("image", `"storefront-1.1"`), nothing, at + "/image"},
		{"a name that Compute Engine cannot have", instanceGroup("stack", `"Prod"`), nothing, at},
		{"an unknown URL map", instanceGroup("loadBalancers", `["shop"]`), nothing, at + "/loadBalancers/0"},
		{"an unknown path matcher", instanceGroup("pathMatcher", `"shop"`), nothing, at + "/pathMatcher"},
		{"a zonal group", instanceGroup("regional", `false`), nothing, at + "/regional"},
		{"an unknown zone of Google", instanceGroup("availabilityZones", `{"us-central1":["us-central1-z"]}`), nothing, at + "/availabilityZones/us-central1/0"},
		{"an unknown health check", instanceGroup("healthCheck", `"shop"`), nothing, at + "/healthCheck"},
		{"a foreign backend service", instanceGroup("backendServices", `["mine"]`), nothing, at + "/backendServices"},
		{"an image without a tag", service("image", `"storefront"`), nothing, at + "/image"},
		{"a load balancer that is not the service", service("loadBalancers", `["storefront"]`), nothing, at + "/loadBalancers/0"},
		{"half a processor in words", service("cpu", `"half"`), nothing, at + "/cpu"},
		{"a manifest of another service", service("image", "", "manifest",
			`{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"storefront-other"},"spec":{"template":{"spec":{"containers":[{"image":"h/p/r/i:1"}]}}}}`),
			nothing, at + "/manifest/metadata/name"},
	}
}
