package v1

import "encoding/json"

// SearchPage is one page of what was found of one type.
type SearchPage struct {
	PageNumber   int    `json:"pageNumber"`
	PageSize     int    `json:"pageSize"`
	Query        string `json:"query"`
	TotalMatches int    `json:"totalMatches"`
	Platform     string `json:"platform"`
	// Results have a "type" and the fields of that type.
	Results []json.RawMessage `json:"results"`
}
