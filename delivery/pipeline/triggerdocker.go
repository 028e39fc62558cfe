package pipeline

import (
	"encoding/json"
	"regexp"
	"strings"
)

// DockerType is the type of triggers that a pushed image fires.
const DockerType = "docker"

// dockerTrigger waits for an image of a repository. The account is the source of
// its events: registries know no accounts.
type dockerTrigger struct {
	account, repository string
	tag                 *regexp.Regexp
}

func readDockerTrigger(o object, t *Trigger) {
	t.Secret, t.Constraints = o.text("secret"), readConstraints(o)
	t.on = dockerTrigger{account: t.needed(o, "account"), repository: t.needed(o, "repository"), tag: o.pattern("tag")}
}

func (d dockerTrigger) match(e Event) (facts, bool) {
	for _, i := range e.images {
		wanted := i.tag != "latest" // as in Spinnaker, a moving tag has to be asked for
		if d.tag != nil {
			wanted = d.tag.MatchString(i.tag)
		}
		if wanted && e.Source == d.account && i.repository == d.repository {
			return facts{"tag": i.tag, "repository": i.repository, "artifacts": []Artifact{i.artifact()}}, true
		}
	}
	return nil, false
}

// image is what an event of type docker tells of one tag.
type image struct{ host, repository, tag string }

func (i image) artifact() Artifact {
	name := i.repository
	if i.host != "" {
		name = i.host + "/" + name
	}
	return Artifact{Type: "docker/image", Name: name, Version: i.tag, Reference: name + ":" + i.tag}
}

// readImages reads a webhook of Docker Hub (https://docs.docker.com/docker-hub/repos/manage/webhooks/)
// or the notifications of a distribution registry
// (https://distribution.github.io/distribution/about/notifications/): pushes of tags.
func (e *Event) readImages(func(string) string) {
	var p struct {
		Repository struct {
			RepoName string `json:"repo_name"`
		}
		PushData struct{ Tag string } `json:"push_data"`
		Events   []struct {
			Action  string
			Target  struct{ Repository, Tag string }
			Request struct{ Host string }
		}
	}
	if json.Unmarshal(e.Payload, &p) != nil {
		return
	}
	if p.PushData.Tag != "" {
		e.images = append(e.images, image{host: "index.docker.io", repository: p.Repository.RepoName, tag: p.PushData.Tag})
	}
	for _, n := range p.Events {
		if strings.EqualFold(n.Action, "push") && n.Target.Tag != "" {
			e.images = append(e.images, image{host: n.Request.Host, repository: n.Target.Repository, tag: n.Target.Tag})
		}
	}
}
