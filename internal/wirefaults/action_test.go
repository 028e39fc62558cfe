package wirefaults

import (
	"net/http"
	"net/url"
	"strings"
)

// amazonAction reads the action of a call in one of AWS's query protocols.
func amazonAction(_ *http.Request, body string) (name string, write bool) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return "", false
	}
	name = form.Get("Action")
	return name, name != "" && !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "Get")
}
