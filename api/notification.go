package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// notificationTypes are the ways of telling people that settings can name, with what
// each needs to know.
var notificationTypes = []v1.NotificationType{
	{NotificationType: "email", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Address", Type: "string"}, {Name: "cc", Label: "Copy to", Type: "string"}}},
	{NotificationType: "slack", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Channel", Type: "string"}}},
	{NotificationType: "sms", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Number", Type: "string"}}},
	{NotificationType: "pagerduty", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Service", Type: "string"}}},
	{NotificationType: "googlechat", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Webhook", Type: "string"}}},
	{NotificationType: "microsoftteams", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Webhook", Type: "string"}}},
	{NotificationType: "bearychat", Parameters: []v1.NotificationParameter{{Name: "address", Label: "User", Type: "string"}}},
	{NotificationType: "pubsub", Parameters: []v1.NotificationParameter{{Name: "publisherName", Label: "Publisher", Type: "string"}}},
	{NotificationType: "githubStatus", Parameters: []v1.NotificationParameter{}}, // of the commit that triggered the pipeline
	{NotificationType: "cdevents", Parameters: []v1.NotificationParameter{{Name: "address", Label: "Broker", Type: "string"}, {Name: "cdEventsType", Label: "Type of event", Type: "string"}}},
}

func (s *Server) listNotificationTypes(c *gin.Context) error {
	return render(c, http.StatusOK, notificationTypes)
}

// getNotifications answers {} for an application without settings.
func (s *Server) getNotifications(c *gin.Context) error {
	if err := ofApplication(c); err != nil {
		return err
	}
	d, err := s.store.Document(c.Request.Context(), delivery.NotificationDocument, strings.ToLower(param(c, "app")))
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return render(c, http.StatusOK, object{})
	case err != nil:
		return err
	}
	out := objectOf(d.Content)
	out.set("application", d.Application())
	out.set("lastModifiedBy", d.LastModifiedBy)
	setETag(c, d.Revision)
	return render(c, http.StatusOK, out)
}

// ofApplication refuses settings of anything but an application.
func ofApplication(c *gin.Context) error {
	if kind := param(c, "type"); kind != "application" {
		return delivery.Errorf(delivery.Invalid, "notifications of %q are not known; known are those of an application", kind)
	}
	return nil
}

// saveNotifications replaces all settings of an application.
func (s *Server) saveNotifications(c *gin.Context) error {
	if err := ofApplication(c); err != nil {
		return err
	}
	app := strings.ToLower(param(c, "app"))
	if !pipeline.IsApplicationName(app) {
		return delivery.Errorf(delivery.Invalid, "%q is not the name of an application", app)
	}
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	if err := checkNotifications(doc, app); err != nil {
		return err
	}
	content := contentOf(doc)
	delete(content, "application")
	change := delivery.DocumentChange{Document: delivery.Document{
		Kind: delivery.NotificationDocument, ID: app, Name: app, Applications: []string{app}, Content: content.raw()}}
	if _, err := s.replaceDocument(c, change, "notification settings"); err != nil {
		return err
	}
	return renderVoid(c)
}

// deleteNotifications answers 200 also when there were none.
func (s *Server) deleteNotifications(c *gin.Context) error {
	if err := ofApplication(c); err != nil {
		return err
	}
	id := strings.ToLower(param(c, "app"))
	_, err := s.change(c.Request.Context(), principalOf(c), delivery.DocumentChange{Delete: true, Document: delivery.Document{Kind: delivery.NotificationDocument, ID: id}})
	if err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return renderVoid(c)
}

// checkNotifications refuses a way of telling that is not known, and one that does not
// say whom and when.
func checkNotifications(doc object, app string) error {
	var findings []delivery.Finding
	for key, raw := range doc {
		at := "/" + escapePointer(key)
		switch {
		case key == "application":
			if own, err := doc.text(key); err != nil || !strings.EqualFold(own, app) {
				findings = append(findings, delivery.Finding{Pointer: at, Message: fmt.Sprintf("is not %q, which the path says", app)})
			}
		case slices.Contains([]string{"lastModifiedBy", "updateTs", "id", "revision", "createTs"}, key):
		default:
			i := slices.IndexFunc(notificationTypes, func(t v1.NotificationType) bool { return t.NotificationType == key })
			if i < 0 {
				findings = append(findings, delivery.Finding{Pointer: at, Message: "is no type of notification; GET /notifications/metadata lists them"})
				continue
			}
			findings = append(findings, under(at, checkRecipients(raw, recipientField(notificationTypes[i])))...)
		}
	}
	return delivery.InvalidError("notification settings are not valid", inOrder(findings))
}

// recipientField is the field that says whom to tell, the first parameter of the type;
// empty where nobody is named.
func recipientField(t v1.NotificationType) string {
	if len(t.Parameters) == 0 {
		return ""
	}
	return t.Parameters[0].Name
}

func checkRecipients(raw json.RawMessage, field string) []delivery.Finding {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return []delivery.Finding{{Message: "must be a list, not " + typeOf(raw)}}
	}
	var findings []delivery.Finding
	for i, element := range list {
		at := fmt.Sprintf("/%d", i)
		var one object
		if json.Unmarshal(element, &one) != nil || one == nil {
			findings = append(findings, delivery.Finding{Pointer: at, Message: "must be an object, not " + typeOf(element)})
			continue
		}
		if whom, err := one.text(field); field != "" && (err != nil || whom == "") {
			findings = append(findings, delivery.Finding{Pointer: at + "/" + field, Message: "is required: a string"})
		}
		var when []string
		if json.Unmarshal(one["when"], &when) != nil {
			findings = append(findings, delivery.Finding{Pointer: at + "/when", Message: "must be a list of texts such as pipeline.failed, not " + typeOf(one["when"])})
		}
	}
	return findings
}
