package expression

import (
	"maps"
	"slices"
)

// Function describes a helper function for people who write expressions.
type Function struct {
	// Name is what stands after the #.
	Name        string
	Description string
	Parameters  []Parameter
}

// Parameter is a parameter of a Function.
type Parameter struct {
	// Type is "string", "object" and so on.
	Type, Name, Description string
}

// Field is a variable that every expression can read.
type Field struct{ Name, Description string }

// described is what can be said of each function beside how it is carried out.
var described = map[string]Function{
	"toInt":             about("A whole number of a text", takesAny("value", "a text or a number")),
	"toFloat":           about("A number of a text", takesAny("value", "a text or a number")),
	"toBoolean":         about("True for the text true in any case, else false", takesAny("value", "a text or a boolean")),
	"toJson":            about("A value as the text of a JSON document", takesAny("value", "any value")),
	"fromUrl":           about("The text that an address answers with", takesText("url", "the address")),
	"jsonFromUrl":       about("The value of the JSON document that an address answers with", takesText("url", "the address")),
	"propertiesFromUrl": about("The properties that an address answers with, as an object", takesText("url", "the address")),
	"readJson":          about("The value of a JSON document", takesText("text", "the document")),
	"yamlFromUrl":       about("The value of the first YAML document that an address answers with", takesText("url", "the address")),
	"readYaml":          about("The value of the first document of a YAML text", takesText("text", "the text")),
	"readAllYaml":       about("The values of all documents of a YAML text", takesText("text", "the text")),
	"toBase64":          about("A text in base64", takesText("text", "the text")),
	"fromBase64":        about("The text that was put into base64", takesText("text", "base64")),
	"alphanumerical":    about("A text without everything but A-Z, a-z and 0-9", takesText("text", "the text")),
	"doNotEval":         about("A value as it is", takesAny("value", "any value")),

	"stage":                         about("A stage of the execution", takesText("nameOrId", "its name or id")),
	"stageByRefId":                  about("A stage of the execution", takesText("refId", "its refId")),
	"stageExists":                   about("Whether the execution has a stage", takesText("nameOrId", "its name or id")),
	"currentStage":                  about("The stage that is being evaluated"),
	"judgment":                      about("What was chosen in a manual judgment", takesText("name", "the stage's name")),
	"judgement":                     about("As judgment", takesText("name", "the stage's name")),
	"currentUser":                   about("Who started the execution"),
	"deployedServerGroups":          about("The server groups that stages deployed", takesText("stage", "names of stages, any number; all stages without one")),
	"triggerResolvedArtifact":       about("An artifact of the trigger", takesText("name", "its name")),
	"triggerResolvedArtifactByType": about("An artifact of the trigger", takesText("type", "its type")),
	"resolvedArtifacts":             about("The artifacts of the trigger", takesText("name", "their name; all without it")),

	"pipelineId":              about("The id of a pipeline of the application", takesText("name", "its name")),
	"pipelineIdOrNull":        about("As pipelineId; nothing when there is none", takesText("name", "its name")),
	"pipelineIdInApplication": about("The id of a pipeline of another application", takesText("name", "its name"), takesText("application", "the application's name")),
	"applicationMetadata":     about("The attributes of an application", takesText("application", "its name; the execution's own without it")),
}

func about(description string, parameters ...Parameter) Function {
	return Function{Description: description, Parameters: parameters}
}

func takesAny(name, description string) Parameter  { return Parameter{"object", name, description} }
func takesText(name, description string) Parameter { return Parameter{"string", name, description} }

// Functions returns the functions that expressions can call, sorted by name.
func Functions() []Function {
	var out []Function
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		f := described[name]
		f.Name = name
		out = append(out, f)
	}
	return out
}

// Fields returns the variables that every expression can read, beside the outputs
// of earlier stages and the fields of its own.
func Fields() []Field {
	return []Field{
		{"buildInfo", "the build of the trigger"},
		{"deployedServerGroups", "the server groups that earlier stages deployed"},
		{"execution", "the execution with its stages"},
		{"parameters", "the execution's parameters, with defaults"},
		{"scmInfo", "branch and commit of the trigger's build"},
		{"templateVariables", "the variables of the pipeline's template"},
		{"trigger", "what started the execution"},
	}
}
