package gcp

import (
	"net/http"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// redirectStatus are the statuses of HttpRedirectAction.redirectResponseCode; 301 when it is not set.
var redirectStatus = map[string]int{
	"": http.StatusMovedPermanently, "MOVED_PERMANENTLY_DEFAULT": http.StatusMovedPermanently, "FOUND": http.StatusFound,
	"SEE_OTHER": http.StatusSeeOther, "TEMPORARY_REDIRECT": http.StatusTemporaryRedirect, "PERMANENT_REDIRECT": http.StatusPermanentRedirect,
}

// checkRedirect refuses two paths at once ("pathRedirect cannot be supplied together with prefixRedirect", discovery document).
func checkRedirect(field string, redirect *computepb.HttpRedirectAction) *apiError {
	if redirect.PathRedirect != nil && redirect.PrefixRedirect != nil {
		return invalidValue(field+"pathRedirect", redirect.GetPathRedirect(), "pathRedirect cannot be supplied together with prefixRedirect.")
	}
	return nil
}

// locationOf says where a request is sent. A prefixRedirect takes the place of the whole path: which prefix was matched is not
// known here.
func locationOf(redirect *computepb.HttpRedirectAction) func(*http.Request) string {
	return func(r *http.Request) string {
		to := *r.URL
		to.Scheme, to.Host = "http", r.Host
		if redirect.GetHttpsRedirect() {
			to.Scheme = "https"
		}
		if redirect.HostRedirect != nil {
			to.Host = redirect.GetHostRedirect()
		}
		if path := redirect.GetPathRedirect() + redirect.GetPrefixRedirect(); path != "" {
			to.Path, to.RawPath = "/"+strings.TrimPrefix(path, "/"), ""
		}
		if redirect.GetStripQuery() {
			to.RawQuery = ""
		}
		return to.String()
	}
}
