package pipeline

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// GitType is the type of triggers that a push or a pull request fires.
const GitType = "git"

// gitSources are the senders whose payloads are known.
var gitSources = []string{"github", "gitlab", "bitbucket", "stash"}

// gitTrigger waits for a change of a repository.
type gitTrigger struct {
	source, project, slug string
	branch                *regexp.Regexp
	events                []string
}

func readGitTrigger(o object, t *Trigger) {
	g := gitTrigger{source: strings.ToLower(t.needed(o, "source")), project: t.needed(o, "project"), slug: t.needed(o, "slug"),
		branch: o.pattern("branch"), events: o.texts("events")}
	if g.source != "" && !slices.Contains(gitSources, g.source) {
		o.refuse("source", "is %q; must be %s", g.source, strings.Join(gitSources, ", "))
	}
	t.Secret, t.Constraints, t.on = o.text("secret"), readConstraints(o), g
}

func (g gitTrigger) match(e Event) (facts, bool) {
	for _, c := range e.commits {
		if strings.EqualFold(g.source, e.Source) && strings.EqualFold(g.project, c.project) && c.named(g.slug) && fits(g.branch, c.branch) && g.wants(c.action) {
			return facts{"hash": c.hash, "branch": c.branch, "action": c.action}, true
		}
	}
	return nil, false
}

// wants reports whether the action is one of the events: "push:push" is one of the
// events "push" and "push:push".
func (g gitTrigger) wants(action string) bool {
	kind, _, _ := strings.Cut(action, ":")
	return len(g.events) == 0 || slices.Contains(g.events, action) || slices.Contains(g.events, kind)
}

// commit is what an event of type git tells of one branch.
type commit struct {
	project string
	// slugs are the names of the repository, with and without its project.
	slugs                []string
	branch, hash, action string
}

func (c commit) named(slug string) bool {
	return slices.ContainsFunc(c.slugs, func(s string) bool { return s != "" && strings.EqualFold(s, slug) })
}

// readCommits reads the payload by the sender. Branches that were deleted and other
// events without a commit are left out.
func (e *Event) readCommits(header func(string) string) {
	var found []commit
	switch strings.ToLower(e.Source) {
	case "github":
		found = githubCommits(e.Payload, header("X-GitHub-Event"))
	case "gitlab":
		found = gitlabCommits(e.Payload)
	case "bitbucket", "stash":
		found = bitbucketCommits(e.Payload, header("X-Event-Key"))
	}
	e.commits = slices.DeleteFunc(found, func(c commit) bool { return strings.Trim(c.hash, "0") == "" })
}

// branchOf is the name of a branch; a tag keeps its full ref.
func branchOf(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }

// githubCommits reads https://docs.github.com/en/webhooks/webhook-events-and-payloads:
// push, and pull_request with the commit and branch of its head.
func githubCommits(payload json.RawMessage, event string) []commit {
	var p struct {
		Action, Ref, After string
		Repository         struct {
			Name  string
			Owner struct{ Login, Name string }
		}
		PullRequest *struct {
			Head struct{ Ref, SHA string }
		} `json:"pull_request"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return nil
	}
	c := commit{project: cmp.Or(p.Repository.Owner.Login, p.Repository.Owner.Name), slugs: []string{p.Repository.Name}}
	switch {
	case p.PullRequest != nil && (event == "" || event == "pull_request"):
		c.branch, c.hash, c.action = p.PullRequest.Head.Ref, p.PullRequest.Head.SHA, "pull_request:"+p.Action
	case p.PullRequest == nil && (event == "" || event == "push"):
		c.branch, c.hash, c.action = branchOf(p.Ref), p.After, "push:push"
	default:
		return nil
	}
	return []commit{c}
}

// gitlabCommits reads https://docs.gitlab.com/user/project/integrations/webhook_events/:
// push and tag_push, and merge_request with the last commit of its source branch.
func gitlabCommits(payload json.RawMessage) []commit {
	var p struct {
		ObjectKind string `json:"object_kind"`
		Ref, After string
		Project    struct {
			Name, Namespace string
			Path            string `json:"path_with_namespace"`
		}
		ObjectAttributes struct {
			SourceBranch string              `json:"source_branch"`
			LastCommit   struct{ ID string } `json:"last_commit"`
		} `json:"object_attributes"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return nil
	}
	c := commit{project: p.Project.Namespace, slugs: []string{p.Project.Name, p.Project.Path, afterSlash(p.Project.Path)}, branch: branchOf(p.Ref), hash: p.After, action: p.ObjectKind}
	switch p.ObjectKind {
	case "push", "tag_push":
	case "merge_request":
		c.branch, c.hash = p.ObjectAttributes.SourceBranch, p.ObjectAttributes.LastCommit.ID
	default:
		return nil
	}
	return []commit{c}
}

func afterSlash(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
