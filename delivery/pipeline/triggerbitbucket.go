package pipeline

import (
	"cmp"
	"encoding/json"
)

// bitbucketRepository is a repository as Bitbucket Cloud and Bitbucket Server write it.
type bitbucketRepository struct {
	Slug     string
	FullName string `json:"full_name"`
	Owner    struct{ Username, Nickname string }
	Project  struct{ Key string }
}

// bitbucketPayload has the fields of both products:
// https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/ and
// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html.
type bitbucketPayload struct {
	Repository bitbucketRepository
	Push       struct {
		Changes []struct {
			New struct {
				Name   string
				Target struct{ Hash string }
			}
		}
	}
	PullRequestCloud struct {
		MergeCommit struct{ Hash string } `json:"merge_commit"`
		Destination struct{ Branch struct{ Name string } }
	}
	Changes []struct {
		Ref    struct{ ID, DisplayID string }
		ToHash string
	}
	PullRequestServer struct {
		ToRef struct {
			ID, DisplayID, LatestCommit string
			Repository                  bitbucketRepository
		}
		Properties struct{ MergeCommit struct{ ID string } }
	}
}

// bitbucketCommits reads pushes and merged pull requests of Bitbucket Cloud and
// Bitbucket Server, which was called Stash.
func bitbucketCommits(payload json.RawMessage, event string) []commit {
	p, ok := readBitbucket(payload)
	if !ok {
		return nil
	}
	var out []commit
	add := func(r bitbucketRepository, branch, hash string) {
		out = append(out, commit{project: cmp.Or(r.Owner.Username, r.Project.Key), slugs: []string{cmp.Or(r.Slug, afterSlash(r.FullName)), r.FullName},
			branch: branchOf(branch), hash: hash, action: event})
	}
	switch event {
	case "repo:push":
		for _, c := range p.Push.Changes {
			add(p.cloud(), c.New.Name, c.New.Target.Hash)
		}
	case "pullrequest:fulfilled":
		add(p.cloud(), p.PullRequestCloud.Destination.Branch.Name, p.PullRequestCloud.MergeCommit.Hash)
	case "repo:refs_changed":
		for _, c := range p.Changes {
			add(p.Repository, cmp.Or(c.Ref.ID, c.Ref.DisplayID), c.ToHash)
		}
	case "pr:merged":
		to := p.PullRequestServer.ToRef
		add(to.Repository, cmp.Or(to.ID, to.DisplayID), cmp.Or(p.PullRequestServer.Properties.MergeCommit.ID, to.LatestCommit))
	}
	return out
}

// readBitbucket reads the two spellings of a pull request apart, which encoding/json
// takes for one name.
func readBitbucket(payload json.RawMessage) (bitbucketPayload, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return bitbucketPayload{}, false
	}
	var p bitbucketPayload
	for name, into := range map[string]any{"repository": &p.Repository, "push": &p.Push, "changes": &p.Changes,
		"pullrequest": &p.PullRequestCloud, "pullRequest": &p.PullRequestServer} {
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, into) != nil {
			return bitbucketPayload{}, false
		}
	}
	return p, true
}

// cloud is the repository of Bitbucket Cloud: its project is the workspace, which
// the full name begins with when the owner is not told.
func (p bitbucketPayload) cloud() bitbucketRepository {
	r := p.Repository
	if r.Owner.Username == "" && len(r.FullName) > len(afterSlash(r.FullName)) {
		r.Owner.Username = r.FullName[:len(r.FullName)-len(afterSlash(r.FullName))-1]
	}
	return r
}
