package delivery

import (
	"encoding/json"
	"time"
)

// Application is what a team owns; the unit of permission.
type Application struct {
	// Name is lower-case; look-ups ignore case.
	Name string `json:"name"`
	// Attributes is the flat JSON object clients saved (email, cloudProviders,
	// ...), with unknown keys kept.
	Attributes     json.RawMessage `json:"attributes"`
	CreatedAt      time.Time       `json:"createdAt"`
	UpdatedAt      time.Time       `json:"updatedAt"`
	LastModifiedBy string          `json:"lastModifiedBy"`
}
