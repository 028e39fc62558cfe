package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// templateOf reads the template of a job: an object, or its JSON in base64 as Gate
// sends it.
func templateOf(document object) (object, error) {
	raw := document["pipelineTemplate"]
	if text, err := document.text("pipelineTemplate"); err == nil && text != "" {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, invalid("/pipelineTemplate", "must be an object, or its JSON in base64")
		}
		if err := checkJSON(decoded); err != nil {
			return nil, delivery.InvalidError("", under("/pipelineTemplate", delivery.FindingsOf(err)))
		}
		raw = decoded
	}
	var template object
	if json.Unmarshal(raw, &template) != nil || template == nil {
		return nil, invalid("/pipelineTemplate", "must be an object, not "+typeOf(raw))
	}
	return template, nil
}

// bindTemplateJob checks the template of a job that saves one.
func bindTemplateJob(document object, _ string) (string, []delivery.Finding) {
	template, err := templateOf(document)
	if err != nil {
		return "", delivery.FindingsOf(err)
	}
	findings := delivery.FindingsOf(pipeline.CheckTemplate(template.raw()))
	var stages []json.RawMessage
	if len(findings) == 0 && json.Unmarshal(objectOf(template["pipeline"])["stages"], &stages) == nil {
		for i, stage := range stages {
			findings = append(findings, under("/pipeline"+stagePointer(i), expression.Check(stage))...)
		}
	}
	id, _ := template.text("id")
	if path, _ := document.text("id"); path != "" && path != id && id != "" {
		findings = append(findings, delivery.Finding{Pointer: "/id", Message: fmt.Sprintf("is %q, but the path says %q", id, path)})
	}
	findings = under("/pipelineTemplate", findings)
	if len(findings) == 0 {
		if _, err := jobKey(document, template); err != nil {
			findings = append(findings, delivery.Finding{Pointer: "/tag", Message: messageOf(err)})
		}
	}
	return "", inOrder(findings)
}

// jobKey is the version that a job saves: by its own tag, or by that of the template.
func jobKey(document, template object) (pipeline.TemplateKey, error) {
	id, _ := template.text("id")
	tag, err := document.text("tag")
	if err == nil && tag == "" {
		tag, err = template.text("tag")
	}
	if err != nil {
		return pipeline.TemplateKey{}, err
	}
	return pipeline.ParseTemplateKey(versioned(id, tag, ""))
}

// saveTemplate stores a version of a template under its tag, as the latest one and
// under its digest. A new tag needs a job that creates, one that is there a job that
// updates.
func (s *Server) saveTemplate(ctx context.Context, by delivery.Principal, j job) error {
	template, err := templateOf(j.document)
	if err != nil {
		return err
	}
	key, err := jobKey(j.document, template)
	if err != nil {
		return err
	}
	content := contentOf(template)
	delete(content, "tag")
	delete(content, "digest")
	if inner := objectOf(content["pipeline"]); inner["triggers"] != nil {
		content.set("pipeline", pipeline.WithTriggerIDs(inner, newID))
	}
	content.set("id", key.ID)
	stored, err := s.store.Document(ctx, delivery.TemplateDocument, key.String())
	if err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	first := delivery.DocumentExpectation{Absent: true}
	if j.kind == updateTemplate {
		if err != nil {
			return missing(err, "Pipeline template", key.String())
		}
		first = delivery.DocumentExpectation{Revision: stored.Revision}
	} else if err == nil {
		return delivery.Errorf(delivery.Invalid, "A pipeline template with id %s already exists", key)
	}
	if skip, _ := j.document.flag("skipPlanDependents"); !skip {
		if err := s.planDependents(ctx, key, content.raw()); err != nil {
			return err
		}
	}
	if err := s.storeTemplate(ctx, by, key, content, first); err != nil {
		return err
	}
	return s.renewTriggers(ctx, by, key, content.raw())
}

