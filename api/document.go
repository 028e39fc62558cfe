package api

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// presentDocument returns what was saved, with the server's own fields set.
func presentDocument(d delivery.Document) object {
	out := objectOf(d.Content)
	out.set("id", d.ID)
	out.set("createTs", v1.TextOf(d.CreatedAt))
	out.set("updateTs", v1.TextOf(d.UpdatedAt))
	out.set("lastModifiedBy", d.LastModifiedBy)
	out.set("revision", d.Revision)
	return out
}

// contentOf is a document as it is stored: without what presentDocument adds.
func contentOf(doc object) object {
	out := object{}
	for key, value := range doc {
		switch key {
		case "id", "createTs", "updateTs", "lastModifiedBy", "revision":
		default:
			out[key] = value
		}
	}
	return out
}

// documentFor returns the stored document for the route whose path names its id.
func (s *Server) documentFor(c *gin.Context, a action, kind delivery.DocumentKind, what string) (delivery.Document, error) {
	id := param(c, "id")
	d, err := s.store.Document(c.Request.Context(), kind, id)
	if err != nil {
		return d, missing(err, what, id)
	}
	return d, s.authorizeDocument(c, a, d)
}

// authorizeDocument asks for the right to each of a document's applications.
func (s *Server) authorizeDocument(c *gin.Context, a action, d delivery.Document) error {
	for _, application := range d.Applications {
		if err := s.authorize(principalOf(c), a, resource{application}); err != nil {
			return err
		}
	}
	if len(d.Applications) == 0 {
		return s.authorize(principalOf(c), a, resource{})
	}
	return nil
}

// change makes one change and returns what is stored then.
func (s *Server) change(ctx context.Context, by delivery.Principal, change delivery.DocumentChange) (delivery.Document, error) {
	change.Document.UpdatedAt, change.Document.LastModifiedBy = s.now(), by.Name
	changed, err := s.store.ChangeDocuments(ctx, change)
	if err != nil {
		return delivery.Document{}, err
	}
	return changed[0], nil
}

// replaceDocument saves a document: a new one, or in place of the one with its id,
// which the caller needs the right to as well and which must be what If-Match says.
func (s *Server) replaceDocument(c *gin.Context, change delivery.DocumentChange, what string) (delivery.Document, error) {
	ctx, d := c.Request.Context(), change.Document
	var stored delivery.Document
	if d.ID != "" {
		var err error
		if stored, err = s.store.Document(ctx, d.Kind, d.ID); err != nil && delivery.KindOf(err) != delivery.NotFound {
			return d, err
		}
	}
	if stored.Revision > 0 {
		if err := s.authorizeDocument(c, write, stored); err != nil {
			return d, err
		}
	}
	revision, err := matched(c, stored.Revision, what)
	if err != nil {
		return d, err
	}
	if revision > 0 {
		change.Expect.Revision = revision
	}
	saved, err := s.change(ctx, principalOf(c), change)
	switch {
	case delivery.KindOf(err) == delivery.Conflict && revision > 0:
		return d, changedMeanwhile(what)
	case err == nil:
		setETag(c, saved.Revision)
	}
	return saved, err
}

// wrongType turns what encoding/json says of a field into a finding.
func wrongType(at string, err error) delivery.Finding {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return delivery.Finding{Pointer: at, Message: err.Error()}
	}
	if wrong.Field != "" {
		at += "/" + strings.ReplaceAll(wrong.Field, ".", "/")
	}
	return delivery.Finding{Pointer: at, Message: "is of the wrong type: " + wrong.Value}
}
