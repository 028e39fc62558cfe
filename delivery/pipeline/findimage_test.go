package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func TestParseFind(t *testing.T) {
	prod := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	west := prod
	west.Region = "us-west-2"
	gce := delivery.Cluster{Provider: "gce", Region: "us-central1"}
	for _, test := range []struct {
		kind, stage string
		want        []FindImage
	}{
		{"findImage", operate("findImage", ``), []FindImage{{Cluster: prod, Select: delivery.SelectCurrent, OnlyEnabled: true}}},
		{"findImageFromCluster", `{"credentials":"aws-sim","regions":["us-east-1","us-west-2"],"moniker":{"app":"storefront","stack":"prod"},"selectionStrategy":"LARGEST","onlyEnabled":"false"}`,
			[]FindImage{{Cluster: prod, Select: delivery.SelectLargest}, {Cluster: west, Select: delivery.SelectLargest}}},
		{"findImageFromTags", `{"cloudProvider":"gce","regions":["us-central1"],"packageName":"storefront","tags":{"stage":"prod"}}`,
			[]FindImage{{Cluster: gce, Package: "storefront", Tags: map[string]string{"stage": "prod"}}}},
	} {
		got, err := ParseFind(test.kind, json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.kind, err)
		}
		if diff := cmp.Diff(test.want, got.Places); diff != "" {
			t.Errorf("%s: %s", test.kind, diff)
		}
	}
	if _, err := ParseFind("deploy", json.RawMessage(`{}`)); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("deploy: %v", err)
	}
}

// TestWrongFinds are refused when the pipeline is saved.
func TestWrongFinds(t *testing.T) {
	const tags = `{"type":"findImageFromTags","regions":["r"],"packageName":"p"`
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no cluster", `{"type":"findImage","credentials":"a","regions":["r"]}`, "/cluster", "is required"},
		{"no account", `{"type":"findImage","cluster":"a-b","regions":["r"]}`, "/credentials", "is required"},
		{"no region", `{"type":"findImage","credentials":"a","cluster":"a-b"}`, "/regions", "is required"},
		{"an unknown strategy", operate("findImage", `,"selectionStrategy":"BEST"`), "/selectionStrategy", "must be NEWEST"},
		{"a pattern", operate("findImage", `,"imageNamePattern":"x.*"`), "/imageNamePattern", "not supported"},
		{"a flag in words", operate("findImage", `,"onlyEnabled":"often"`), "/onlyEnabled", "boolean"},
		{"no package", `{"type":"findImageFromTags","regions":["r"]}`, "/packageName", "is required"},
		{"a wildcard", `{"type":"findImageFromTags","regions":["r"],"packageName":"*"}`, "/packageName", "wildcards"},
		{"tags in a list", tags + `,"tags":["a"]}`, "/tags", "must be an object"},
		{"a tag that is no text", tags + `,"tags":{"a":1}}`, "/tags/a", "must be a string"},
		{"images of Cloud Run", tags + `,"cloudProvider":"cloudrun"}`, "/cloudProvider", "no list of images"},
	} {
		_, err := Parse(json.RawMessage(`{"stages":[` + test.stage + `]}`))
		found := false
		for _, f := range delivery.FindingsOf(err) {
			found = found || f.Pointer == "/stages/0"+test.pointer && strings.Contains(f.Message, test.message)
		}
		if !found {
			t.Errorf("%s: %v", test.name, delivery.FindingsOf(err))
		}
	}
}

// deployTo is a deploy stage of the provider without an image, with fields on top.
func deployTo(refID, after, provider, zones, fields string) string {
	return `{"refId":"` + refID + `","requisiteStageRefIds":[` + after + `],"type":"deploy","clusters":[{"cloudProvider":"` + provider +
		`","account":"a","application":"shop","stack":"prod","strategy":"none","capacity":{"min":1,"max":1,"desired":1},"availabilityZones":` + zones + fields + `}]}`
}

