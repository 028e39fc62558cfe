package gcp

import (
	"fmt"
	"net/http"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func (c *call) insertURLMap(in *computepb.InsertRegionUrlMapRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetUrlMapResource()).(*computepb.UrlMap)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "urlMaps")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkMap(message); refusal != nil {
		return nil, refusal
	}
	op := c.insert(path, creation{collection: collection, message: message, kind: "compute#urlMap", quota: "URL_MAPS"})
	message.Fingerprint = proto.String(c.cloud.newHash())
	return op, nil
}

func (c *call) getURLMap(in *computepb.GetRegionUrlMapRequest) (*computepb.UrlMap, error) {
	return get[*computepb.UrlMap](c, "regions", in.GetRegion(), "urlMaps", in.GetUrlMap())
}

func (c *call) listURLMaps(in *computepb.ListRegionUrlMapsRequest) (*computepb.UrlMapList, error) {
	items, next, err := list[*computepb.UrlMap](c, in, "regions", in.GetRegion(), "urlMaps")
	return &computepb.UrlMapList{Kind: proto.String("compute#urlMapList"), Items: items, NextPageToken: next}, err
}

func (c *call) getGlobalURLMap(in *computepb.GetUrlMapRequest) (*computepb.UrlMap, error) {
	return get[*computepb.UrlMap](c, "global", "urlMaps", in.GetUrlMap())
}

func (c *call) listGlobalURLMaps(in *computepb.ListUrlMapsRequest) (*computepb.UrlMapList, error) {
	items, next, err := list[*computepb.UrlMap](c, in, "global", "urlMaps")
	return &computepb.UrlMapList{Kind: proto.String("compute#urlMapList"), Items: items, NextPageToken: next}, err
}

func (c *call) patchURLMap(in *computepb.PatchRegionUrlMapRequest) (*computepb.Operation, error) {
	return c.changeMap(in.GetRegion(), in.GetUrlMap(), in.GetUrlMapResource(), "patch")
}

func (c *call) updateURLMap(in *computepb.UpdateRegionUrlMapRequest) (*computepb.Operation, error) {
	return c.changeMap(in.GetRegion(), in.GetUrlMap(), in.GetUrlMapResource(), "update")
}

func (c *call) changeMap(region, name string, given *computepb.UrlMap, how string) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", region, "urlMaps", name)
	r, stored, err := writable[*computepb.UrlMap](c, path)
	if err != nil {
		return nil, err
	}
	if refusal := checkFingerprint(given.Fingerprint, stored.GetFingerprint()); refusal != nil {
		return nil, refusal
	}
	next := merged(stored, given)
	if how == "update" {
		next = replaced(stored, given)
	}
	if refusal := c.checkMap(next); refusal != nil {
		return nil, refusal
	}
	next.Fingerprint = proto.String(c.cloud.newHash())
	r.message = next
	c.project.compute.applyMap(path)
	return c.begin(operationSpec{kind: how, target: path, scope: scopeOf(path)}), nil
}

func (c *call) deleteURLMap(in *computepb.DeleteRegionUrlMapRequest) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", in.GetRegion(), "urlMaps", in.GetUrlMap())
	for _, r := range all[*computepb.TargetHttpProxy](c.data) {
		if pathOfLink(r.message.(*computepb.TargetHttpProxy).GetUrlMap()) == path {
			return nil, inUse("url_map", path, r.path)
		}
	}
	return c.remove(path, "", nil)
}

// validateURLMap says whether a URL map could be: "calling this method does NOT create the UrlMap" (discovery document).
func (c *call) validateURLMap(in *computepb.ValidateRegionUrlMapRequest) (*computepb.UrlMapsValidateResponse, error) {
	c.about = pathOf(c.project.id, "regions", in.GetRegion(), "urlMaps", in.GetUrlMap())
	message := proto.Clone(in.GetRegionUrlMapsValidateRequestResource().GetResource()).(*computepb.UrlMap)
	result := &computepb.UrlMapValidationResult{LoadSucceeded: proto.Bool(true), TestPassed: proto.Bool(true)}
	if refusal := c.checkMap(message); refusal != nil {
		result.LoadSucceeded, result.TestPassed, result.LoadErrors = proto.Bool(false), nil, []string{refusal.message}
	}
	return &computepb.UrlMapsValidateResponse{Result: result}, nil
}

// routePlace is a place of a URL map that says where requests go. Exactly one of service, weights of the action, and redirect
// is set.
type routePlace struct {
	field    string // what the discovery document calls it, for refusals
	prefix   string // "default" in front of the names of the fields of default places
	service  *string
	link     func(string) // replaces the service's link
	action   *computepb.HttpRouteAction
	redirect *computepb.HttpRedirectAction
}

// placesOf are all places of a URL map.
func placesOf(message *computepb.UrlMap) []routePlace {
	out := []routePlace{{
		field: "resource.", prefix: "default", service: message.DefaultService, action: message.DefaultRouteAction, redirect: message.DefaultUrlRedirect,
		link: func(link string) { message.DefaultService = &link },
	}}
	for i, m := range message.GetPathMatchers() {
		at := fmt.Sprintf("resource.pathMatchers[%d].", i)
		out = append(out, routePlace{
			field: at, prefix: "default", service: m.DefaultService, action: m.DefaultRouteAction, redirect: m.DefaultUrlRedirect,
			link: func(link string) { m.DefaultService = &link },
		})
		for n, r := range m.GetPathRules() {
			out = append(out, routePlace{
				field: fmt.Sprintf("%spathRules[%d].", at, n), service: r.Service, action: r.RouteAction, redirect: r.UrlRedirect,
				link: func(link string) { r.Service = &link },
			})
		}
		for n, r := range m.GetRouteRules() {
			out = append(out, routePlace{
				field: fmt.Sprintf("%srouteRules[%d].", at, n), service: r.Service, action: r.RouteAction, redirect: r.UrlRedirect,
				link: func(link string) { r.Service = &link },
			})
		}
	}
	return out
}