func (s *Server) storeTemplate(ctx context.Context, by delivery.Principal, key pipeline.TemplateKey, content object, first delivery.DocumentExpectation) error {
	digest := pipeline.TemplateKey{ID: key.ID, Digest: digestOf(content)}
	changes := []delivery.DocumentChange{{Document: delivery.Document{ID: key.String()}, Expect: first}}
	if key.Tag != pipeline.LatestTag {
		latest := pipeline.TemplateKey{ID: key.ID, Tag: pipeline.LatestTag}
		changes = append(changes, delivery.DocumentChange{Document: delivery.Document{ID: latest.String()}})
	}
	switch _, err := s.store.Document(ctx, delivery.TemplateDocument, digest.String()); {
	case delivery.KindOf(err) == delivery.NotFound:
		changes = append(changes, delivery.DocumentChange{Document: delivery.Document{ID: digest.String()}})
	case err != nil:
		return err
	}
	for i := range changes {
		d := &changes[i].Document
		d.Kind, d.Name, d.Content, d.UpdatedAt, d.LastModifiedBy = delivery.TemplateDocument, d.ID, content.raw(), s.now(), by.Name
	}
	_, err := s.store.ChangeDocuments(ctx, changes...)
	return err
}

func bindTemplateDeletion(document object, _ string) (string, []delivery.Finding) {
	if _, err := deletionOf(document); err != nil {
		return "", findingsOf(err)
	}
	return "", nil
}

// deletionOf says which version a job deletes; without tag and digest all of them,
// which is a key of neither.
func deletionOf(document object) (pipeline.TemplateKey, error) {
	var fields [3]string
	for i, key := range [...]string{"pipelineTemplateId", "tag", "digest"} {
		var err error
		if fields[i], err = document.text(key); err != nil {
			return pipeline.TemplateKey{}, err
		}
	}
	key, err := pipeline.ParseTemplateKey(versioned(fields[0], fields[1], fields[2]))
	if err == nil && fields[1] == "" && fields[2] == "" {
		key.Tag = ""
	}
	return key, err
}

// deleteTemplate deletes one version of a template or all of them, unless a pipeline
// is made from it.
func (s *Server) deleteTemplate(ctx context.Context, by delivery.Principal, j job) error {
	wanted, err := deletionOf(j.document)
	if err != nil {
		return err
	}
	meant := func(k pipeline.TemplateKey) bool {
		return k == wanted || k.ID == wanted.ID && wanted.Tag == "" && wanted.Digest == ""
	}
	dependents, err := s.dependents(ctx, meant)
	if err != nil {
		return err
	}
	var findings []delivery.Finding
	for _, p := range dependents {
		findings = append(findings, delivery.Finding{Message: fmt.Sprintf("pipeline %s of %s is made from it", p.Name, p.Application)})
	}
	if err := delivery.InvalidError("pipelines depend on the template", findings); err != nil {
		return err
	}
	stored, err := s.store.Documents(ctx, delivery.TemplateDocument, "")
	if err != nil {
		return err
	}
	var changes []delivery.DocumentChange
	for _, d := range stored {
		if key, err := pipeline.ParseTemplateKey(d.ID); err == nil && meant(key) {
			changes = append(changes, delivery.DocumentChange{Delete: true, Expect: delivery.DocumentExpectation{Revision: d.Revision},
				Document: delivery.Document{Kind: d.Kind, ID: d.ID, UpdatedAt: s.now(), LastModifiedBy: by.Name}})
		}
	}
	if len(changes) == 0 {
		return missing(delivery.Errorf(delivery.NotFound, "template"), "Pipeline template", wanted.ID)
	}
	_, err = s.store.ChangeDocuments(ctx, changes...)
	return err
}

// digestOf is the SHA-256 of a template's content, whatever the order of its keys.
func digestOf(content object) string {
	decoder := json.NewDecoder(bytes.NewReader(content.raw()))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		panic(fmt.Sprintf("read a template: %v", err)) // it was encoded a line above
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode a template: %v", err))
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
