package pipeline

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slipway-cd/slipway/delivery"
)

// The types of the stages, and of the jobs of tasks, that change saved pipelines.
const (
	SavePipelineType = "savePipeline"
	// UpdatePipelineType saves a pipeline that is there.
	UpdatePipelineType = "updatePipeline"
	DeletePipelineType = "deletePipeline"
)

// ChangesPipelines reports whether stages of the type change saved pipelines.
func ChangesPipelines(stageType string) bool {
	return stageType == SavePipelineType || stageType == UpdatePipelineType || stageType == DeletePipelineType
}

// SavePipeline is the input of SavePipelineType and UpdatePipelineType.
type SavePipeline struct {
	// Document is the pipeline to save, an object; nil while it is not known.
	Document json.RawMessage
	// StaleCheck refuses the save when the stored pipeline is not the one of the
	// document's updateTs.
	StaleCheck bool
}

// DeletePipeline is the input of DeletePipelineType.
type DeletePipeline struct {
	// Application is empty for that of the execution or the task.
	Application string
	Name        string
	// ID is the id of the pipeline that is meant; empty for whichever has the name.
	ID string
}

func readSavePipeline(o object) SavePipeline {
	s := SavePipeline{StaleCheck: o.flag("staleCheck", false)}
	if o.flag("isBulkSavingPipelines", false) || o.given("pipelines") {
		o.refuse("pipelines", "are not supported: one stage saves one pipeline")
		return s
	}
	if document, ok := readDocument(o); ok {
		s.Document = encoded(document.fields)
	}
	return s
}

// notADocument says what the document of a stage or job can be.
const notADocument = "must be the JSON of a pipeline in base64, or an object"

// The bounds of the document, which are those of a request that saves one: base64 and
// what expressions make are not seen there.
const (
	maxDocument = 1 << 20 // bytes
	maxNesting  = 100
)

// readDocument reads the pipeline of a stage or job: its JSON in base64, as Spinnaker's
// clients send it, or an object. Its own expressions are left alone.
func readDocument(o object) (object, bool) {
	raw := o.fields["pipeline"]
	switch kind := delivery.JSONKind(raw); {
	case o.dynamic("pipeline"):
		return object{}, false
	case kind == "string":
		decoded, err := base64.StdEncoding.DecodeString(unquote(raw))
		if err != nil || !utf8.Valid(decoded) {
			o.refuse("pipeline", notADocument)
			return object{}, false
		}
		raw = decoded
	}
	switch {
	case len(raw) > maxDocument:
		o.refuse("pipeline", "has %d bytes; %d are allowed", len(raw), maxDocument)
		return object{}, false
	case nestsDeeper(raw, maxNesting):
		o.refuse("pipeline", "nests deeper than %d levels", maxNesting)
		return object{}, false
	}
	document := object{r: o.r, at: o.pointer("pipeline")}
	if json.Unmarshal(raw, &document.fields) != nil || document.fields == nil {
		o.refuse("pipeline", notADocument)
		return object{}, false
	}
	deferred := o.r.deferred
	o.r.deferred = false
	for _, name := range [...]string{"id", "name", "application"} {
		document.text(name)
	}
	o.r.deferred = deferred
	return document, true
}

// nestsDeeper reports whether lists and objects stand in one another more than limit
// times. Of malformed JSON it is false.
func nestsDeeper(raw []byte, limit int) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a number that no float holds is not malformed
	for depth := 0; depth <= limit; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return true
}

// checkSavePipeline reports what a save would refuse of the document, as far as that
// can be told without looking at anything else. Of a pipeline in a pipeline it looks no
// further than whether it can be read: its own save says the rest.
func checkSavePipeline(o object) {
	before := len(o.r.findings)
	s := readSavePipeline(o)
	if s.Document == nil || len(o.r.findings) > before || o.r.saved {
		return
	}
	_, findings := ReadSaved(s.Document, func() string { return "" })
	_, err := parse(s.Document, &reader{deferred: true, saved: true})
	findings = append(findings, delivery.FindingsOf(err)...)
	o.r.findings = append(o.r.findings, delivery.Under(o.pointer("pipeline"), findings)...)
}

func readDeletePipeline(o object) DeletePipeline {
	document, ok := readDocument(o)
	if !ok {
		return DeletePipeline{}
	}
	d := DeletePipeline{Application: strings.ToLower(document.text("application")), Name: strings.TrimSpace(document.text("name")), ID: document.text("id")}
	if d.Name == "" && !document.dynamic("name") {
		document.refuse("name", "is required: which pipeline")
	}
	return d
}

// ParseSavePipeline reads an evaluated stage, or a job. An Invalid error carries
// findings with pointers relative to it; about the document itself the save says more.
func ParseSavePipeline(context json.RawMessage) (SavePipeline, error) {
	r := &reader{}
	var out SavePipeline
	if o, ok := r.document(context); ok {
		out = readSavePipeline(o)
	}
	return out, delivery.InvalidError("pipeline is not valid", r.findings)
}

// ParseDeletePipeline reads an evaluated stage, or a job. An Invalid error carries
// findings with pointers relative to it.
func ParseDeletePipeline(context json.RawMessage) (DeletePipeline, error) {
	r := &reader{}
	var out DeletePipeline
	if o, ok := r.document(context); ok {
		out = readDeletePipeline(o)
	}
	return out, delivery.InvalidError("pipeline is not valid", r.findings)
}

// Application is the application of the document, in lower case; empty when it names none.
func (s SavePipeline) Application() string {
	var named struct{ Application string }
	if json.Unmarshal(s.Document, &named) != nil {
		return ""
	}
	return strings.ToLower(named.Application)
}

// UpdatedAt is the time of change that who made the document saw, by its updateTs.
// Without one it is a time that no stored pipeline has.
func UpdatedAt(document json.RawMessage) time.Time {
	var named struct{ UpdateTs json.RawMessage }
	if json.Unmarshal(document, &named) == nil {
		if ms, err := strconv.ParseInt(strings.Trim(string(named.UpdateTs), `"`), 10, 64); err == nil && ms > 0 {
			return time.UnixMilli(ms)
		}
	}
	return time.UnixMilli(1)
}

// PipelineOutputs are the outputs of the stages that change saved pipelines, under
// Spinnaker's names.
type PipelineOutputs struct {
	Notification string `json:"notification.type"`
	Application  string `json:"application"`
	Name         string `json:"pipeline.name"`
	// ID is empty of a pipeline that was gone already.
	ID string `json:"pipeline.id,omitempty"`
}

// OutputsOf are the outputs of a stage that changed a pipeline.
func OutputsOf(stageType string, p delivery.Pipeline) PipelineOutputs {
	return PipelineOutputs{Notification: strings.ToLower(stageType), Application: p.Application, Name: p.Name, ID: p.ID}
}

// Verbatim reports whether a field of a stage is handed on as it is: the expressions of
// a pipeline that the stage saves are that pipeline's. A text is the stage's own.
func (s StageSpec) Verbatim(field string, value json.RawMessage) bool {
	return field == "pipeline" && (s.Type == SavePipelineType || s.Type == UpdatePipelineType) && delivery.JSONKind(value) == "object"
}
