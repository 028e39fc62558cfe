package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// canaryConfigName is what Kayenta allows in a name.
var canaryConfigName = regexp.MustCompile(`^[A-Za-z0-9_,-]+$`)

func (s *Server) listCanaryConfigs(c *gin.Context) error {
	q := queryOf(c)
	application := q.text("application")
	q.text("configurationAccountName")
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Documents(c.Request.Context(), delivery.CanaryConfigDocument, application)
	if err != nil {
		return err
	}
	out := []v1.CanaryConfigSummary{}
	for _, d := range found {
		if s.authorizeDocument(c, read, d) != nil {
			continue // what the caller may not see is left out
		}
		out = append(out, v1.CanaryConfigSummary{ID: d.ID, Name: d.Name, Applications: d.Applications,
			UpdatedTimestamp: v1.Millis(d.UpdatedAt.UnixMilli()), UpdatedTimestampISO: d.UpdatedAt.UTC().Format(time.RFC3339Nano)})
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) getCanaryConfig(c *gin.Context) error {
	d, err := s.documentFor(c, read, delivery.CanaryConfigDocument, "Canary config")
	if err != nil {
		return err
	}
	out := objectOf(d.Content)
	out.set("id", d.ID)
	for name, at := range map[string]time.Time{"created": d.CreatedAt, "updated": d.UpdatedAt} {
		out.set(name+"Timestamp", at.UnixMilli())
		out.set(name+"TimestampIso", at.UTC().Format(time.RFC3339Nano))
	}
	setETag(c, d.Revision)
	return render(c, http.StatusOK, out)
}

// createCanaryConfig refuses an id that exists.
func (s *Server) createCanaryConfig(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	d, err := readCanaryConfig(doc)
	if err != nil {
		return err
	}
	if err := s.authorizeDocument(c, write, d); err != nil {
		return err
	}
	saved, err := s.change(c.Request.Context(), principalOf(c), delivery.DocumentChange{Document: d, Expect: delivery.DocumentExpectation{Absent: true}})
	if delivery.KindOf(err) == delivery.Conflict {
		return invalid("/id", fmt.Sprintf("a canary config with id %s already exists", d.ID))
	}
	if err != nil {
		return err
	}
	setETag(c, saved.Revision)
	return render(c, http.StatusOK, v1.CanaryConfigID{CanaryConfigID: saved.ID})
}

// replaceCanaryConfig is 400 for an id that does not exist, as in Kayenta.
func (s *Server) replaceCanaryConfig(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	id := param(c, "id")
	if own, err := doc.text("id"); err == nil && own != "" && own != id {
		return invalid("/id", fmt.Sprintf("is %q, but the path says %q", own, id))
	}
	doc.set("id", id)
	d, err := readCanaryConfig(doc)
	if err != nil {
		return err
	}
	if err := s.authorizeDocument(c, write, d); err != nil {
		return err
	}
	stored, err := s.store.Document(c.Request.Context(), delivery.CanaryConfigDocument, id)
	if delivery.KindOf(err) == delivery.NotFound {
		return delivery.Errorf(delivery.Invalid, "Canary config %s does not exist", id)
	}
	if err != nil {
		return err
	}
	saved, err := s.replaceDocument(c, delivery.DocumentChange{Document: d, Expect: delivery.DocumentExpectation{Revision: stored.Revision}}, "canary config")
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, v1.CanaryConfigID{CanaryConfigID: saved.ID})
}

// deleteCanaryConfig answers 200 also for what is not there.
func (s *Server) deleteCanaryConfig(c *gin.Context) error {
	d, err := s.documentFor(c, write, delivery.CanaryConfigDocument, "Canary config")
	if err == nil {
		_, err = s.change(c.Request.Context(), principalOf(c), delivery.DocumentChange{Delete: true, Document: delivery.Document{Kind: d.Kind, ID: d.ID}})
	}
	if err != nil && describe(err).Status != http.StatusNotFound {
		return err
	}
	return renderVoid(c)
}

// readCanaryConfig checks a document as Kayenta does.
func readCanaryConfig(doc object) (delivery.Document, error) {
	d := delivery.Document{Kind: delivery.CanaryConfigDocument}
	var findings []delivery.Finding
	refuse := func(pointer, format string, args ...any) {
		findings = append(findings, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	for key, into := range map[string]*string{"id": &d.ID, "name": &d.Name} {
		var err error
		*into, err = doc.text(key)
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	if message := pipeline.UnfitName(d.ID); message != "" {
		refuse("/id", "%s", message)
	}
	switch {
	case d.Name == "" && absentOrText(doc["name"]):
		refuse("/name", "is required: a canary config has a name")
	case d.Name != "" && !canaryConfigName.MatchString(d.Name) || len(d.Name) > pipeline.MaxName:
		refuse("/name", "may have letters, digits, commas, dashes and underscores, at most %d", pipeline.MaxName)
	}
	if json.Unmarshal(doc["applications"], &d.Applications) != nil || len(d.Applications) == 0 {
		refuse("/applications", "must be a list of at least one application's name")
	}
	for i, name := range d.Applications {
		if !pipeline.IsApplicationName(name) {
			refuse(fmt.Sprintf("/applications/%d", i), "%q is not the name of an application", name)
		}
		d.Applications[i] = strings.ToLower(name)
	}
	findings = append(findings, checkCanaryMetrics(doc)...)
	content := contentOf(doc)
	for _, key := range [...]string{"createdTimestamp", "createdTimestampIso", "updatedTimestamp", "updatedTimestampIso"} {
		delete(content, key)
	}
	d.Content = content.raw()
	return d, delivery.InvalidError("canary config is not valid", inOrder(findings))
}

// checkCanaryMetrics refuses metrics without a name or with the name of another, and
// parts that are of the wrong type.
func checkCanaryMetrics(doc object) []delivery.Finding {
	var findings []delivery.Finding
	for key, wanted := range map[string]string{"judge": "an object", "templates": "an object", "classifier": "an object", "metrics": "a list"} {
		if got := typeOf(doc[key]); got != wanted && got != "nothing" && got != "null" {
			findings = append(findings, delivery.Finding{Pointer: "/" + key, Message: "must be " + wanted + ", not " + got})
		}
	}
	var metrics []json.RawMessage
	if json.Unmarshal(doc["metrics"], &metrics) != nil {
		return findings
	}
	taken := map[string]int{}
	for i, raw := range metrics {
		at := fmt.Sprintf("/metrics/%d", i)
		var metric object
		if json.Unmarshal(raw, &metric) != nil || metric == nil {
			findings = append(findings, delivery.Finding{Pointer: at, Message: "must be an object, not " + typeOf(raw)})
			continue
		}
		name, err := metric.text("name")
		first, twice := taken[name]
		switch {
		case err != nil || name == "":
			findings = append(findings, delivery.Finding{Pointer: at + "/name", Message: "is required: a metric has a name"})
		case twice:
			findings = append(findings, delivery.Finding{Pointer: at + "/name", Message: fmt.Sprintf("%q is the name of /metrics/%d already", name, first)})
		default:
			taken[name] = i
		}
	}
	return findings
}
