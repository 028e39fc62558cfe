package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// setETag names the revision that an answer shows or that a save made.
func setETag(c *gin.Context, revision int) { c.Header("ETag", etagOf(revision)) }

func etagOf(revision int) string { return `"` + strconv.Itoa(revision) + `"` }

// matched compares If-Match with the stored revision, which is zero when nothing is
// stored. It returns the revision that a change must still find, zero for any. A
// revision that does not match is 412.
func matched(c *gin.Context, stored int, what string) (int, error) {
	header := strings.TrimSpace(strings.Join(c.Request.Header.Values("If-Match"), ","))
	if header == "" {
		return 0, nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); stored > 0 && (tag == "*" || tag == etagOf(stored)) {
			return stored, nil
		}
	}
	return 0, changedMeanwhile(what)
}

// changedMeanwhile says that what is stored is not what the caller saw.
func changedMeanwhile(what string) error {
	return &failure{status: http.StatusPreconditionFailed, code: "precondition_failed", title: "It was changed by somebody else",
		message: "the stored " + what + " is not of the revision that the request expects",
		hint:    "read it again, apply the change to what is stored now, and save with its ETag"}
}
