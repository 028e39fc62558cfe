package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func TestFindImages(t *testing.T) {
	h := newHarness(t)
	var images []v1.Image
	h.do("GET", "/images/find?q=storefront-1.1", "").want(200).into(&images)
	tags := map[string]string{"n": "1"}
	want := []v1.Image{{ImageName: "storefront-1.1", Account: "aws-sim", CloudProvider: "aws", Attributes: v1.ImageAttributes{CreationDate: "2026-11-19T11:06:40Z"},
		AMIs: map[string][]string{"us-east-1": {"ami-1"}, "us-west-2": {"ami-1"}}, Tags: tags, TagsByImageID: map[string]map[string]string{"ami-1": tags}}}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Error(diff)
	}
	for query, names := range map[string][]string{
		"q=front":               {"storefront-1.1", "storefront-1.0"},
		"q=front*":              {},
		"q=store*1.?":           {"storefront-1.1", "storefront-1.0"},
		"q=front&count=1":       {"storefront-1.1"},
		"q=front&count=0":       {},
		"q=front&account=other": {},
		"q=front&region=mars":   {},
		"q=front&provider=gce":  {},
		"q=front&region=&account=aws-sim&provider=aws": {"storefront-1.1", "storefront-1.0"},
		"q=ami-1": {},
	} {
		got := []string{}
		h.do("GET", "/images/find?"+query, "").want(200).into(&images)
		for _, image := range images {
			got = append(got, image.ImageName)
		}
		if diff := cmp.Diff(names, got); diff != "" {
			t.Errorf("%s:\n%s", query, diff)
		}
	}
	var here []v1.Image
	if h.do("GET", "/images/find?q=front&region=us-west-2", "").want(200).into(&here); len(here) != 2 || len(here[0].AMIs) != 1 {
		t.Errorf("images of one region: %+v", here)
	}
	for query, field := range map[string]string{
		"": "?q", "q=st": "?q", "q=*s*t*": "?q", "q=%00abc": "?q", "q=%ffabc": "?q", "q=" + strings.Repeat("x", 201): "?q",
		"q=many-of-them": "?q", "q=front&count=-1": "?count", "q=front&count=all": "?count", "q=abc&q=def": "?q",
	} {
		if fields := h.do("GET", "/images/find?"+query, "").want(400).fields(); fields[field] == "" {
			t.Errorf("%s: %v", url.QueryEscape(query), fields)
		}
	}
	h.cloud.fail(delivery.Errorf(delivery.Denied, "the cloud says no"))
	h.do("GET", "/images/find?q=front", "").want(503)
}
