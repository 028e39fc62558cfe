package v1

// Version is the version of the server.
type Version struct {
	Version string `json:"version"`
}

// Health is UP or DOWN.
type Health struct {
	Status string `json:"status"`
	// Problem says why it is not UP.
	Problem string `json:"problem,omitempty"`
}
