package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// withTrigger is a pipeline with an id, one trigger and more fields.
func withTrigger(trigger, more string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":"self","name":"n","stages":[{"type":"wait","waitTime":1}],"triggers":[%s]%s}`, trigger, more))
}

func TestTriggersAreChecked(t *testing.T) {
	for name, row := range map[string]struct {
		trigger string
		want    []string
	}{
		"right": {`{"type":"webhook","source":"ci","payloadConstraints":{"$.a[0]":"x.*","b c":""},"secret":"${s}"}`, nil},
		"kept":  {`{"type":"pubsub","pubsubSystem":"google"}`, nil},
		"misspelt": {`{"type":"webhok"}`, []string{
			`/triggers/0/type "webhok" is not a known type of trigger; did you mean webhook? (known: artifactory, cdevents, concourse, cron, docker, git, helm, jenkins, nexus, pipeline, plugin, pubsub, travis, webhook)`}},
		"nothing to wait for":     {`{"type":"webhook"}`, []string{"/triggers/0/source is required"}},
		"nothing, but disabled":   {`{"type":"git","enabled":false}`, nil},
		"a git server":            {`{"type":"git","source":"svn","project":"p"}`, []string{"/triggers/0/slug is required", `/triggers/0/source is "svn"; must be github, gitlab, bitbucket, stash`}},
		"a pattern":               {`{"type":"docker","account":"a","repository":"r","tag":"v(?!1)"}`, []string{"/triggers/0/tag is no regular expression: invalid or unsupported Perl syntax: `(?!`; look-around and references to groups are not supported"}},
		"a pattern that closes":   {`{"type":"docker","account":"a","repository":"r","tag":"a)|(b"}`, []string{"/triggers/0/tag is no regular expression: unexpected ): `a)|(b`; look-around and references to groups are not supported"}},
		"a path":                  {`{"type":"webhook","source":"s","payloadConstraints":{"$..a":"x","a..b":"x"}}`, []string{"/triggers/0/payloadConstraints/$..a is no path: at character 2: \"..\" leads to any number of values; name the way to one"}},
		"constraints of no shape": {`{"type":"webhook","source":"s","payloadConstraints":{"a":1}}`, []string{"/triggers/0/payloadConstraints/a must be a string, not a number"}},
		"itself":                  {`{"type":"pipeline","pipeline":"self","status":["failed"]}`, []string{"/triggers/0/pipeline is this pipeline: it would start itself for ever"}},
		"no end":                  {`{"type":"pipeline","pipeline":"p"}`, []string{"/triggers/0/status is required: which ends start the pipeline (successful, failed, canceled, suspended)"}},
		"an end":                  {`{"type":"pipeline","pipeline":"p","status":["succeeded"]}`, []string{`/triggers/0/status/0 is "succeeded"; must be successful, failed, canceled, suspended`}},
		"an artifact":             {`{"type":"webhook","source":"s","expectedArtifactIds":["x"]}`, []string{`/triggers/0/expectedArtifactIds/0 no expected artifact of the pipeline has the id "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(withTrigger(row.trigger, ""))
			var got []string
			for _, f := range delivery.FindingsOf(err) {
				got = append(got, f.Pointer+" "+f.Message)
			}
			if diff := cmp.Diff(sorted(row.want), sorted(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func TestParameterConfig(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"parameterConfig":[
		{"name":"env","required":true,"hasOptions":true,"options":[{"value":"dev"},{"value":"prod"}]},
		{"name":"size","hasOptions":true,"options":[{"value":"1"},{"value":2}],"default":"7"},
		{"name":"day","constraint":"date"},
		{"name":"ticket","required":true,"conditional":{"parameter":"env","comparator":"=","comparatorValue":"prod"}},
		{"name":"reason","required":true,"conditional":{"parameter":"size","comparator":">","comparatorValue":"9"}}],"stages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		`{"env":"dev"}`: `{"env":"dev","size":"7"}`,
		`{"env":"dev","size":2,"day":"2026-02-28"}`:    `{"day":"2026-02-28","env":"dev","size":2}`,
		`{"env":"dev","size":"","day":""}`:             `{"day":"","env":"dev","size":""}`,
		`{"env":"prod","ticket":"T-1"}`:                `{"env":"prod","size":"7","ticket":"T-1"}`,
		`{"env":"prod"}`:                               `/ticket Required parameter ticket is missing`,
		`{}`:                                           `/env Required parameter env is missing`,
		`{"env":"Dev"}`:                                `/env is "Dev"; must be one of dev, prod`,
		`{"env":["dev"]}`:                              `/env is ["dev"]; must be one of dev, prod`,
		`{"env":"dev","size":"10","day":"2026-02-30"}`: "/size is \"10\"; must be one of 1, 2\n/day is \"2026-02-30\"; must be a date such as 2026-11-27\n/reason Required parameter reason is missing",
		`{"env":"` + strings.Repeat("x", 100) + `"}`:   `/env is "` + strings.Repeat("x", 59) + `...; must be one of dev, prod`,
	} {
		out, err := d.ResolveParameters(json.RawMessage(given))
		got := string(out)
		if err != nil {
			var lines []string
			for _, f := range delivery.FindingsOf(err) {
				lines = append(lines, f.Pointer+" "+f.Message)
			}
			got = strings.Join(lines, "\n")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	_, err = Parse(json.RawMessage(`{"parameterConfig":[{"name":"a","constraint":"number","conditional":{"parameter":"b","comparator":"~"}}]}`))
	if got := len(delivery.FindingsOf(err)); got != 3 {
		t.Errorf("%d findings, want 3: %v", got, delivery.FindingsOf(err))
	}
}
