package expression

import "time"

// The bounds of one call of Evaluate or Check. They are far above what people
// write and far below what would disturb the process.
const (
	// maxSource is the longest expression in bytes.
	maxSource = 8 << 10
	// maxNodes is the most syntax nodes in one expression.
	maxNodes = 1_000
	// maxSteps is the most syntax nodes evaluated in one document.
	maxSteps = 100_000
	// maxTime is how long evaluating one document may take. The other bounds are met
	// far earlier; this one is for a machine that is too busy, and for what they miss.
	maxTime = 5 * time.Second
	// stepsPerLook is how many steps go by between two looks at the clock.
	stepsPerLook = 64
	// maxProduced is how many bytes of text and JSON all expressions of one
	// document may produce, intermediate texts among them.
	maxProduced = 8 << 20
	// maxScanned is how many characters all patterns of one document may go over,
	// times what each can take of work.
	maxScanned = 8 << 20
	// maxKept is how many parsed expressions are kept for when they come again.
	maxKept = 1_000
	// maxLookups is how many pipelines and applications one document may look up.
	maxLookups = 20
	// compileSteps is what compiling a pattern counts as.
	compileSteps = 100
	// stepBytes is how much text compared or searched counts as a step.
	stepBytes = 1 << 10
	// elementSize is the memory that each element of a list takes.
	elementSize = 16
	// maxPattern is the longest regular expression or date pattern in bytes.
	maxPattern = 1_000
	// maxWidth is the largest width that String.format pads to.
	maxWidth = 1_000
	// maxYAML is the largest YAML in bytes, and maxYAMLNodes the most values in one: a
	// few lines of aliases can stand for millions.
	maxYAML      = 256 << 10
	maxYAMLNodes = 20_000
	// maxDepth is how deep documents and values may be nested.
	maxDepth = 200
)
