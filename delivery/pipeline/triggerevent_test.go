package pipeline

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// headers makes a lookup of request headers.
func headers(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if strings.EqualFold(pairs[i], name) {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// fire sends one event to a pipeline with one trigger and returns some fields of the
// execution's trigger; ok is false when it does not fire.
func fire(t interface{ Fatal(...any) }, trigger, more, kind, source, body string, header func(string) string, fields ...string) (string, bool) {
	d, err := Parse(withTrigger(trigger, more))
	if err != nil {
		t.Fatal(err, delivery.FindingsOf(err))
	}
	e, err := ReadEvent(kind, source, header, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	fired, ok := d.Fire(e, "id")
	if !ok {
		return "", false
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(fired.Document, &doc); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range fields {
		out = append(out, string(doc[name]))
	}
	return strings.Join(out, " "), true
}

const (
	githubPush = `{"ref":"refs/heads/main","after":"62c6","repository":{"name":"shop","full_name":"Acme/shop","owner":{"login":"Acme","name":"Acme"}}}`
	githubPull = `{"action":"opened","pull_request":{"head":{"ref":"fix","sha":"77aa"}},"repository":{"name":"shop","owner":{"login":"Acme"}}}`
	gitlabPush = `{"object_kind":"push","ref":"refs/heads/main","after":"62c6","project":{"name":"Shop","namespace":"Acme","path_with_namespace":"acme/shop"}}`
	cloudPush  = `{"repository":{"full_name":"acme/shop"},"push":{"changes":[{"old":{"name":"gone"},"new":null},{"new":{"name":"main","target":{"hash":"62c6"}}}]}}`
	stashPush  = `{"eventKey":"repo:refs_changed","repository":{"slug":"shop","project":{"key":"ACME"}},"changes":[{"ref":{"id":"refs/heads/main"},"toHash":"62c6"}]}`
	stashPull  = `{"pullRequest":{"toRef":{"id":"refs/heads/main","latestCommit":"11","repository":{"slug":"shop","project":{"key":"ACME"}}},"properties":{"mergeCommit":{"id":"62c6"}}}}`
	hubPush    = `{"push_data":{"tag":"v1.2"},"repository":{"repo_name":"acme/shop"}}`
	registry   = `{"events":[{"action":"pull","target":{"repository":"acme/shop","tag":"v0"}},{"action":"push","target":{"repository":"acme/shop","digest":"sha256:1"}},
		{"action":"push","target":{"repository":"acme/shop","tag":"v1.3"},"request":{"host":"reg.example.com"}}]}`
	jenkins = `{"name":"build","url":"job/shop/job/build/","build":{"full_url":"http://ci/7","number":7,"phase":"%s","status":"%s","scm":{"branch":"main","commit":"62c6"},"parameters":{"V":"1"}}}`
)

func TestEvents(t *testing.T) {
	git := func(source, project, slug, more string) string {
		return fmt.Sprintf(`{"type":"git","source":%q,"project":%q,"slug":%q%s}`, source, project, slug, more)
	}
	const docker = `{"type":"docker","account":"hub","repository":"acme/shop"%s}`
	const build = `{"type":"jenkins","master":"ci","job":"shop/build"}`
	for name, row := range map[string]struct {
		trigger, kind, source, body string
		header                      func(string) string
		fields                      []string
		want                        string // empty when nothing fires
	}{
		"webhook":                   {`{"type":"webhook","source":"ci"}`, "webhook", "ci", `{"a":1}`, headers(), []string{"payload", "eventId", "source"}, `{"a":1} "id" "ci"`},
		"webhook of another":        {`{"type":"webhook","source":"ci"}`, "webhook", "CI", `{}`, headers(), nil, ""},
		"webhook without a body":    {`{"type":"webhook","source":"ci"}`, "webhook", "ci", ``, headers(), []string{"payload"}, `{}`},
		"webhook with a list":       {`{"type":"webhook","source":"ci"}`, "webhook", "ci", `[1]`, headers(), []string{"payload"}, `[1]`},
		"disabled":                  {`{"type":"webhook","source":"ci","enabled":false}`, "webhook", "ci", `{}`, headers(), nil, ""},
		"constraints met":           {`{"type":"webhook","source":"ci","payloadConstraints":{"$.a.b":"x\\d","n":"1.50","ok":"true","list":"two","dot.ted":"y","deep.er":"z"}}`, "webhook", "ci", `{"a":{"b":"x1"},"n":1.50,"ok":true,"list":["one","two"],"dot.ted":"y","deep":{"er":"z"}}`, headers(), []string{"type"}, `"webhook"`},
		"constraint met in part":    {`{"type":"webhook","source":"ci","payloadConstraints":{"$.a":"x"}}`, "webhook", "ci", `{"a":"xy"}`, headers(), nil, ""},
		"constraint on nothing":     {`{"type":"webhook","source":"ci","payloadConstraints":{"$.a":".*"}}`, "webhook", "ci", `{"a":null}`, headers(), nil, ""},
		"a push":                    {git("github", "acme", "SHOP", ""), "git", "github", githubPush, headers("X-GitHub-Event", "push"), []string{"branch", "hash", "action", "source"}, `"main" "62c6" "push:push" "github"`},
		"a push to a branch":        {git("github", "acme", "shop", `,"branch":"main|release/.*"`), "git", "GitHub", githubPush, headers(), []string{"branch"}, `"main"`},
		"a push to another":         {git("github", "acme", "shop", `,"branch":"mai"`), "git", "github", githubPush, headers(), nil, ""},
		"a push that is not wanted": {git("github", "acme", "shop", `,"events":["pull_request"]`), "git", "github", githubPush, headers(), nil, ""},
		"a push that is wanted":     {git("github", "acme", "shop", `,"events":["push"]`), "git", "github", githubPush, headers(), []string{"action"}, `"push:push"`},
		"a deleted branch":          {git("github", "acme", "shop", ""), "git", "github", strings.Replace(githubPush, "62c6", "0000", 1), headers(), nil, ""},
		"a ping":                    {git("github", "acme", "shop", ""), "git", "github", githubPush, headers("X-GitHub-Event", "ping"), nil, ""},
		"a pull request":            {git("github", "acme", "shop", `,"events":["pull_request:opened"]`), "git", "github", githubPull, headers("X-GitHub-Event", "pull_request"), []string{"branch", "hash"}, `"fix" "77aa"`},
		"a closed pull request":     {git("github", "acme", "shop", `,"events":["pull_request:closed"]`), "git", "github", githubPull, headers(), nil, ""},
		"gitlab":                    {git("gitlab", "Acme", "shop", ""), "git", "gitlab", gitlabPush, headers(), []string{"branch", "hash", "action"}, `"main" "62c6" "push"`},
		"gitlab's other events":     {git("gitlab", "Acme", "shop", ""), "git", "gitlab", `{"object_kind":"note","project":{"name":"shop","namespace":"acme"}}`, headers(), nil, ""},
		"bitbucket cloud":           {git("bitbucket", "acme", "acme/shop", ""), "git", "bitbucket", cloudPush, headers("X-Event-Key", "repo:push"), []string{"branch", "hash", "action"}, `"main" "62c6" "repo:push"`},
		"bitbucket server":          {git("bitbucket", "acme", "shop", ""), "git", "bitbucket", stashPush, headers("X-Event-Key", "repo:refs_changed"), []string{"branch", "hash"}, `"main" "62c6"`},
		"stash":                     {git("stash", "acme", "shop", ""), "git", "stash", stashPull, headers("X-Event-Key", "pr:merged"), []string{"branch", "hash"}, `"main" "62c6"`},
		"docker hub":                {fmt.Sprintf(docker, ""), "docker", "hub", hubPush, headers(), []string{"tag", "artifacts"}, `"v1.2" [{"type":"docker/image","name":"index.docker.io/acme/shop","version":"v1.2","reference":"index.docker.io/acme/shop:v1.2"}]`},
		"a registry":                {fmt.Sprintf(docker, `,"tag":"v1\\..*"`), "docker", "hub", registry, headers(), []string{"tag", "repository"}, `"v1.3" "acme/shop"`},
		"another tag":               {fmt.Sprintf(docker, `,"tag":"v2.*"`), "docker", "hub", registry, headers(), nil, ""},
		"latest":                    {fmt.Sprintf(docker, ""), "docker", "hub", strings.Replace(hubPush, "v1.2", "latest", 1), headers(), nil, ""},
		"latest that is wanted":     {fmt.Sprintf(docker, `,"tag":"latest"`), "docker", "hub", strings.Replace(hubPush, "v1.2", "latest", 1), headers(), []string{"tag"}, `"latest"`},
		"another account":           {fmt.Sprintf(docker, ""), "docker", "other", hubPush, headers(), nil, ""},
		"jenkins": {build, "jenkins", "ci", fmt.Sprintf(jenkins, "FINALIZED", "SUCCESS"), headers(), []string{"buildNumber", "buildInfo", "properties", "link"},
			`7 {"building":false,"name":"shop/build","number":7,"result":"SUCCESS","scm":[{"branch":"main","sha1":"62c6"}],"url":"http://ci/7"} {"V":"1"} "http://ci/7"`},
		"a build that goes on":   {build, "jenkins", "ci", fmt.Sprintf(jenkins, "COMPLETED", "SUCCESS"), headers(), nil, ""},
		"a build that failed":    {build, "jenkins", "ci", fmt.Sprintf(jenkins, "FINALIZED", "FAILURE"), headers(), nil, ""},
		"a build of another job": {build, "jenkins", "ci", strings.Replace(fmt.Sprintf(jenkins, "FINALIZED", "SUCCESS"), "job/shop/", "", 1), headers(), nil, ""},
		"travis": {`{"type":"travis","master":"t","job":"acme/shop"}`, "travis", "t", `{"project":{"name":"acme/shop","lastBuild":{"number":3,"result":"SUCCESS","building":false,"url":"u","scm":[{"branch":"b","sha1":"s"}]}}}`, headers(),
			[]string{"buildNumber", "link"}, `3 "u"`},
		"a travis build that goes on": {`{"type":"travis","master":"t","job":"acme/shop"}`, "travis", "t", `{"project":{"name":"acme/shop","lastBuild":{"result":"SUCCESS","building":true}}}`, headers(), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := fire(t, row.trigger, "", row.kind, row.source, row.body, row.header, row.fields...)
			if ok != (row.want != "") {
				t.Fatalf("fires: %v", ok)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("trigger (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsThatAreNone(t *testing.T) {
	for _, row := range []struct {
		kind, body string
		want       delivery.Kind
		pointer    string
	}{
		{"webhook", `{`, delivery.Invalid, ""},
		{"webhook", `{} {}`, delivery.Invalid, ""},
		{"webhook", `{"parameters":[]}`, delivery.Invalid, "/parameters"},
		{"webhook", `{"artifacts":[{"type":1}]}`, delivery.Invalid, "/artifacts/0/type"},
		{"webhok", `{}`, delivery.NotFound, ""},
	} {
		_, err := ReadEvent(row.kind, "s", headers(), []byte(row.body))
		if delivery.KindOf(err) != row.want {
			t.Errorf("%s %s: %v", row.kind, row.body, err)
		}
		if f := delivery.FindingsOf(err); row.pointer != "" && (len(f) == 0 || f[0].Pointer != row.pointer) {
			t.Errorf("%s: findings %v", row.body, f)
		}
	}
	for _, kind := range []string{"jenkins", "artifacts"} {
		if _, err := ReadEvent(kind, "s", headers(), []byte(`{"parameters":[]}`)); err != nil {
			t.Errorf("parameters of another's making, type %s: %v", kind, err)
		}
	}
}

func sign(algorithm, secret, body string) string {
	made := sha256.New
	if algorithm == "sha1" {
		made = sha1.New
	}
	mac := hmac.New(made, []byte(secret))
	mac.Write([]byte(body))
	return algorithm + "=" + hex.EncodeToString(mac.Sum(nil))
}

func TestSecrets(t *testing.T) {
	const hook, secret = `{"type":"webhook","source":"ci","secret":"s3"}`, "s3"
	const push = `{"type":"git","source":"github","project":"acme","slug":"shop"%s}`
	good := sign("sha256", secret, githubPush)
	for name, row := range map[string]struct {
		trigger, kind, source string
		header                func(string) string
		want                  bool
	}{
		"signed":                        {hook, "webhook", "ci", headers("X-Hub-Signature-256", good), true},
		"signed in capitals":            {hook, "webhook", "ci", headers("X-Hub-Signature-256", "SHA256="+strings.ToUpper(good[7:])), true},
		"signed with SHA-1":             {hook, "webhook", "ci", headers("X-Hub-Signature", sign("sha1", secret, githubPush)), true},
		"signed by Bitbucket":           {hook, "webhook", "ci", headers("X-Hub-Signature", good), true},
		"a token":                       {hook, "webhook", "ci", headers("X-Gitlab-Token", secret), true},
		"unsigned":                      {hook, "webhook", "ci", headers(), false},
		"an empty token":                {hook, "webhook", "ci", headers("X-Gitlab-Token", ""), false},
		"a wrong token":                 {hook, "webhook", "ci", headers("X-Gitlab-Token", "s3x"), false},
		"another secret":                {hook, "webhook", "ci", headers("X-Hub-Signature-256", sign("sha256", "s4", githubPush)), false},
		"another body":                  {hook, "webhook", "ci", headers("X-Hub-Signature-256", sign("sha256", secret, githubPush+" ")), false},
		"cut off":                       {hook, "webhook", "ci", headers("X-Hub-Signature-256", good[:len(good)-2]), false},
		"no digits":                     {hook, "webhook", "ci", headers("X-Hub-Signature-256", "sha256="), false},
		"no algorithm":                  {hook, "webhook", "ci", headers("X-Hub-Signature-256", good[7:]), false},
		"an unknown algorithm":          {hook, "webhook", "ci", headers("X-Hub-Signature-256", "md5=00"), false},
		"the worse is right":            {hook, "webhook", "ci", headers("X-Hub-Signature-256", "sha256=00", "X-Hub-Signature", sign("sha1", secret, githubPush), "X-Gitlab-Token", secret), false},
		"a secret that looks evaluated": {strings.Replace(hook, "s3", "${s3}", 1), "webhook", "ci", headers(), false},
		"signed for nobody":             {`{"type":"webhook","source":"ci"}`, "webhook", "ci", headers("X-Hub-Signature-256", "sha256=00"), true},
		"a signed push for nobody":      {fmt.Sprintf(push, ""), "git", "github", headers("X-Hub-Signature-256", good), false},
		"a signed push":                 {fmt.Sprintf(push, `,"secret":"s3"`), "git", "github", headers("X-Hub-Signature-256", good), true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := fire(t, row.trigger, "", row.kind, row.source, githubPush, row.header, "secret")
			if ok != row.want {
				t.Errorf("fires: %v, want %v", ok, row.want)
			}
			if got != "" {
				t.Errorf("the secret %s is in the execution's trigger", got)
			}
		})
	}
}

// TestNoSignatureByChance: whoever does not know the secret fires nothing, whatever
// they send; who knows it fires it with every body.
func TestNoSignatureByChance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, body := rapid.StringN(1, 20, 40).Draw(t, "secret"), rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		name := rapid.SampledFrom([]string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Gitlab-Token"}).Draw(t, "header")
		if given := rapid.String().Draw(t, "given"); given != secret && proofOf(headers(name, given), body).knows(secret) {
			t.Fatalf("%s: %q passes for the secret %q", name, given, secret)
		}
		other := rapid.StringN(1, 20, 40).Filter(func(s string) bool { return s != secret }).Draw(t, "other")
		if proofOf(headers(name, sign("sha256", other, string(body))), body).knows(secret) {
			t.Fatalf("%q passes for the secret %q", other, secret)
		}
		if !proofOf(headers("X-Hub-Signature-256", sign("sha256", secret, string(body))), body).knows(secret) || proofOf(headers(), body).knows(secret) {
			t.Fatal("a right signature fails, or none passes")
		}
	})
}

// FuzzEvent: no payload of any sender makes a panic, and what fires has a trigger
// that is a JSON object without a secret.
func FuzzEvent(f *testing.F) {
	for _, seed := range []struct{ kind, source, event, body string }{
		{"git", "github", "push", githubPush}, {"git", "github", "pull_request", githubPull}, {"git", "gitlab", "", gitlabPush}, {"git", "bitbucket", "repo:push", cloudPush},
		{"git", "stash", "repo:refs_changed", stashPush}, {"git", "stash", "pr:merged", stashPull}, {"docker", "hub", "", hubPush}, {"docker", "hub", "", registry},
		{"jenkins", "ci", "", fmt.Sprintf(jenkins, "FINALIZED", "SUCCESS")}, {"webhook", "ci", "", `{"parameters":{"a":1},"artifacts":[{"type":"t"}],"x":[1e999]}`},
	} {
		f.Add(seed.kind, seed.source, seed.event, []byte(seed.body))
	}
	d, err := Parse(json.RawMessage(`{"id":"self","stages":[],"triggers":[
		{"type":"git","source":"github","project":"acme","slug":"shop"},{"type":"git","source":"gitlab","project":"acme","slug":"shop","branch":"m.*"},
		{"type":"git","source":"bitbucket","project":"acme","slug":"shop"},{"type":"git","source":"stash","project":"acme","slug":"shop"},
		{"type":"docker","account":"hub","repository":"acme/shop","tag":".*"},{"type":"jenkins","master":"ci","job":"shop/build"},
		{"type":"webhook","source":"ci","payloadConstraints":{"$.x[0]":".*"}},{"type":"webhook","source":"ci"}]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind, source, event string, body []byte) {
		e, err := ReadEvent(kind, source, headers("X-GitHub-Event", event, "X-Event-Key", event), body)
		if err != nil {
			if k := delivery.KindOf(err); k != delivery.Invalid && k != delivery.NotFound {
				t.Errorf("error %v of kind %v", err, k)
			}
			return
		}
		fired, ok := d.Fire(e, "id")
		if !ok {
			return
		}
		document, err := decode(fired.Document)
		if fields, _ := document.(map[string]any); err != nil || fields["eventId"] != "id" || fields["type"] != kind {
			t.Errorf("%s fires with the trigger %s", body, fired.Document)
		}
	})
}
