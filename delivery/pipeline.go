package delivery

import (
	"encoding/json"
	"time"
)

// Pipeline is a saved pipeline configuration.
type Pipeline struct {
	// ID is a UUID given at the first save.
	ID          string `json:"id"`
	Application string `json:"application"`
	// Name is unique in the application, ignoring case.
	Name     string `json:"name"`
	Index    int    `json:"index"`
	Disabled bool   `json:"disabled"`
	// Document is the configuration as clients sent it, in Spinnaker's JSON,
	// with unknown keys kept and id, application, name, updateTs and
	// lastModifiedBy set by the server.
	Document json.RawMessage `json:"document"`
	// Revision counts the saves from 1.
	Revision       int       `json:"revision"`
	UpdatedAt      time.Time `json:"updatedAt"`
	LastModifiedBy string    `json:"lastModifiedBy"`
}
