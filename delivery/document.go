package delivery

import (
	"encoding/json"
	"time"
)

// DocumentKind is what a stored document is, for example "project".
type DocumentKind string

// The kinds of stored documents.
const (
	ProjectDocument      DocumentKind = "project"
	TemplateDocument     DocumentKind = "pipelineTemplate"
	StrategyDocument     DocumentKind = "strategy"
	CanaryConfigDocument DocumentKind = "canaryConfig"
	NotificationDocument DocumentKind = "notification"
	// ApplicationDocument is in histories alone: applications have a table of their own.
	ApplicationDocument DocumentKind = "application"
)

// Document is something that people write and Slipway keeps as they wrote it: a
// project, a version of a pipeline template, a strategy, a canary configuration,
// the notification settings of an application.
type Document struct {
	Kind DocumentKind `json:"kind"`
	// ID is unique among the documents of a kind; a UUID when the first save gives none.
	ID string `json:"id"`
	// Applications are those that it belongs to, in lower case; none for what
	// belongs to the platform.
	Applications []string `json:"applications"`
	// Name is unique among the documents of its kind in each of its applications,
	// ignoring case.
	Name string `json:"name"`
	// Content is a JSON object, with unknown keys kept.
	Content json.RawMessage `json:"content"`
	// Revision counts the changes from 1; a revision once given is never given again.
	Revision       int       `json:"revision"`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
	LastModifiedBy string    `json:"lastModifiedBy"`
	// Deleted is true in the history for the end of a document.
	Deleted bool `json:"deleted,omitempty"`
}

// Application is the first of its applications; empty when it has none.
func (d Document) Application() string {
	if len(d.Applications) == 0 {
		return ""
	}
	return d.Applications[0]
}

// DocumentExpectation is what somebody who changes a document believes is stored.
// The zero value expects nothing.
type DocumentExpectation struct {
	// Absent expects that there is no document of that id.
	Absent bool
	// Revision is the stored revision; zero is not compared.
	Revision int
}

// DocumentChange is one save or deletion. Of what is deleted only kind and id
// count, and when and by whom.
type DocumentChange struct {
	Document Document
	Delete   bool
	Expect   DocumentExpectation
}