// checkMap refuses a URL map that cannot be, and makes its links full ones.
func (c *call) checkMap(message *computepb.UrlMap) *apiError {
	for _, place := range placesOf(message) {
		if refusal := c.checkPlace(place); refusal != nil {
			return refusal
		}
	}
	if len(message.GetTests()) > 0 {
		return &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator does not run the tests of a URL map."}
	}
	matchers := map[string]bool{}
	for i, m := range message.GetPathMatchers() {
		if refusal := checkMatcher(fmt.Sprintf("resource.pathMatchers[%d].", i), m); refusal != nil {
			return refusal
		}
		if matchers[m.GetName()] {
			return invalidValue(fmt.Sprintf("resource.pathMatchers[%d].name", i), m.GetName(), "Names of path matchers must be unique.")
		}
		matchers[m.GetName()] = true
	}
	hosts := map[string]bool{}
	for i, rule := range message.GetHostRules() {
		if !matchers[rule.GetPathMatcher()] {
			return invalidValue(fmt.Sprintf("resource.hostRules[%d].pathMatcher", i), rule.GetPathMatcher(), "There is no such path matcher.")
		}
		for _, host := range rule.GetHosts() {
			if hosts[host] {
				return invalidValue(fmt.Sprintf("resource.hostRules[%d].hosts", i), host, "The host is in another host rule.")
			}
			hosts[host] = true
		}
	}
	return nil
}

// checkPlace holds a place to the discovery document: "only one of defaultUrlRedirect, defaultService or
// defaultRouteAction.weightedBackendService can be set", so a patch that adds weights beside a service is refused: a patch
// cannot take the service away without an explicit null, an update can. Weights are from 0 to 1000, and "if all traffic needs
// to go to a single backend service, there must be one weightedBackendService with weight set to a non-zero number": weights
// that are all 0 are refused.
func (c *call) checkPlace(place routePlace) *apiError {
	weights := place.action.GetWeightedBackendServices()
	field := place.field + fieldOf(place.prefix, "service")
	set := 0
	for _, is := range []bool{place.service != nil, len(weights) > 0, place.redirect != nil} {
		if is {
			set++
		}
	}
	switch {
	case set == 0:
		return invalidValue(field, "", "One of service, weighted backend services and URL redirect must be set.")
	case set > 1:
		return invalidValue(field, fmt.Sprint(deref(place.service)), "Only one of "+fieldOf(place.prefix, "urlRedirect")+", "+fieldOf(place.prefix, "service")+
			" or "+fieldOf(place.prefix, "routeAction")+".weightedBackendService can be set.")
	case place.redirect != nil:
		return checkRedirect(place.field+fieldOf(place.prefix, "urlRedirect")+".", place.redirect)
	case place.action.GetUrlRewrite() != nil || place.action.GetFaultInjectionPolicy() != nil || place.action.GetRequestMirrorPolicy() != nil:
		return &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator has no URL rewrites, fault injection and mirrors."}
	}
	if place.service != nil {
		link, refusal := c.backendLink(field, *place.service)
		if refusal == nil {
			place.link(link)
		}
		return refusal
	}
	return c.checkWeights(place.field+fieldOf(place.prefix, "routeAction")+".weightedBackendServices", weights)
}

func (c *call) checkWeights(field string, weights []*computepb.WeightedBackendService) *apiError {
	total := uint32(0)
	seen := map[string]bool{}
	for i, w := range weights {
		at := fmt.Sprintf("%s[%d].", field, i)
		link, refusal := c.backendLink(at+"backendService", w.GetBackendService())
		if refusal != nil {
			return refusal
		}
		if w.GetWeight() > 1000 {
			return invalidValue(at+"weight", fmt.Sprint(w.GetWeight()), "Must be between 0 and 1000.")
		}
		if seen[link] {
			return invalidValue(at+"backendService", link, "The backend service is listed twice.")
		}
		seen[link], w.BackendService = true, &link
		total += w.GetWeight()
	}
	if total == 0 {
		return invalidValue(field, "", "The sum of weights must be greater than 0.")
	}
	return nil
}

// backendLink is the full link of a backend service that a regional URL map may name.
func (c *call) backendLink(field, url string) (string, *apiError) {
	path, refusal := c.reference(field, url, "backendServices")
	if refusal != nil {
		return "", refusal
	}
	service := lookup[*computepb.BackendService](c.data, path)
	if scheme := service.GetLoadBalancingScheme(); !strings.HasSuffix(scheme, "_MANAGED") {
		return "", invalidValue(field, url, "The load balancing scheme "+scheme+" cannot be used by a regional URL map.")
	}
	return selfLink(path), nil
}

// fieldOf is "service" or "defaultService".
func fieldOf(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + strings.ToUpper(name[:1]) + name[1:]
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