// TestWhoseImageIsFound: a cluster without an image needs a stage before it that
// finds one of its provider in each of its regions.
func TestWhoseImageIsFound(t *testing.T) {
	const one, two = `{"r1":[]}`, `{"r1":[],"r2":[]}`
	find := func(refID, fields string) string {
		return `{"refId":"` + refID + `","requisiteStageRefIds":[],"type":"findImageFromTags","packageName":"shop",` + fields + `}`
	}
	wait := `{"refId":"w","requisiteStageRefIds":["f"],"type":"wait","waitTime":1}`
	for _, test := range []struct {
		name   string
		stages []string
		ok     bool
	}{
		{"before it", []string{find("f", `"regions":["r1"]`), deployTo("d", `"f"`, "aws", one, "")}, true},
		{"further before it", []string{find("f", `"regions":["r1"]`), wait, deployTo("d", `"w"`, "aws", one, "")}, true},
		{"in both regions", []string{find("f", `"regions":["r1","r2"]`), deployTo("d", `"f"`, "aws", two, "")}, true},
		{"in both regions by two stages", []string{find("f", `"regions":["r1"]`), find("g", `"regions":["r2"]`), deployTo("d", `"f","g"`, "aws", two, "")}, true},
		{"regions that only the run tells", []string{find("f", `"regions":"${trigger.regions}"`), deployTo("d", `"f"`, "aws", one, "")}, true},
		{"a region that only the run tells", []string{find("f", `"regions":["r9","${trigger.region}"]`), deployTo("d", `"f"`, "aws", one, "")}, true},
		{"by region", []string{deployTo("d", ``, "aws", two, `,"imageByRegion":{"r1":"ami-1","r2":"ami-2"}`)}, true},
		{"nowhere", []string{deployTo("d", ``, "aws", one, "")}, false},
		{"beside it", []string{find("f", `"regions":["r1"]`), deployTo("d", ``, "aws", one, "")}, false},
		{"in one of two regions", []string{find("f", `"regions":["r1"]`), deployTo("d", `"f"`, "aws", two, "")}, false},
		{"for another provider", []string{find("f", `"regions":["r1"],"cloudProvider":"gce"`), deployTo("d", `"f"`, "aws", one, "")}, false},
		{"by region for one of two", []string{deployTo("d", ``, "aws", two, `,"imageByRegion":{"r1":"ami-1"}`)}, false},
	} {
		_, err := Parse(json.RawMessage(`{"stages":[` + strings.Join(test.stages, ",") + `]}`))
		want := []delivery.Finding(nil)
		if !test.ok {
			at := `/stages/` + string('0'+rune(len(test.stages)-1)) + `/clusters/0/amiName`
			want = []delivery.Finding{{Pointer: at, Message: "is required: the image to deploy, a name or an id"}}
		}
		if diff := cmp.Diff(want, delivery.FindingsOf(err)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	for fields, pointer := range map[string]string{
		`,"imageByRegion":{"r1":"ami-1"},"amiName":"x"`:       "/stages/0/clusters/0/imageByRegion",
		`,"imageByRegion":{"r1":"ami-1","r2":"ami-2"}`:        "/stages/0/clusters/0/imageByRegion/r2",
		`,"imageByRegion":{"r1":7}`:                           "/stages/0/clusters/0/imageByRegion/r1",
		`,"imageByRegion":"ami-1"`:                            "/stages/0/clusters/0/imageByRegion",
		`,"imageByRegion":{"r1":""},"image":null,"amiName":7`: "/stages/0/clusters/0/amiName",
	} {
		_, err := Parse(json.RawMessage(`{"stages":[` + deployTo("d", ``, "aws", one, fields) + `]}`))
		found := false
		for _, f := range delivery.FindingsOf(err) {
			found = found || f.Pointer == pointer
		}
		if !found {
			t.Errorf("%s: %v", fields, delivery.FindingsOf(err))
		}
	}
}

// TestWithImages: the nearest image of the provider and region is taken where none
// is named.
func TestWithImages(t *testing.T) {
	found := []FoundImage{
		{CloudProvider: "gce", Region: "r1", ImageID: "projects/p/global/images/x"},
		{CloudProvider: "aws", Region: "r1", ImageID: "ami-near"}, {CloudProvider: "aws", Region: "r1", ImageID: "ami-far"},
		{CloudProvider: "aws", Region: "r2", ImageID: "ami-2"},
	}
	images := func(kind, stage string) []string {
		t.Helper()
		filled, err := WithImages(kind, json.RawMessage(stage), found)
		if err != nil {
			t.Fatal(err)
		}
		deploy, err := ParseDeploy(kind, filled)
		if err != nil {
			return []string{err.Error()}
		}
		var out []string
		for _, c := range deploy.Clusters {
			out = append(out, c.Cluster.Region+" "+c.Spec.Image)
		}
		return out
	}
	for _, test := range []struct {
		name, kind, stage string
		want              []string
	}{
		{"two regions", "deploy", deployTo("d", ``, "aws", `{"r1":[],"r2":[]}`, ``), []string{"r1 ami-near", "r2 ami-2"}},
		{"another provider", "deploy", deployTo("d", ``, "gce", `{"r1":[]}`, ``), []string{"r1 projects/p/global/images/x"}},
		{"an image of its own", "deploy", deployTo("d", ``, "aws", `{"r1":[]}`, `,"amiName":"mine"`), []string{"r1 mine"}},
		{"one of its own by region", "deploy", deployTo("d", ``, "aws", `{"r1":[],"r2":[]}`, `,"imageByRegion":{"r1":"ami-1","r2":"ami-3"}`), []string{"r1 ami-1", "r2 ami-3"}},
		{"the stage itself", "createServerGroup", `{"credentials":"a","application":"shop","strategy":"none","capacity":{"min":1,"max":1,"desired":1},"availabilityZones":{"r2":[]}}`, []string{"r2 ami-2"}},
		{"none found", "deploy", deployTo("d", ``, "aws", `{"r3":[]}`, ``), []string{"deploy stage is not valid: /clusters/0/amiName: is required: the image to deploy, a name or an id"}},
	} {
		if diff := cmp.Diff(test.want, images(test.kind, test.stage)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestImageOfACluster(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC) }
	group := func(name string, n, size int) delivery.ServerGroup {
		return delivery.ServerGroup{Name: name, CreatedAt: at(n), Image: "shop-" + name, ImageID: "ami-" + name, Complete: true, Instances: make([]delivery.Instance, size)}
	}
	seen := delivery.Snapshot{Groups: []delivery.ServerGroup{group("v1", 1, 1), group("v2", 2, 5), group("v3", 3, 2)},
		Routing: &delivery.Routing{Weights: []delivery.Weight{{ServerGroup: "v1", Percent: 50}, {ServerGroup: "v2", Percent: 50}, {ServerGroup: "v3"}}}}
	for _, test := range []struct {
		which   delivery.Selection
		enabled bool
		want    string
	}{
		{delivery.SelectCurrent, true, "v2"}, {delivery.SelectCurrent, false, "v3"}, {delivery.SelectOldest, true, "v1"}, {delivery.SelectLargest, false, "v2"},
		{delivery.SelectOnly, true, ""},
	} {
		f := FindImage{Cluster: delivery.Cluster{Provider: "aws", Account: "a", Region: "r1"}, Select: test.which, OnlyEnabled: test.enabled}
		got, err := f.From(seen)
		if test.want == "" {
			if delivery.KindOf(err) != delivery.NotFound {
				t.Errorf("%s: %+v, %v", test.which, got, err)
			}
			continue
		}
		want := FoundImage{AMI: "ami-" + test.want, ImageID: "ami-" + test.want, ImageName: "shop-" + test.want, CloudProvider: "aws", Account: "a", Region: "r1", SourceServerGroup: test.want}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", test.which, err, diff)
		}
	}
	if _, err := (FindImage{Select: delivery.SelectCurrent}).From(delivery.Snapshot{Groups: []delivery.ServerGroup{{Name: "v1", Complete: true}}}); delivery.KindOf(err) != delivery.NotReady {
		t.Errorf("an image that is not known: %v", err)
	}
}

func TestImageOfAPackage(t *testing.T) {
	images := []delivery.Image{{ID: "4", Name: "storefrontier-2"}, {ID: "3", Name: "storefront-2", Tags: map[string]string{"stage": "dev"}},
		{ID: "2", Name: "storefront-1", Tags: map[string]string{"stage": "prod", "a": "b"}}, {ID: "1", Name: "storefront"}}
	for _, test := range []struct {
		name, id string
		tags     map[string]string
	}{{"storefront", "3", nil}, {"storefront", "2", map[string]string{"stage": "prod"}}, {"storefront", "", map[string]string{"stage": "prod", "a": "c"}}, {"store", "", nil}} {
		got, err := FindImage{Package: test.name, Tags: test.tags}.Among(images)
		if got.ImageID != test.id || (test.id == "") != (delivery.KindOf(err) == delivery.NotFound) {
			t.Errorf("%s %v: %+v, %v", test.name, test.tags, got, err)
		}
	}
}

func TestAccountOfAFind(t *testing.T) {
	accounts := []delivery.Account{{Name: "a", Provider: "aws", Regions: []string{"r1", "r2"}}, {Name: "b", Provider: "aws", Regions: []string{"r2"}}}
	for region, want := range map[string]string{"r1": "a", "r2": "", "r3": ""} {
		got, err := FindImage{Cluster: delivery.Cluster{Provider: "aws", Region: region}}.In(accounts)
		if got.Cluster.Account != want || (want == "") != (len(delivery.FindingsOf(err)) == 1) {
			t.Errorf("%s: %+v, %v", region, got, err)
		}
	}
}
