package gcp

import (
	"net/http"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func (c *call) insertProxy(in *computepb.InsertRegionTargetHttpProxyRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetTargetHttpProxyResource()).(*computepb.TargetHttpProxy)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "targetHttpProxies")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	urlMap, refusal := c.reference("resource.urlMap", message.GetUrlMap(), "urlMaps")
	if refusal != nil {
		return nil, refusal
	}
	message.UrlMap = proto.String(selfLink(urlMap))
	return c.insert(path, creation{collection: collection, message: message, kind: "compute#targetHttpProxy", quota: "TARGET_HTTP_PROXIES"}), nil
}

func (c *call) getProxy(in *computepb.GetRegionTargetHttpProxyRequest) (*computepb.TargetHttpProxy, error) {
	return get[*computepb.TargetHttpProxy](c, "regions", in.GetRegion(), "targetHttpProxies", in.GetTargetHttpProxy())
}

func (c *call) listProxies(in *computepb.ListRegionTargetHttpProxiesRequest) (*computepb.TargetHttpProxyList, error) {
	items, next, err := list[*computepb.TargetHttpProxy](c, in, "regions", in.GetRegion(), "targetHttpProxies")
	return &computepb.TargetHttpProxyList{Kind: proto.String("compute#targetHttpProxyList"), Items: items, NextPageToken: next}, err
}

// insertForwardingRule opens a port of a load balancer: a real listener on loopback. It knows those of regional application load
// balancers only: one port, a target HTTP proxy.
func (c *call) insertForwardingRule(in *computepb.InsertForwardingRuleRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetForwardingRuleResource()).(*computepb.ForwardingRule)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "forwardingRules")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	if scheme := message.GetLoadBalancingScheme(); !strings.HasSuffix(scheme, "_MANAGED") {
		return nil, invalidValue("resource.loadBalancingScheme", scheme, "The simulator has EXTERNAL_MANAGED and INTERNAL_MANAGED forwarding rules only.")
	}
	target, refusal := c.reference("resource.target", message.GetTarget(), "targetHttpProxies")
	if refusal != nil {
		return nil, refusal
	}
	low, _, _ := strings.Cut(message.GetPortRange(), "-")
	port, err := strconv.Atoi(low)
	if err != nil || port < 1 || port > 65535 {
		return nil, invalidValue("resource.portRange", message.GetPortRange(), "Must be one port.")
	}
	message.Target, message.PortRange = proto.String(selfLink(target)), proto.String(low+"-"+low)
	if message.IPProtocol == nil {
		message.IPProtocol = proto.String("TCP")
	}
	message.IPAddress = proto.String("127.0.0.1")
	op := c.insert(path, creation{collection: collection, message: message, kind: "compute#forwardingRule", quota: "FORWARDING_RULES"})
	if c.data.resources[path].doomed {
		return op, nil
	}
	urlMap := pathOfLink(lookup[*computepb.TargetHttpProxy](c.data, target).GetUrlMap())
	if err := c.project.compute.listen(urlMap, port); err != nil {
		return nil, &apiError{status: http.StatusInternalServerError, reason: "internalError", message: err.Error()}
	}
	return op, nil
}

func (c *call) getForwardingRule(in *computepb.GetForwardingRuleRequest) (*computepb.ForwardingRule, error) {
	return get[*computepb.ForwardingRule](c, "regions", in.GetRegion(), "forwardingRules", in.GetForwardingRule())
}

func (c *call) listForwardingRules(in *computepb.ListForwardingRulesRequest) (*computepb.ForwardingRuleList, error) {
	items, next, err := list[*computepb.ForwardingRule](c, in, "regions", in.GetRegion(), "forwardingRules")
	return &computepb.ForwardingRuleList{Kind: proto.String("compute#forwardingRuleList"), Items: items, NextPageToken: next}, err
}
