package wirefaults

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// amazonAction reads the action of a call in one of AWS's query protocols.
func amazonAction(_ *http.Request, body string) (name string, write bool) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return "", false
	}
	name = form.Get("Action")
	return name, name != "" && !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "Get")
}

// googleAction names a call of Google's REST by its verb and the kinds of what its
// path leads to: "POST instanceGroupManagers/resize". Some reads are posted.
func googleAction(r *http.Request, _ string) (name string, write bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if i := slices.IndexFunc(parts, func(p string) bool { return p == "regions" || p == "locations" || p == "zones" }); i >= 0 && i+2 < len(parts) {
		parts = parts[i+2:]
	}
	name = r.Method
	for i, part := range parts {
		switch {
		case i == 0:
			name += " " + part
		case i%2 == 0:
			name += "/" + part
		}
	}
	switch parts[len(parts)-1] {
	case "listManagedInstances", "getHealth", "validate":
		return name, false
	default:
		return name, r.Method != http.MethodGet
	}
}

func TestActions(t *testing.T) {
	const compute = "/compute/v1/projects/p/regions/r/"
	const service = "/v2/projects/p/locations/r/services/shop"
	for _, c := range []struct {
		of           cloud
		method, path string
		body, name   string
		write        bool
	}{
		{amazon(), "POST", "/", "Action=DescribeRules&Version=1", "DescribeRules", false},
		{amazon(), "POST", "/", "Action=GetMetricData", "GetMetricData", false},
		{amazon(), "POST", "/", "Action=ModifyListener", "ModifyListener", true},
		{google(), "GET", "/compute/v1/projects/p/regions/r", "", "GET compute/projects/regions", false},
		{google(), "GET", compute + "urlMaps/shop", "", "GET urlMaps", false},
		{google(), "POST", compute + "instanceGroupManagers/g/resize?size=3", "", "POST instanceGroupManagers/resize", true},
		{google(), "POST", compute + "instanceGroupManagers/g/listManagedInstances", "", "POST instanceGroupManagers/listManagedInstances", false},
		{google(), "POST", compute + "backendServices/g/getHealth", "{}", "POST backendServices/getHealth", false},
		{google(), "POST", compute + "backendServices?requestId=1", "{}", "POST backendServices", true},
		{google(), "PATCH", service + "?updateMask=traffic", "{}", "PATCH services", true},
		{google(), "DELETE", service + "/revisions/shop-v001", "", "DELETE services/revisions", true},
	} {
		name, write := c.of.action(httptest.NewRequest(c.method, c.path, nil), c.body)
		if name != c.name || write != c.write {
			t.Errorf("%s %s %s is %q, write %v; want %q, %v", c.method, c.path, c.body, name, write, c.name, c.write)
		}
	}
}
