package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// A strategy is a pipeline's document with "strategy": true. It is stored and checked
// as one.

func (s *Server) listStrategies(c *gin.Context) error { return s.renderStrategies(c, "") }

func (s *Server) listApplicationStrategies(c *gin.Context) error {
	return s.renderStrategies(c, param(c, "app"))
}

func (s *Server) renderStrategies(c *gin.Context, application string) error {
	found, err := s.store.Documents(c.Request.Context(), delivery.StrategyDocument, application)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b delivery.Document) int { return cmp.Compare(indexOf(a), indexOf(b)) })
	out := []object{}
	for _, d := range found {
		if s.authorizeDocument(c, read, d) == nil { // what the caller may not see is left out
			out = append(out, presentStrategy(d))
		}
	}
	if application != "" {
		number(out)
	}
	return render(c, http.StatusOK, out)
}

// indexOf is the last place for a strategy without an index.
func indexOf(d delivery.Document) int {
	content := objectOf(d.Content)
	if !hasIndex(content) {
		return math.MaxInt
	}
	index := math.MaxInt
	if json.Unmarshal(content["index"], &index) != nil {
		return math.MaxInt
	}
	return index
}

func presentStrategy(d delivery.Document) object {
	out := presentDocument(d)
	out.set("application", d.Application())
	out.set("name", d.Name)
	out.set("strategy", true)
	return out
}

func (s *Server) getStrategy(c *gin.Context) error {
	d, err := s.strategy(c.Request.Context(), param(c, "app"), param(c, "strategy"))
	if err != nil {
		return missing(err, "Strategy config", param(c, "strategy"))
	}
	setETag(c, d.Revision)
	return render(c, http.StatusOK, presentStrategy(d))
}

// strategy finds an application's strategy by name, ignoring case, or by id.
func (s *Server) strategy(ctx context.Context, application, nameOrID string) (delivery.Document, error) {
	found, err := s.store.Documents(ctx, delivery.StrategyDocument, application)
	if err != nil {
		return delivery.Document{}, err
	}
	for _, d := range found {
		if d.ID == nameOrID || strings.EqualFold(d.Name, nameOrID) {
			return d, nil
		}
	}
	return delivery.Document{}, delivery.Errorf(delivery.NotFound, "strategy %s of %s", nameOrID, application)
}

func (s *Server) getStrategyHistory(c *gin.Context) error {
	q := queryOf(c)
	limit := q.number("limit", 20, 1000)
	if err := q.err(); err != nil {
		return err
	}
	out := []object{}
	if limit == 0 { // the store takes it for no limit
		return render(c, http.StatusOK, out)
	}
	found, err := s.store.DocumentHistory(c.Request.Context(), delivery.StrategyDocument, param(c, "id"), limit)
	if err != nil {
		return err
	}
	for _, d := range found {
		if err := s.authorizeDocument(c, read, d); err != nil {
			return err
		}
		out = append(out, presentStrategy(d))
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) saveStrategy(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	if _, err := s.putStrategy(c, doc); err != nil {
		return err
	}
	return renderVoid(c)
}

func (s *Server) replaceStrategy(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	stored, err := s.documentFor(c, write, delivery.StrategyDocument, "Strategy config")
	if err != nil {
		return err
	}
	if id, err := doc.text("id"); err == nil && id != "" && id != stored.ID {
		return invalid("/id", fmt.Sprintf("is %q, but the path says %q", id, stored.ID))
	}
	doc.set("id", stored.ID)
	saved, err := s.putStrategy(c, doc)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentStrategy(saved))
}

// putStrategy stores a strategy: a new one, or in place of the one with its id.
func (s *Server) putStrategy(c *gin.Context, doc object) (delivery.Document, error) {
	p, findings := pipeline.ReadSaved(doc.raw(), newID)
	findings = append(findings, delivery.FindingsOf(saving.CheckDefinition(p.Document))...)
	if err := delivery.InvalidError("strategy is not valid", inOrder(findings)); err != nil {
		return delivery.Document{}, err
	}
	change := delivery.DocumentChange{Document: delivery.Document{
		Kind: delivery.StrategyDocument, ID: p.ID, Name: p.Name, Applications: []string{strings.ToLower(p.Application)}, Content: contentOf(objectOf(p.Document)).raw(),
	}}
	if err := s.authorizeDocument(c, write, change.Document); err != nil {
		return change.Document, err
	}
	return s.replaceDocument(c, change, "strategy")
}

// deleteStrategy answers 200 also when there was no such strategy, as for pipelines.
func (s *Server) deleteStrategy(c *gin.Context) error {
	d, err := s.strategy(c.Request.Context(), param(c, "app"), param(c, "strategy"))
	if err == nil {
		_, err = s.change(c.Request.Context(), principalOf(c), delivery.DocumentChange{Delete: true, Document: delivery.Document{Kind: d.Kind, ID: d.ID}})
	}
	if err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return renderVoid(c)
}

// moveStrategy gives a strategy another name.
func (s *Server) moveStrategy(c *gin.Context) error {
	body, err := bindObject(c, false)
	if err != nil {
		return err
	}
	var fields [3]string
	var findings []delivery.Finding
	for i, key := range [...]string{"application", "from", "to"} {
		if fields[i], err = body.text(key); err != nil || fields[i] == "" {
			findings = append(findings, delivery.Finding{Pointer: "/" + key, Message: "is required: a string"})
		}
	}
	if err := delivery.InvalidError("the move is not valid", findings); err != nil {
		return err
	}
	d, err := s.strategy(c.Request.Context(), fields[0], fields[1])
	if err != nil {
		return missing(err, "Strategy config", fields[1])
	}
	if err := s.authorizeDocument(c, write, d); err != nil {
		return err
	}
	doc := presentStrategy(d)
	doc.set("name", fields[2])
	if _, err := s.putStrategy(c, doc); err != nil {
		return err
	}
	return renderVoid(c)
}
