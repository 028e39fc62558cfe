package expression

// The bounds of one call of Evaluate or Check. They are far above what people
// write and far below what would disturb the process.
const (
	// maxSource is the longest expression in bytes.
	maxSource = 8 << 10
	// maxNodes is the most syntax nodes in one expression.
	maxNodes = 1_000
	// maxSteps is the most syntax nodes evaluated in one document.
	maxSteps = 100_000
	// maxProduced is how many bytes of text and JSON all expressions of one
	// document may produce, intermediate texts among them.
	maxProduced = 8 << 20
	// maxDepth is how deep documents and values may be nested.
	maxDepth = 200
)
