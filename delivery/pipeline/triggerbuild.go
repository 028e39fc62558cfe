package pipeline

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// buildTrigger waits for a build that succeeded.
type buildTrigger struct{ master, job string }

func readBuildTrigger(o object, t *Trigger) {
	t.Secret, t.Constraints = o.text("secret"), readConstraints(o)
	t.on = buildTrigger{master: t.needed(o, "master"), job: t.needed(o, "job")}
}

func (b buildTrigger) match(e Event) (facts, bool) {
	if e.build == nil || e.Source != b.master || e.build.job != b.job {
		return nil, false
	}
	info := map[string]any{"name": b.job, "number": e.build.number, "url": e.build.url, "result": "SUCCESS", "building": false}
	if e.build.branch != "" || e.build.commit != "" {
		info["scm"] = []map[string]string{{"branch": e.build.branch, "sha1": e.build.commit}}
	}
	out := facts{"buildNumber": e.build.number, "link": e.build.url, "buildInfo": info}
	if e.build.properties != nil {
		out["properties"] = e.build.properties
	}
	return out, true
}

// build is a build that has ended well.
type build struct {
	job            string
	number         json.Number
	url            string
	branch, commit string
	// properties are what the build wrote down for others; nil for nothing.
	properties json.RawMessage
}

// buildPayload has the fields of the notification plugin of Jenkins
// (https://plugins.jenkins.io/notification/) and of the build events of Spinnaker's
// igor, which other CI systems are to send: {"project":{"name","lastBuild":{...}}}.
type buildPayload struct {
	Name, URL string
	Build     *struct {
		FullURL       string `json:"full_url"`
		Number        json.Number
		Phase, Status string
		SCM           struct{ Branch, Commit string }
		Parameters    json.RawMessage
	}
	Project struct {
		Name      string
		LastBuild *struct {
			Building    bool
			Result, URL string
			Number      json.Number
			SCM         []struct{ Branch, SHA1 string }
			Properties  json.RawMessage
		}
	}
}

// readBuild reads a build that is over and succeeded; others fire nothing. Jenkins
// tells its end twice: COMPLETED, and FINALIZED once all is stored, which counts.
func (e *Event) readBuild(func(string) string) {
	var p buildPayload
	if json.Unmarshal(e.Payload, &p) != nil {
		return
	}
	switch last := p.Project.LastBuild; {
	case p.Build != nil && p.Build.Phase == "FINALIZED" && p.Build.Status == "SUCCESS":
		e.build = &build{job: cmp.Or(jobOf(p.URL), p.Name), number: p.Build.Number, url: p.Build.FullURL, branch: p.Build.SCM.Branch, commit: p.Build.SCM.Commit,
			properties: objectOrNil(p.Build.Parameters)}
	case last != nil && !last.Building && last.Result == "SUCCESS":
		e.build = &build{job: p.Project.Name, number: last.Number, url: last.URL, properties: objectOrNil(last.Properties)}
		if len(last.SCM) > 0 {
			e.build.branch, e.build.commit = last.SCM[0].Branch, last.SCM[0].SHA1
		}
	}
}

// jobOf is the full name of a job by its URL in Jenkins: job/folder/job/build/ is
// folder/build.
func jobOf(url string) string {
	var names []string
	parts := strings.Split(strings.Trim(url, "/"), "/")
	for i := 0; i+1 < len(parts); i += 2 {
		if parts[i] != "job" {
			return ""
		}
		names = append(names, parts[i+1])
	}
	return strings.Join(names, "/")
}

func objectOrNil(raw json.RawMessage) json.RawMessage {
	if delivery.JSONKind(raw) != "object" {
		return nil
	}
	return raw
}
