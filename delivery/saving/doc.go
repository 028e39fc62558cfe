// Package saving decides what a save of a pipeline stores and what it refuses, for
// everything that saves pipelines: requests, jobs of tasks and stages.
//
// Check looks at a document alone: at its stages, triggers and expressions, at the
// template that it is made from, and at what the configured accounts can do. Decide adds
// what is stored. What both have to know of the world they ask Lookups.
package saving
