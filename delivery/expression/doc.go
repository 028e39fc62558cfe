// Package expression evaluates the expressions of pipelines: ${...} in string
// values, in the shapes of Spinnaker's expression language (SpEL). It is the
// only importer of expr-lang/expr, whose parser it uses.
//
//	out, err := expression.Evaluate(
//		json.RawMessage(`{"amiName":"${parameters.image}"}`),
//		expression.Env{Parameters: json.RawMessage(`{"image":"storefront-1.1"}`)})
//	// out is {"amiName":"storefront-1.1"}
//
// A string that is one whole expression takes the result's JSON type; inside
// other text a result is written as text. What an expression yields is data: it
// is never evaluated again, even when it contains "${".
//
// Where Spinnaker leaves "${...}" in place when an expression has no value or
// fails, Evaluate returns an error: text that nobody evaluated must not reach a
// cloud.
//
// An expression loops over nothing but the lists that it selects from. Steps,
// produced bytes, scanned text and nesting are bounded for each document; see
// limits.go. SpEL is rewritten to the parser's syntax (translate.go), inspected
// (parse.go), and evaluated here: nothing of Java or of the parser's own language
// can be reached.
package expression
