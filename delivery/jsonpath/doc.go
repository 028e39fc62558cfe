// Package jsonpath reads one value of a JSON document by a path in the notation of
// JSONPath (RFC 9535), of which it knows the paths that lead to one place:
//
//	path, err := jsonpath.Parse("$.build.steps[0]['exit.code']")
//	value, ok := path.Find(document)
//
// A name follows a dot or stands in brackets and quotes, an index stands in brackets;
// a negative one counts from the end. A path that begins without "$" begins at the root
// as well, as in Spinnaker. Paths with wildcards, slices, filters, functions or ".."
// lead to any number of values and are refused.
//
// It is pure, and bounded by MaxLength and MaxSteps.
package jsonpath
