package delivery

// Principal is who acts: a person, a service account, or the system on behalf of one.
type Principal struct {
	// Name is Spinnaker's user, for example "joe@example.com"; "anonymous" when
	// no authentication is configured.
	Name string `json:"name"`
}

// Anonymous is the principal of a request without authentication.
var Anonymous = Principal{Name: "anonymous"}

// System is the principal of what Slipway does by itself.
var System = Principal{Name: "system"}
