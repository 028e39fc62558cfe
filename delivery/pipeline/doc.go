// Package pipeline decides about pipelines: whether a document is one, which
// stages of an execution may start, and how an execution ends. It is pure: no
// I/O, no clock, no context.
//
// A pipeline is a directed acyclic graph of stages in Spinnaker's JSON. Parse
// reads it once and reports everything that is wrong with it, each finding with
// the JSON pointer of its field:
//
//	definition, err := pipeline.Parse(document)
//	stages := pipeline.NewStages(definition, newID) // all NOT_STARTED
//	for {
//		for _, refID := range pipeline.Ready(definition, stages) {
//			// start the stage; later write its status into stages
//		}
//		if status, done := pipeline.Final(definition, stages); done {
//			return status
//		}
//	}
//
// A string that contains "${" is an expression. Its value is known only when its
// stage starts, so Parse checks neither its type nor its range; the functions
// that read an evaluated stage (ParseDeploy, ParseOperate, ParseWait) check both.
//
// Each stage type is one file with its typed input; stageTypes lists them.
package pipeline
